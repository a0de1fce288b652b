package p

const n = 2

type A [n]int
type B [n * 2]int
type C [f(n)]int
type D [n + (1)]A
type E [...]int

var x [...]int
var y ([...]int)
