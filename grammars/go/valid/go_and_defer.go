package p

func f() {
	go f()
	defer func() { recover() }()
	go (f)(x...)
	defer []int(x)
}
