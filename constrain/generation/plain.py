"""What is asked of a tokenizer's own engine: which characters a pattern matches."""

from __future__ import annotations

from functools import cache
from typing import Any

from tokenizers import Regex, pre_tokenizers

from constrain.automata.charset import EVERY, LAST_CHARACTER, Ranges
from constrain.covers.encoding import NUMERIC

_ASKED = ((0, 0xD7FF), (0xE000, 0x3FFFF), (0xE0000, 0xE0FFF))
"""Characters that are asked for one by one. Of the others, which Unicode has not assigned or
keeps for private use, only the first and last few of each plane are."""


@cache
def _sample() -> tuple[str, tuple[int, ...]]:
    """The characters asked for; where each begins a run of characters that are like it."""
    codes = {code for first, last in _ASKED for code in range(first, last + 1)}
    for plane in range(4, 0x11):
        codes.update({plane << 16, (plane << 16) + 0x1000, (plane << 16) + 0xFFFE})
        codes.add((plane << 16) + 0xFFFF)
    ordered = sorted(codes)
    return "".join(map(chr, ordered)), (*ordered, LAST_CHARACTER + 1)


@cache
def ranges_of(pattern: str) -> Ranges:
    """The characters that a pattern of one character matches, by the tokenizers' engine.

    Args:
        pattern: for the engine; or `NUMERIC`, for what the pretokenizer Digits matches.
    """
    sample, codes = _sample()
    splitter: Any
    if pattern == NUMERIC:
        splitter = pre_tokenizers.Digits(individual_digits=False)
    else:
        splitter = pre_tokenizers.Split(Regex(f"(?:{pattern})+"), "isolated")
    pieces = [span for _, span in splitter.pre_tokenize_str(sample)]
    # Pieces are runs of what matches and of what does not, in turn.
    first = _matches(splitter, pattern, sample[0])
    runs = [span for index, span in enumerate(pieces) if (index % 2 == 0) == first]
    return _joined([(codes[start], codes[stop] - 1) for start, stop in runs])


def _matches(splitter: Any, pattern: str, char: str) -> bool:
    """Whether a character matches, told by whether it is cut off from a digit or another one."""
    known = "1" if pattern == NUMERIC else None
    if known is not None:
        return len(splitter.pre_tokenize_str(char + known)) == 1
    alone = pre_tokenizers.Split(Regex(f"(?:{pattern})"), "removed")
    return not alone.pre_tokenize_str(char)


def _joined(ranges: list[tuple[int, int]]) -> Ranges:
    """Ranges without surrogates, neighbours joined."""
    split: list[tuple[int, int]] = []
    for low, high in ranges:
        for first, last in EVERY:
            if max(low, first) <= min(high, last):
                split.append((max(low, first), min(high, last)))
    joined = split[:1]
    for low, high in split[1:]:
        if joined[-1][1] + 1 == low:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return tuple(joined)
