package p

func f() {
	if a {
	} elseif b {
	}
}
