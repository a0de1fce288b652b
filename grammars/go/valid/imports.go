package p

import "fmt"
import (
	. "a/b"
	_ `c.d/e-f`; g "h"
)
import ()
