()
(a,)
(*a, b)
[]
[*a, b,]
{}
{a}
{*a, b}
{a: b, **c, d: e,}
{**a | b}
(yield)
(yield from a)
