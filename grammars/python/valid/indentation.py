if a:
    # a comment

  # another
    b
    if c: d; e
    else:
        f
else: \
    g
