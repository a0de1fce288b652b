a isnot b
