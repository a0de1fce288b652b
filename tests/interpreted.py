"""The kernels as Python: for mistakes put into them, and for what a debugger should see."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from constrain.masks import bound, cross, kernels, trie
from constrain.schema import product


@contextmanager
def interpreted() -> Iterator[None]:
    """Everyone who holds a kernel has it run by Python, also other kernels."""
    compiled = {
        name: kernel
        for module in (bound, cross, kernels, trie, product)
        for name, kernel in vars(module).items()
        if hasattr(kernel, "py_func")
    }
    users = [
        (module, name)
        for module in list(sys.modules.values())
        for name, kernel in compiled.items()
        if getattr(module, "__dict__", {}).get(name) is kernel
    ]
    try:
        for module, name in users:
            setattr(module, name, compiled[name].py_func)
        yield
    finally:
        for module, name in users:
            setattr(module, name, compiled[name])
