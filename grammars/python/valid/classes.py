class A: pass
class A(): pass
class A(B, *C, metaclass=D, **E):
  x = 1
  def f(self): pass
