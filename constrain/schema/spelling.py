r"""The content of a string → what JSON writes for it between the quotes.

    content ─► its table, with `"`, `\` and controls closed, and states for what follows a `\`

The states behind a `\` are found from what they lead to, one level after the other, all at
once: equal rows of targets are one state. Of the four hexadecimal digits of `\uXXXX` the first
chooses a lead byte of UTF-8, the next one and a half the byte after it, the others the last one.

Source: RFC 8259, 7; RFC 3629, 3.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from constrain.automata.dfa import ByteDFA, canonical, check_size, minimise
from constrain.errors import GrammarLimitError

MAX_ESCAPED_STATES = 4096
"""States of a content whose every spelling is wanted."""

_SHORT = {0x22: '"', 0x5C: "\\", 0x08: "b", 0x0C: "f", 0x0A: "n", 0x0D: "r", 0x09: "t"}
_CONTROLS = range(0x20)
_CLOSED = np.array([*_CONTROLS, 0x22, 0x5C])
_HEX = tuple(f"{digit:x}" for digit in range(16))
_EITHER_HEX = tuple(f"{digit:x}{digit:X}" if digit > 9 else str(digit) for digit in range(16))
_LETTERS = np.array([ord(c) for c in '"\\/bfnrtu0123456789acdeABCDEF'])

States = NDArray[np.int64]


@lru_cache(maxsize=1024)
def spell(content: ByteDFA, *, any_escape: bool) -> ByteDFA:
    r"""The JSON spellings of some contents, without the quotes.

    Args:
        content: texts, encoded as UTF-8.
        any_escape: all spellings of JSON, with a `\u` wherever it may stand; else the one that
            `json.dumps(text, ensure_ascii=False)` writes.

    Raises:
        GrammarLimitError: there are too many states.
    """
    step = content.next[:, content.byte_class].astype(np.int64)
    writer = _Writer(content)
    if any_escape:
        if content.n_states > MAX_ESCAPED_STATES:
            raise GrammarLimitError(
                f"all spellings of a content of {content.n_states} states are wanted; at most "
                f"{MAX_ESCAPED_STATES} are spelled so"
            )
        short = {**_SHORT, 0x2F: "/"}
        behind = [*(step[:, byte] for byte in short), _Escapes(step, writer).begin()]
    elif not step[:, _CLOSED].any():
        return content
    else:
        short = _SHORT
        behind = [*(step[:, byte] for byte in short), _controls(step, writer)]
    escape = writer.states(np.stack(behind, axis=1), (*short.values(), "u"))
    return writer.finish(escape)


def _controls(step: States, writer: _Writer) -> States:
    r"""Per state the one behind `\u`, if only controls without a shorter escape have it."""
    targets = step[:, _CONTROLS].copy()
    targets[:, [byte for byte in _SHORT if byte in _CONTROLS]] = 0
    halves = [writer.states(targets[:, part : part + 16], _HEX) for part in (0, 16)]
    last_two = writer.states(np.stack(halves, axis=1), ("0", "1"))
    return writer.states(writer.states(last_two[:, None], ("0",))[:, None], ("0",))


class _Writer:
    """A table that grows by states behind a backslash."""

    def __init__(self, content: ByteDFA) -> None:
        self._content = content
        self._n_states = content.n_states
        self._number: dict[tuple[tuple[str, ...], bytes], int] = {}
        self._blocks: list[tuple[States, tuple[str, ...]]] = []

    def states(self, targets: States, symbols: tuple[str, ...]) -> States:
        """States that lead to `targets` by `symbols`; the dead one where there are none.

        Args:
            targets: int64[N, M].
            symbols: M; each stands for all its characters.

        Returns:
            int64[N].
        """
        found = np.zeros(len(targets), np.int64)
        live = np.flatnonzero(targets.any(axis=1))
        if len(live) == 0:
            return found
        rows, inverse = np.unique(targets[live], axis=0, return_inverse=True)
        known = len(self._number)
        keys = [(symbols, row.tobytes()) for row in rows]
        numbers = [self._number.setdefault(key, len(self._number)) for key in keys]
        fresh = [i for i, number in enumerate(numbers) if number >= known]
        self._blocks.append((rows[fresh], symbols))
        check_size(self._content.n_states + len(self._number))
        found[live] = self._content.n_states + np.array(numbers)[inverse.reshape(-1)]
        return found

    def finish(self, escape: States) -> ByteDFA:
        r"""The whole, if `\` leads each state of the content to one of `escape`."""
        content = self._content
        role = np.zeros(256, np.int64)
        role[_CLOSED] = 1
        role[_LETTERS] = 2 + np.arange(len(_LETTERS))
        _, first, column = np.unique(
            content.byte_class.astype(np.int64) * 64 + role, return_index=True, return_inverse=True
        )
        table = np.zeros((content.n_states + len(self._number), len(first)), np.int32)
        table[: content.n_states] = content.next[:, content.byte_class[first]]
        table[:, column[_CLOSED]] = 0
        table[: content.n_states, column[0x5C]] = escape
        row = content.n_states
        for rows, symbols in self._blocks:
            for k, symbol in enumerate(symbols):
                for character in symbol:
                    table[row : row + len(rows), column[ord(character)]] = rows[:, k]
            row += len(rows)
        accepting = np.zeros(len(table), np.bool_)
        accepting[: content.n_states] = content.accepting
        if self._may_be_equivalent(table, accepting, column):
            table, accepting = minimise(table, accepting)
        return canonical(table, accepting, column)

    def _may_be_equivalent(
        self, table: NDArray[np.int32], accepting: NDArray[np.bool_], column: States
    ) -> bool:
        r"""Whether two states may be; if not, they surely are not.

        Those of the content are not, among each other. One of them is not like one behind a
        `\` if it accepts, or is live by a byte of no escape. And of two behind a `\`, only
        what may be `b` or `f` is a letter of an escape and a digit.
        """
        n_states = self._content.n_states
        no_letter, neither = np.ones((2, table.shape[1]), np.bool_)
        no_letter[column[_LETTERS]] = False
        neither[column[[ord("b"), ord("f")]]] = False
        apart = accepting[1:n_states] | table[1:n_states, no_letter].any(axis=1)
        apart_behind = table[n_states:, neither].any(axis=1)
        return not (apart.all() and apart_behind.all())


class _Escapes:
    r"""The states behind `\u`, for all characters.

    Args of the constructor:
        step: int64[S, 256], the content's table.
        writer: takes the states.

    Arrays are of all states of the content; where one does not stand in a text as the array
    wants, it leads to the dead state, since the content is UTF-8.
    """

    def __init__(self, step: States, writer: _Writer) -> None:
        self._step = step
        self._writer = writer
        self._n = len(step)
        # By state and the last byte's two upper bits: what the fourth digit leads to.
        self._last = self._digits(step[:, 0x80:0xC0].reshape(self._n, 4, 16))

    def begin(self) -> States:
        r"""int64[S]: the state behind `\u`."""
        step = self._step
        third = self._third_digits()
        first = np.zeros((self._n, 16), np.int64)
        first[:, 0] = self._digits(self._up_to_two_bytes())
        rows = self._digits(third)  # by the state behind a lead byte
        for digit in range(1, 16):
            first[:, digit] = rows[step[:, 0xE0 | digit]]
        with_pairs = third[step[:, 0xED]].copy()
        with_pairs[:, 8:12] = self._high_halves()
        first[:, 0xD] = self._digits(with_pairs)
        return self._digits(first)

    def _digits(self, targets: States) -> States:
        """States that the 16 digits lead to the last axis of `targets`."""
        flat = self._writer.states(targets.reshape(-1, 16), _EITHER_HEX)
        return flat.reshape(targets.shape[:-1])

    def _one(self, targets: States, symbol: str) -> States:
        flat = self._writer.states(targets.reshape(-1, 1), (symbol,))
        return flat.reshape(targets.shape)

    def _third_digits(self) -> States:
        """int64[S, 16]: by the state behind a lead byte of three, and the second digit."""
        digits = np.arange(16)
        middle = self._step[:, 0x80:0xC0].reshape(self._n, 16, 4)
        return self._digits(self._last[middle[:, :, digits >> 2], digits & 3])

    def _up_to_two_bytes(self) -> States:
        """int64[S, 16]: by the second digit behind a 0."""
        digits = np.arange(16)
        leads = np.arange(0xC0, 0x100).reshape(16, 4)[:, digits >> 2]
        leads[8:] = 0xC0  # past two bytes, and so dead
        third = self._last[self._step[:, leads], digits & 3]
        third[:, 0, :8] = self._digits(self._step[:, :0x80].reshape(self._n, 8, 16))
        rows = self._digits(third)
        rows[:, 8:] = self._third_digits()[self._step[:, 0xE0], 8:]
        return rows

    def _high_halves(self) -> States:
        r"""int64[S, 4]: by the second digit, 8 to B, of a pair's first half."""
        pairs = self._low_halves()
        upper, third, fourth = np.ogrid[:4, :16, :16]
        plane = 1 + (upper << 2 | third >> 2)
        second = 0x80 | (plane & 3) << 4 | (third & 3) << 2 | fourth >> 2
        lead = 0xF0 | plane >> 2
        behind = self._step[self._step[:, lead], second]
        return self._digits(self._digits(pairs[behind, fourth & 3]))

    def _low_halves(self) -> States:
        """int64[S, 4]: by the state behind two bytes of four, and two bits of the third one."""
        bits, second, third = np.ogrid[:4, :4, :16]
        before = self._step[:, 0x80 | bits << 4 | second << 2 | third >> 2]
        rows = np.zeros((self._n, 4, 16), np.int64)
        rows[:, :, 12:] = self._digits(self._last[before, third & 3])
        for symbol in ("dD", "u", "\\"):
            rows = self._digits(rows) if symbol == "dD" else rows
            rows = self._one(rows, symbol)
        return rows
