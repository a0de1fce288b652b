lambda: 0
lambda a, /, b, *c, d=1, **e: a
lambda *a, b: a
lambda *, a: a
lambda a=1, /, b=2: a
lambda **a,: a
lambda a,: (yield)
