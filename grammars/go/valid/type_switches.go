package p

func f() {
	switch x := y.(type) {
	case nil, []int, *p.T[int]:
	case func() (int), chan<- int:
	default:
	}
	switch x := 1; x.(type) {
	}
}
