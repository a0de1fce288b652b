package p

var a int
var b, c = 1, 2
var (
	d []int = nil; e func() (int)
)
