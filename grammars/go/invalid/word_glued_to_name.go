package p

varx int
