x: int
x: int = 1
self.x: list[int] = []
(y): str
z[0]: 'Z' = *a, b
w: lambda: 0 = yield
