package p

func f(
	a int,
) {
	x :=
		1 +
			2
	x.
		y()
}
