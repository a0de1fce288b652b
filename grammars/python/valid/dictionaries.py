{1: 2}
{'a': lambda: b, c: d if e else f}
{a: {b: {c: d}}}
{**{}, 'a': 1}
{a: (b := c)}
