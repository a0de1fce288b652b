package p

var _ = 0 + 1_000 + 0x_Ff + 0b1_01 + 0o17 + 017 + 0_7
