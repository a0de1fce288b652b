package p

func (t *T[P, _]) m(a P) {}
func (T) n() int
