[a for b in c if d if e for f in g]
{a for b, in c}
{a: b for *c, d in e}
(a async for b in c for d in e)
[a for b in c or d if e and f]
[a for b.c, d[0] in e]
