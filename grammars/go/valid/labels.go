package p

func f() {
L:
	for {
		break L
		continue L
	}
	goto L
M: N: ;
	if x { O: }
}
