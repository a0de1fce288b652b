package p

var _ = a[1] + a[:] + a[1:] + a[:2] + a[1:2:3] + a[:2:3]
var _ = f[int](x) + g[int, []T,](y) + h[T,]
