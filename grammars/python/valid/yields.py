x = yield
x = yield a, b
x = y = yield from a
x += yield
(yield)
await (yield)
