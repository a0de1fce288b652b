x = b'a' B"\xff\u" rb'\x' Br'''
''' b''
