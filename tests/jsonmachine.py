"""Which bytes may continue a JSON text: a pushdown table written by hand from RFC 8259.

Nothing of the engine is used. It judges whole vocabularies fast enough to do so at every
step of real texts: `JsonOracle.mask`.

A state is a *mode* (where in a token of JSON) and the open brackets, as bytes of `{` and `[`.
"""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

STAY, PUSH, POP = 0, 1, 2
DEAD = 0
TOP, IN_ARRAY, IN_OBJECT = 0, 1, 2
DIGITS, NONZERO, HEX = b"0123456789", b"123456789", b"0123456789abcdefABCDEF"
TAIL = bytes(range(0x80, 0xC0))
MAX_DEPTH = 4096


class Table(NamedTuple):
    """The transitions, and what the modes mean."""

    next: NDArray[np.int32]  # [M, 256] -> mode
    action: NDArray[np.int32]  # [M, 256] -> STAY, PUSH, POP
    pushed: NDArray[np.int32]  # [M, 256] -> IN_ARRAY or IN_OBJECT, where PUSH
    is_number: NDArray[np.bool_]  # [M] a number may end here
    after: NDArray[np.int32]  # [3] the mode after a value, by the innermost bracket


class _Builder:
    def __init__(self) -> None:
        self._number = count(1)
        self.edges: list[tuple[int, bytes, int, int, int]] = []

    def mode(self) -> int:
        return next(self._number)

    def on(
        self, mode: int, symbols: bytes, target: int, action: int = STAY, pushed: int = TOP
    ) -> None:
        self.edges.append((mode, symbols, target, action, pushed))


def _string(build: _Builder, body: int, after: int) -> None:
    """Everything between the quotes, `body` being the mode after the opening one."""
    escape = build.mode()
    digits = [build.mode() for _ in range(4)]
    one, two, three = build.mode(), build.mode(), build.mode()
    build.on(body, bytes(c for c in range(0x20, 0x80) if c not in b'"\\'), body)
    build.on(body, b'"', after)
    build.on(body, b"\\", escape)
    build.on(escape, b'"\\/bfnrt', body)
    build.on(escape, b"u", digits[0])
    for here, there in zip(digits, [*digits[1:], body], strict=True):
        build.on(here, HEX, there)
    build.on(one, TAIL, body)
    build.on(two, TAIL, one)
    build.on(three, TAIL, two)
    build.on(body, bytes(range(0xC2, 0xE0)), one)
    build.on(body, bytes([*range(0xE1, 0xED), 0xEE, 0xEF]), two)
    build.on(body, bytes(range(0xF1, 0xF4)), three)
    for first, second, rest in (  # no overlong forms, no surrogates, nothing above U+10FFFF
        (0xE0, range(0xA0, 0xC0), one),
        (0xED, range(0x80, 0xA0), one),
        (0xF0, range(0x90, 0xC0), two),
        (0xF4, range(0x80, 0x90), two),
    ):
        special = build.mode()
        build.on(body, bytes([first]), special)
        build.on(special, bytes(second), rest)


def _number(build: _Builder, opening: tuple[int, ...]) -> list[int]:
    """Numbers after any of the modes `opening`; returns the modes in which one may end."""
    minus, zero, whole, point, fraction = (build.mode() for _ in range(5))
    e, sign, exponent = (build.mode() for _ in range(3))
    for mode in (*opening, minus):
        build.on(mode, b"0", zero)
        build.on(mode, NONZERO, whole)
    for mode in opening:
        build.on(mode, b"-", minus)
    build.on(whole, DIGITS, whole)
    for mode in (zero, whole):
        build.on(mode, b".", point)
    for mode in (point, fraction):
        build.on(mode, DIGITS, fraction)
    for mode in (zero, whole, fraction):
        build.on(mode, b"eE", e)
    build.on(e, b"+-", sign)
    for mode in (e, sign, exponent):
        build.on(mode, DIGITS, exponent)
    return [zero, whole, fraction, exponent]


def _build() -> tuple[Table, int]:
    """The table, and the mode before a text."""
    build = _Builder()
    value, first_item, item, first_key, key, colon = (build.mode() for _ in range(6))
    # The mode after a value depends on the innermost bracket; END stands for all three.
    after_top, after_item, after_member, end = (build.mode() for _ in range(4))
    before_value = (value, first_item, item)
    for mode in (*before_value, first_key, key, colon, after_top, after_item, after_member):
        build.on(mode, b" \t\n\r", mode)
    text, name = build.mode(), build.mode()
    for mode in before_value:
        build.on(mode, b'"', text)
        build.on(mode, b"[", first_item, PUSH, IN_ARRAY)
        build.on(mode, b"{", first_key, PUSH, IN_OBJECT)
    _string(build, text, end)
    _string(build, name, colon)
    for word in (b"true", b"false", b"null"):
        modes = [build.mode() for _ in word[1:]]
        for mode in before_value:
            build.on(mode, word[:1], modes[0])
        for here, letter, there in zip(modes, word[1:], [*modes[1:], end], strict=True):
            build.on(here, bytes([letter]), there)
    numbers = _number(build, before_value)
    for mode in (first_key, key):
        build.on(mode, b'"', name)
    build.on(colon, b":", value)
    build.on(after_item, b",", item)
    build.on(after_member, b",", key)
    for mode in (first_item, after_item):
        build.on(mode, b"]", end, POP)
    for mode in (first_key, after_member):
        build.on(mode, b"}", end, POP)
    size = build.mode()
    table = Table(
        next=np.zeros((size, 256), np.int32),
        action=np.zeros((size, 256), np.int32),
        pushed=np.zeros((size, 256), np.int32),
        is_number=np.zeros(size, np.bool_),
        after=np.array([after_top, after_item, after_member], np.int32),
    )
    table.is_number[numbers] = True
    for mode, symbols, target, action, pushed in build.edges:
        columns = list(symbols)
        table.next[mode, columns] = -1 if target == end else target
        table.action[mode, columns] = action
        table.pushed[mode, columns] = pushed
    return table, value


TABLE, START = _build()


@njit
def step(table: Table, mode: int, brackets: NDArray[np.int32], depth: int, byte: int):  # type: ignore[no-untyped-def]
    """(mode, depth) after `byte`; `brackets[:depth]` are open, and a push writes there."""
    if table.is_number[mode] and table.next[mode, byte] == DEAD:
        mode = table.after[brackets[depth - 1] if depth else TOP]
    target = table.next[mode, byte]
    action = table.action[mode, byte]
    if action == PUSH:
        brackets[depth] = table.pushed[mode, byte]
        depth += 1
    elif action == POP:
        depth -= 1
    if target == -1:
        target = table.after[brackets[depth - 1] if depth else TOP]
    return target, depth


@njit
def judge(table: Table, mode: int, brackets, ends, data, alive) -> None:  # type: ignore[no-untyped-def]
    """alive[i] iff the i-th string of `data`, which stops at ends[i], keeps the text JSON."""
    begin = 0
    work = np.zeros(MAX_DEPTH, np.int32)
    for i in range(ends.size):
        here, depth = mode, brackets.size
        work[:depth] = brackets
        for place in range(begin, ends[i]):
            here, depth = step(table, here, work, depth, data[place])
            if here == DEAD:
                break
        alive[i] = here != DEAD and ends[i] > begin
        begin = ends[i]


class JsonOracle:
    """What may continue a text, for one vocabulary.

    A vocabulary that lacks bytes changes nothing as long as it spells ASCII and the
    continuation bytes of UTF-8, by which every JSON prefix can be completed.
    """

    def __init__(self, tokens: tuple[bytes, ...], end_ids: tuple[int, ...]) -> None:
        spelled = {t for t in tokens if len(t) == 1}
        assert spelled >= {bytes([b]) for b in (*range(0x20, 0x7F), *TAIL)}, "needs a search"
        self._data = np.frombuffer(b"".join(tokens), np.uint8)
        self._ends = np.cumsum([len(token) for token in tokens])
        self._end_ids = list(end_ids)
        self._known: dict[tuple[int, bytes], NDArray[np.bool_]] = {}

    def mask(self, state: JsonState) -> NDArray[np.bool_]:
        """bool[V]: the tokens, end tokens included, that may come next. Kept by state."""
        key = (state.mode, state.brackets.tobytes())
        if key not in self._known:
            allowed = np.zeros(len(self._ends), np.bool_)
            judge(TABLE, state.mode, state.brackets, self._ends, self._data, allowed)
            allowed[self._end_ids] = state.is_whole
            self._known[key] = allowed
        return self._known[key]


class JsonState(NamedTuple):
    """A place in a JSON text."""

    mode: int = START
    brackets: NDArray[np.int32] = np.zeros(0, np.int32)

    def after(self, text: bytes) -> JsonState:
        """The state after `text`; its mode is DEAD where no JSON text continues so."""
        mode, depth = self.mode, len(self.brackets)
        work = np.zeros(depth + len(text) + 1, np.int32)
        work[:depth] = self.brackets
        for byte in text:
            mode, depth = step(TABLE, mode, work, depth, byte)
            if mode == DEAD:
                return JsonState(DEAD)
        return JsonState(mode, work[:depth])

    @property
    def is_whole(self) -> bool:
        """The text is JSON."""
        is_end = self.mode == TABLE.after[TOP] or bool(TABLE.is_number[self.mode])
        return is_end and not len(self.brackets)
