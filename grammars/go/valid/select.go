package p

func f() {
	select {
	case x := <-c:
	case a[0], ok = <-c:
	case c <- 1:
		g()
	case <-c:
	default:
	}
	select {}
}
