"""Fill in the middle: what may be written between a prefix and a suffix, and where it may end."""
