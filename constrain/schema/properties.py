r"""The sets of characters that ECMA-262 has names for: `\d`, `\s`, `\w`, `.` and `\p{…}`.

Source: ECMA-262, 22.2.2.9 (CharacterClassEscape) and tables 67 to 71 (properties). General
categories are asked of `unicodedata`, so they are those of the running Python's Unicode.
"""

from __future__ import annotations

import unicodedata
from functools import cache

from constrain.automata.charset import (
    EVERY,
    LAST_CHARACTER,
    Ranges,
    complement,
    without_surrogates,
)

DIGIT: Ranges = ((48, 57),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
LINE_END: Ranges = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
SPACE: Ranges = (
    (0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A),
    (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip
NOT_LINE_END = complement(LINE_END)

CLASSES = {
    "d": DIGIT,
    "D": complement(DIGIT),
    "s": SPACE,
    "S": complement(SPACE),
    "w": WORD,
    "W": complement(WORD),
}
"""By the letter of its escape."""

_GENERAL_CATEGORIES = """
Cased_Letter=LC Close_Punctuation=Pe Connector_Punctuation=Pc Control=Cc cntrl=Cc
Currency_Symbol=Sc Dash_Punctuation=Pd Decimal_Number=Nd digit=Nd Enclosing_Mark=Me
Final_Punctuation=Pf Format=Cf Initial_Punctuation=Pi Letter=L Letter_Number=Nl
Line_Separator=Zl Lowercase_Letter=Ll Mark=M Combining_Mark=M Math_Symbol=Sm
Modifier_Letter=Lm Modifier_Symbol=Sk Nonspacing_Mark=Mn Number=N Open_Punctuation=Ps
Other=C Other_Letter=Lo Other_Number=No Other_Punctuation=Po Other_Symbol=So
Paragraph_Separator=Zp Private_Use=Co Punctuation=P punct=P Separator=Z Space_Separator=Zs
Spacing_Mark=Mc Surrogate=Cs Symbol=S Titlecase_Letter=Lt Unassigned=Cn Uppercase_Letter=Lu
"""
_SHORT = dict(pair.split("=") for pair in _GENERAL_CATEGORIES.split())
_GROUPS = {"LC": ("Lu", "Ll", "Lt")}
_BINARY: dict[str, Ranges] = {
    "Any": EVERY,
    "ASCII": ((0, 0x7F),),
    "ASCII_Hex_Digit": ((48, 57), (65, 70), (97, 102)),
    "AHex": ((48, 57), (65, 70), (97, 102)),
}


def property_characters(name: str) -> Ranges | None:
    r"""The characters of `\p{name}`; None if it is not known here.

    Known are general categories by all their names, `Any`, `ASCII`, `Assigned` and
    `ASCII_Hex_Digit`. Python has no data of scripts and of other properties.
    """
    key, equals, value = name.partition("=")
    if equals:
        return _category(value) if key in ("General_Category", "gc") else None
    if name == "Assigned":
        return complement(_category("Cn") or ())
    return _BINARY.get(name) or _category(name)


@cache
def _category(name: str) -> Ranges | None:
    """The characters of a general category or of a group of them, by its long or short name."""
    short = _SHORT.get(name, name)
    if short not in _SHORT.values():
        return None
    wanted = _GROUPS.get(short, (short,))
    parts = [pairs for category, pairs in _categories().items() if category.startswith(wanted)]
    return without_surrogates([pair for pairs in parts for pair in pairs])


@cache
def _categories() -> dict[str, list[tuple[int, int]]]:
    """The runs of characters of each general category of two letters."""
    runs: dict[str, list[tuple[int, int]]] = {}
    before, first = "", 0
    for point, category in enumerate(map(unicodedata.category, map(chr, range(LAST_CHARACTER)))):
        if category != before:
            runs.setdefault(before, []).append((first, point - 1))
            before, first = category, point
    runs.setdefault(before, []).append((first, LAST_CHARACTER))  # the last two are noncharacters
    del runs[""]
    return runs
