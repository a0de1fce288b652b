match a, *b:
 case _: pass
match a,:
 case _: pass
match (a):
 case _: pass
match -a:
 case _: pass
match [a]:
 case _: pass
match a := b:
 case _: pass
match match:
 case case: pass
