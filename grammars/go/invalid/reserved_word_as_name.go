package p

var if = 1
