if a:  # one
# two
  # three
  b  # four
      # five
# six
  c
# seven
