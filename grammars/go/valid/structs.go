package p

type T struct {
	a, b int "tag"
	c [2]int `raw`
	d []int
	U
	*V
	p.W "embedded"
	X[int, string]
	(Y)
	e func()
	f *T }
