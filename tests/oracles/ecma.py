"""V8's regular expressions, as JSON Schema uses them: `u` where it is valid, else without."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

_PROGRAM = """
function compiled(pattern) {
    for (const flags of ["uy", ""]) {
        try { return new RegExp(pattern, flags); } catch (error) {}
    }
    return null;
}
// V8 also finds empty matches inside a surrogate pair, where by 22.2.7.2 none begins under `u`.
function found(regex, text) {
    if (!regex.unicode) return regex.test(text);
    let place = 0;
    for (const character of [...text, ""]) {
        regex.lastIndex = place;
        if (regex.test(text)) return true;
        place += character.length;
    }
    return false;
}
function matches(given) {
    const {pattern, texts} = JSON.parse(given);
    const regex = compiled(pattern);
    if (regex === null) return "null";
    return JSON.stringify({u: regex.unicode, found: texts.map(text => found(regex, text))});
}
function characters(pattern) {
    const regex = new RegExp(pattern, "u");
    const found = [];
    for (let c = 0; c < 0x110000; c++) {
        if (c >= 0xD800 && c < 0xE000) continue;
        if (regex.test(String.fromCodePoint(c))) found.push(c);
    }
    return JSON.stringify(found);
}
"""


@cache
def _engine() -> Any:
    racer = pytest.importorskip("py_mini_racer", reason="V8 is the oracle: pip install mini-racer")
    engine = racer.MiniRacer()
    engine.eval(_PROGRAM)
    return engine


def ecma_matches(pattern: str, texts: list[str]) -> tuple[bool, list[bool]] | None:
    """Whether a pattern is valid under `u`, and which texts it matches; None: it is malformed."""
    given = json.dumps({"pattern": pattern, "texts": texts})
    answer = json.loads(_engine().call("matches", given))
    return None if answer is None else (answer["u"], answer["found"])


def ecma_characters(pattern: str) -> list[int]:
    """The code points of which a pattern matches the text of that one character."""
    found: list[int] = json.loads(_engine().call("characters", pattern))
    return found
