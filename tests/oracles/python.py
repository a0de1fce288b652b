"""Whether a text is Python: asked of `ast.parse` of the running Python."""

from __future__ import annotations

import ast
import warnings


def is_python(text: bytes) -> bool | None:
    """Whether `ast.parse` reads a text; None if it gives up for want of memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text.decode())
        except (SyntaxError, ValueError):  # not UTF-8, or a NUL
            return False
        except (MemoryError, RecursionError):
            return None
    return True
