def f(a, b=1, /, *c, d, **e) -> int:
    """Adds."""
    return a + b
