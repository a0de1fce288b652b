package packages

import imports "x"

var ifx, xif, types, Func, gogo, breaks int
