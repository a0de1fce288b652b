package p

var f = func(x int) func() { return func() {} }(1)
var g = func() (int) { return 1 }()

func h() func() {
	return nil
}
func i()
