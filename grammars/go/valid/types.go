package p

type A [3]int
type B []*A
type C map[string]func(int) (int, error)
type D chan<- (<-chan int)
type E <-chan chan int
type F = struct{}
type (
	G func(...int)
	H interface{ m(); E }
)
