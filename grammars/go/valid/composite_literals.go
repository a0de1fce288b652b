package p

var a = []T{{1, 2}, {x: 3}, T{}, 4: {5}}
var b = map[K]V{{1}: {2}, k: v,}
var c = [...]int{1, 2,}
var d = p.T[int]{a: struct{ x int }{1}}
var e = &T{}
var f = x().y{}
