package p

func f() {
	switch {
	case a:
	L:
	case b:
	}
}
