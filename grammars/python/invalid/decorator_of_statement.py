@a
x
