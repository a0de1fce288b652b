if a:
  if b:
      c
  else:
    d

  e
else:
	 f
