package p

type A[P *C] int
type B[P *C,] int
type C[P *[]int] = int
type D[P (C), Q any] int
type E[P *C | ~int] = int
type F[P *C | *D | Q, R any] int
type G[P []int] int
type H[P [n]int | x] int
type I[P, Q any] int
