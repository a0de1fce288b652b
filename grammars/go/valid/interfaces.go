package p

type T interface {
	m(a int) (b error)
	n()
	U
	p.V[int]
	W[int, string,]
	~int | ~[]byte | X
	*int
	interface{}
}
