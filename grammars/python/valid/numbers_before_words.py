x = 1if y else 2
x = 0xfor 1
x = [1for x in y]
x = 1or 2and 3
x = 1in y, 1is 1, 1not in z
