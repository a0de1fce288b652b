x = "\N{no such}"
