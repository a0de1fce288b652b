match = 1
match(a)
match[a]
match -a
match in a
match if a else b
match: int
case = match.case
class match: pass
import match as case
def case(match=1, *case): pass
f(match=1)
