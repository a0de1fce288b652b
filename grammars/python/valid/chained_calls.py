a(b)(c)[d].e(f for f in g)[h:i]
(a
 .b()
 .c())
