package p

func f() {
	a, b = b, a
	c += 1; d <<= 2; e &^= 3
	f++
	g--
	h, i := j()
	a + b = c
	x <- y
	*p = *q
}
