if a:
    b
    # the end