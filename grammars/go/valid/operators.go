package p

var x = a || b && c == d+e*f<<g&^h|^i - -j + +k & *l ^ !m%<-n >> (o - -p)
var y = ~z
var s, t = *&u, & ^v
