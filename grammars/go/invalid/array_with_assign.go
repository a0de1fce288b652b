package p

type A[P *C] = int
