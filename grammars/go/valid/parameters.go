package p

func a(int, ...string)
func b(x, y int, z ...p.T[int]) (n int, err error) { return }
func c(a.b, []int, func(), x[1+2],)
func d(x [2]int, y []int, z [n]int,)
