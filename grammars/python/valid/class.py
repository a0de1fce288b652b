@decorate(1)
class A(B, metaclass=C):
    x: int = 1

    async def f(self):
        async with self as a, b:
            await a
