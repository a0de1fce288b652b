package p

var _ = f(a, b...) + g(a...,) + make([]int, 1) + new(T) + []byte("s") + (*T)(nil) + (func())(x) + chan int(y) + interface{}(z)
var _ = (*T).m + []int.x.y + struct{}.z
