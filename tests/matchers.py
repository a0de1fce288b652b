"""The built-in grammars as judges of texts, each built once, and files of cases for them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from constrain import Matcher
from constrain.cli.diagnosis import byte_matcher
from constrain.grammar.builtin import builtin


@cache
def builtin_matcher(name: str) -> Matcher:
    """A matcher at the beginning of a text; fork it."""
    return byte_matcher(builtin(name))


def is_accepted(name: str, text: bytes) -> bool:
    """Whether a text belongs to a built-in grammar."""
    matcher = builtin_matcher(name).fork()
    return matcher.accept_bytes(text) and matcher.is_accepting()


def read_cases(path: Path, place_mark: str) -> Iterator[tuple[str, bool]]:
    """The texts of a file of cases, and whether each belongs to the language.

    A line `= text` gives the surroundings of the next ones, with `place_mark` where a case stands;
    `+` and `-` begin a line of cases, three blanks apart, that belong and that do not.
    """
    place = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        sign, _, rest = line.partition(" ")
        if sign == "=":
            place = unquote(rest)
        elif sign in ("+", "-"):
            for text in rest.split("   "):
                yield place.replace(place_mark, unquote(text)), sign == "+"
