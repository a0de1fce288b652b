package p

func f() {
	for {
	}
	for x {
	}
	for ;; {
	}
	for i := 0; i < 9; i++ {
	}
	for range x {
	}
	for a, b.c = range x {
	}
	for i := range x {
		continue
	}
}
