async def f():
  async with a as b, c: pass
  async for d in e: pass
  else: pass
  return [await x async for x in y]
