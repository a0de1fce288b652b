package p

var x² int
