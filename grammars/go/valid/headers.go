package p

func f() {
	if x == (T{}) {
	}
	if x := f(T{}); x[T{}] {
	} else if []int{1}[0] == 1 {
	} else {
	}
	for _, x := range []T{{}} {
	}
	for x := (T{}); ; x = []T{}[0] {
	}
	switch func() T { return T{} }() {
	}
	if *chan int {
	}
}
