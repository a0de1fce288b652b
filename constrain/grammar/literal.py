"""Texts as patterns, for every language of grammars: loaded without any reader of one."""

from __future__ import annotations

import re


def escape(text: str) -> str:
    """Return a pattern that matches exactly `text`; without raw line ends."""
    escaped = re.escape(text)
    for raw, shown in (("\\\n", r"\n"), ("\\\r", r"\r"), ("\\\t", r"\t"), ("\\\f", r"\f")):
        escaped = escaped.replace(raw, shown)
    return escaped
