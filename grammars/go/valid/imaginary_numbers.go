package p

var _ = 1i + .5i + 1e3i + 08i + 0b9i + 0xFi + 0x1p1i
