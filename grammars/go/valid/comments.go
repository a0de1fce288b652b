// first

package p // after

/* block */ var x /* inside */ = /* more
 */ 1 // end
var y = 2 /* a line end
*/ /**/ var z = f( // in brackets
	1, /***/
)
//line file.go:12
/*line :12:3*/ // last