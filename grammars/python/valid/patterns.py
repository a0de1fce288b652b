match x:
  case 0 | -1 | 1.5 | 1 + 2j | -3 - 4J: pass
  case 'a' 'b' | b'c' | None | True | False: pass
  case a.b.c: pass
  case [a, *b] | (c, *_) | []: pass
  case a, *b: pass
  case {'a': b, c.d: 1, -1: _, **e}: pass
  case A() | b.C(d, e=f, g=_,): pass
  case (a | b) as c if d: pass
  case _:
    pass
