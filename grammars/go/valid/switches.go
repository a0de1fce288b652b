package p

func f() {
	switch {
	case a, b:
		fallthrough
	default:
	}
	switch x := y; x {
	case 1: f(); g() }
	switch ; {
	}
	switch x.(type) == 1 {
	case 1:
	}
}
