pass; break; continue
global a, b
nonlocal c
assert a, b
raise
raise a
raise a from b
return
return *a, b
del a, (b, [c]), d.e, f[0],
del ()
yield
yield *a, b
