package p

//line file.go:0
