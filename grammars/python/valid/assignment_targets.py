for a, (b, c) in d: pass
for (a) in b: pass
for [a, *b] in c: pass
with a as (b), c as [d, e]: pass
[x for (x) in y]
