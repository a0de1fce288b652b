package p

func f() {
	switch x.(type) {
	case 1:
	}
}
