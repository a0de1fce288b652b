package p

// The parser does not check that these are expressions.
type A [a + []int]int
type B [P * chan int / x]int
type C [P(a, b)]int
