a, *b = c[d:e, ::f] = g.h = [i, (j)] = yield
del a, (b, [c.d])
for x, in y: pass
with (a as b, c as (d, *e)): pass
