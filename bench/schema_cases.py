"""Real JSON schemas with their instances: MaskBench's files, read, sampled and spelled.

A line of a file is `{"name", "schema", "tests": [{"valid", "data"}]}`. Numbers are read as
Python reads them, so a schema or an instance has what `json.dumps` makes of a double.
"""

from __future__ import annotations

import json
import lzma
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPELLINGS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "compact": {"separators": (",", ":")},
    "indent": {"indent": 2},
}
"""Arguments of `json.dumps`. Characters outside ASCII stand for themselves in all of them."""

TIMED = "default"
"""The spelling whose masks are timed."""

INVALID_SPELLINGS = ("default", "compact")
"""Those in which an invalid instance has to be rejected."""


@dataclass(frozen=True)
class Instance:
    """A JSON value as texts.

    Attributes:
        texts: by spelling; an invalid instance lacks some.
    """

    is_valid: bool
    texts: Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """One schema and what it should accept and reject.

    Attributes:
        split: the file's name without its ending.
        schema: its JSON text.
    """

    split: str
    name: str
    schema: str
    instances: tuple[Instance, ...]

    @property
    def key(self) -> tuple[str, str]:
        """What no other case has."""
        return self.split, self.name


def read_cases(folder: Path) -> list[Case]:
    """All cases of the `*.jsonl.xz` files of `folder`, in the files' order."""
    return [case for path in sorted(folder.glob("*.jsonl.xz")) for case in _cases(path)]


def _cases(path: Path) -> Iterator[Case]:
    split = path.name.removesuffix(".jsonl.xz")
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            found = json.loads(line)
            instances = tuple(spelled(test["data"], test["valid"]) for test in found["tests"])
            yield Case(split, found["name"], json.dumps(found["schema"]), instances)


def spelled(value: Any, is_valid: bool) -> Instance:
    """The value in all spellings that are asked of it."""
    names = SPELLINGS if is_valid else INVALID_SPELLINGS
    return Instance(is_valid, {name: spell(value, name) for name in names})


def spell(value: Any, spelling: str) -> str:
    """A JSON text; where a lone surrogate cannot be UTF-8, all but ASCII is escaped.

    Raises:
        ValueError: the value holds an infinity or no number, which no JSON text spells.
    """
    options = {"allow_nan": False, **SPELLINGS[spelling]}
    text = json.dumps(value, ensure_ascii=False, **options)
    is_unicode = not any("\ud800" <= c <= "\udfff" for c in text)
    return text if is_unicode else json.dumps(value, **options)


def sample(cases: Sequence[Case], n: int, seed: int) -> list[Case]:
    """`n` of the cases, of each split its share up to one, in random order; all if `n` is 0."""
    rng = random.Random(seed)
    by_split: dict[str, list[Case]] = {}
    for case in cases:
        by_split.setdefault(case.split, []).append(case)
    ordered = [case for split in by_split.values() for case in rng.sample(split, len(split))]
    if 0 < n < len(ordered):
        step = len(ordered) / n
        offset = rng.random() * step
        ordered = [ordered[min(int(offset + i * step), len(ordered) - 1)] for i in range(n)]
    rng.shuffle(ordered)
    return ordered
