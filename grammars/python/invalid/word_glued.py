x = 1 ifx else y
