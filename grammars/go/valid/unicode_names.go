package p

var été, π٣, _世界 = 1, 2, 3
