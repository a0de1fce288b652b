# one

    # two, indented
	
# three