package p

const a, b int = 1, 2
const (
	c = iota
	d
	e, f float64 = 1, 2
	g, h
)
const ()
