"""Real JSON texts: the instances of MaskBench, written in several styles.

MaskBench lies outside the repository: in `maskbench` of the folder named by
`CONSTRAIN_SHARED`, else of `shared` beside the checkout.
"""

from __future__ import annotations

import json
import lzma
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

STYLES: tuple[dict[str, Any], ...] = (
    {},
    {"separators": (",", ":"), "ensure_ascii": False},
    {"indent": 2, "ensure_ascii": False},
    {"indent": "\t"},
    {"separators": (" , ", "\r\n:"), "sort_keys": True, "ensure_ascii": False},
)
SMALL = ("Glaiveai2K", "Github_trivial", "Handwritten", "Synthesized")
"""Files that are read fast."""


def shared_folder() -> Path:
    """Where tokenizers and MaskBench are, whether they are there or not."""
    return Path(os.environ.get("CONSTRAIN_SHARED", Path(__file__).parents[2] / "shared"))


def instances(folder: Path, names: Sequence[str] = ()) -> list[Any]:
    """The values in the MaskBench files of `folder`, valid ones and others; `names` or all."""
    paths = sorted(folder.glob("*.jsonl.xz"))
    found = []
    for path in paths:
        if not names or path.name.removesuffix(".jsonl.xz") in names:
            with lzma.open(path, "rt", encoding="utf-8") as lines:
                found += [test["data"] for line in lines for test in json.loads(line)["tests"]]
    return found


def json_texts(
    folder: Path, n: int, *, names: Sequence[str] = (), longest: int = 3000, seed: int = 0
) -> list[str]:
    """`n` texts of at most `longest` characters, a fifth of them with non-ASCII characters.

    Half of them are short, half as the files have them.
    """
    rng = random.Random(seed)
    values = instances(folder, names)
    rng.shuffle(values)
    plain: list[str] = []
    short: list[str] = []
    foreign: list[str] = []
    for index, value in enumerate(values):
        text = json.dumps(value, **STYLES[index % len(STYLES)])
        if len(text) <= longest and _is_unicode(text):
            (plain if text.isascii() else foreign).append(text)
            if len(text) <= 150:
                short.append(text)
    chosen = foreign[: n // 5] + short[: n // 2]
    chosen += [text for text in plain if text not in chosen][: n - len(chosen)]
    rng.shuffle(chosen)
    return chosen


def _is_unicode(text: str) -> bool:
    """Whether it has no lone surrogates, which no UTF-8 spells."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
