while a: pass
else: pass
for a, *b in c, *d: pass
for a[0], (b.c) in d:
  continue
else:
  break
for *a in b: pass
