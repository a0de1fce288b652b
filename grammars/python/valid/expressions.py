[x async for x in y if z], {**a, 'b': lambda c, *d: (yield)}, not a is not b in c, f(*a, b=1, **c)
