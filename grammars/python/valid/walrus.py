if (n := len(a)) > 10: pass
while chunk := f(): pass
[y := 1, y**2]
f(x := 1, *a)
x[i := 0, j := 1]
{a := b}
@(d := e)
def f(): pass
[last := x for x in y]
