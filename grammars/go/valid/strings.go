package p

var a = "" + "\"\\\a\xff\377\u1234" + `raw \ " 
line`
