package p

var a = x.(T)
var b, ok = x.([]int).(p.T)
var c = x.(type)
