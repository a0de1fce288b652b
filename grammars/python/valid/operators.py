a or b and not c
a in b not in c is d is not e
a < b <= c == d != e > f >= g
a | b ^ c & d << e >> f + g - h * i / j // k % l @ m
-a ** -b
+~-a
not not a
await a ** b
