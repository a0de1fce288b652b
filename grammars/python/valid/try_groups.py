try:
  pass
except* A: pass
except *B as c: pass
except*(C, D):
  pass
else: pass
