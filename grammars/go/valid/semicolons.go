package p;

import "a"; import "b"

func f() { ; ;; a(); b(); }; var x = 1;