package p

func f[P any, Q, R ~int | string](x P) (y Q) { return f[P, Q](x) }

type A[P any] []P
type B[P interface{ ~int }, Q comparable,] = struct{ p P }
