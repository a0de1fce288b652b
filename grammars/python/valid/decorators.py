@a
@b.c(d)[0]

# comment
@(e := f)
@lambda g: g
async def f(): pass
@a
class A: pass
