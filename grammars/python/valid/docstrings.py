'''Module.'''
def f():
  '''One.

Two.
  '''
class A:
  r"""\d"""
