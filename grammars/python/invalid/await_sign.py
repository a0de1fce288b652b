await -x
