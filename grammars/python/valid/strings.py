x = 'a' "b" u'c' R"\d" '''d
e''' """f"g""" '' ""
y = 'it\'s' '\x41\u00e9\U0010ffff\N{BULLET}\777\d'
z = 'a\
b'
