package p

type A [a[0]]int
