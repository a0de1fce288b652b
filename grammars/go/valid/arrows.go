package p

var a = <-chan int(x)
var b = (<-chan int)(x)
var c = <-<-x
var d chan<- <-chan int
var e <-chan<- chan int

func f() { a <- -b; a <- <-b }
