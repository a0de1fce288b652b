package p

const (
	a int
)
