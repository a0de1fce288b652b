"""Which tokens may stand side by side in a piece that byte-pair merges made.

Merges never cross the cut between two tokens of a canonical sequence. The first merge that would,
would happen at one cut, between two tokens that have been merged rightly so far; it sees nothing
of what stands around them. So a sequence of tokens is canonical exactly if each token is made by
its own merges, and each two neighbours are (J. Vieira et al., Language Models over Canonical
Byte-Pair Encodings, 2025).

While a token is made, its outermost symbols on the left grow: its *left spine*, likewise its
*right spine*. Each symbol of a spine exists from the rank of the merge that made it to the rank of
the one that takes it in. A merge of a symbol at the end of one token with one at the beginning of
the next happens, and parts them otherwise, exactly if both exist at the same time and neither is
taken in earlier. Of equal ranks the merge further left comes first.

This holds where the ranks of a token's merges ascend. Tokens of which they do not are told apart
by merging the pair as a whole.

Shapes: V ids, M merges, S symbols of all spines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from constrain.covers.encoding import Encoding
from constrain.kernel import kernel

_NEVER = np.iinfo(np.int32).max
MAX_SYMBOLS = 512
"""Of one token, or a token is taken to be made by no merges."""


class MergeTable(NamedTuple):
    """The merges, sorted by their pair."""

    pair: NDArray[np.int64]  # [M] left << 32 | right, ascending
    rank: NDArray[np.int32]  # [M]
    both: NDArray[np.int32]  # [M] the token made


class Spines(NamedTuple):
    """The outermost symbols of each token, on one side, first to last."""

    start: NDArray[np.int64]  # [V + 1]
    symbol: NDArray[np.int32]  # [S]
    made: NDArray[np.int32]  # [S] the rank of the merge that made it; -1: none
    taken: NDArray[np.int32]  # [S] the rank of the merge that takes it in; _NEVER: none


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Tells which tokens may follow a token in one piece.

    Attributes:
        is_made: bool[V], the token is made by its own merges.
        ascends: bool[V], and their ranks ascend.
    """

    is_made: NDArray[np.bool_]
    ascends: NDArray[np.bool_]
    _merges: MergeTable
    _left: Spines
    _right: Spines
    _symbols: NDArray[np.int32]
    _starts: NDArray[np.int64]
    _ranks: NDArray[np.int32]

    @classmethod
    def of(cls, encoding: Encoding, size: int) -> Self:
        """Merge each token of a vocabulary of `size` ids on its own."""
        merges = _table(encoding)
        symbols, starts = _spell(encoding, size)
        is_made, ascends = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
        counts = np.zeros((2, size), np.int64)
        capacity = len(symbols) + 2 * size + 1
        spines = np.zeros((2, 3, capacity), np.int32)
        _make_all(merges, symbols, starts, is_made, ascends, counts, spines)
        left, right = (_spines(counts[side], spines[side]) for side in (0, 1))
        ranks = np.full(size, -1, np.int32)
        return cls(is_made, ascends, merges, left, right, symbols, starts, ranks)

    def after(self, token: int, others: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of some tokens may follow a token in one piece.

        Args:
            token: an id.
            others: int64[n], ids.

        Returns:
            bool[n].
        """
        found = np.zeros(len(others), np.bool_)
        if not self.is_made[token]:
            return found
        tables = self._merges, self._left, self._right, self.is_made
        _judge(token, others, *tables, self._ranks, found)
        wild = ~self.ascends[others] if self.ascends[token] else np.ones(len(others), np.bool_)
        wild &= self.is_made[others]
        if wild.any():
            judged = others[wild]
            answers = np.zeros(len(judged), np.bool_)
            _judge_whole(token, judged, self._merges, self._symbols, self._starts, answers)
            found[wild] = answers
        return found


def _table(encoding: Encoding) -> MergeTable:
    merges = np.array(encoding.merges, np.int64).reshape(-1, 3)
    pair = merges[:, 0] << 32 | merges[:, 1]
    order = np.argsort(pair, kind="stable")
    return MergeTable(pair[order], order.astype(np.int32), merges[order, 2].astype(np.int32))


def _spell(encoding: Encoding, size: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The symbols that merges make each token of: its characters; none where one is no token."""
    ids = {name: token for token, name in encoding.names.items()}
    symbols: list[int] = []
    starts = np.zeros(size + 1, np.int64)
    for token in range(size):
        starts[token] = len(symbols)
        name = encoding.names.get(token, "")
        if encoding.byte_fallback and _is_byte(name):
            symbols.append(token)
            continue
        spelled = [ids.get(char, -1) for char in name]
        if -1 not in spelled and len(spelled) <= MAX_SYMBOLS:
            symbols.extend(spelled)
    starts[size] = len(symbols)
    return np.array(symbols, np.int32), starts


def _is_byte(name: str) -> bool:
    return len(name) == 6 and name.startswith("<0x") and name.endswith(">")


def _spines(counts: NDArray[np.int64], flat: NDArray[np.int32]) -> Spines:
    start = np.concatenate([[0], np.cumsum(counts)])
    return Spines(start, *(column[: start[-1]].copy() for column in flat))


@kernel
def _find(merges: MergeTable, left: int, right: int) -> int:
    """The place of a pair's merge, or -1."""
    pair = (np.int64(left) << 32) | np.int64(right)
    low, high = 0, merges.pair.size
    while low < high:
        middle = (low + high) // 2
        if merges.pair[middle] < pair:
            low = middle + 1
        else:
            high = middle
    if low < merges.pair.size and merges.pair[low] == pair:
        return low
    return -1


@kernel
def _next_merge(merges: MergeTable, symbols: NDArray[np.int32], n_symbols: int) -> int:
    """Where the merge of the least rank is, the leftmost of them; -1: none."""
    best, best_rank = -1, _NEVER
    for place in range(n_symbols - 1):
        found = _find(merges, symbols[place], symbols[place + 1])
        if found >= 0 and merges.rank[found] < best_rank:
            best, best_rank = place, merges.rank[found]
    return best


@kernel
def _merge(merges: MergeTable, symbols: NDArray[np.int32], n_symbols: int) -> int:
    """Merge the first `n_symbols` in place; how many are left."""
    place = _next_merge(merges, symbols, n_symbols)
    while place >= 0:
        found = _find(merges, symbols[place], symbols[place + 1])
        symbols[place] = merges.both[found]
        for index in range(place + 1, n_symbols - 1):
            symbols[index] = symbols[index + 1]
        n_symbols -= 1
        place = _next_merge(merges, symbols, n_symbols)
    return n_symbols


@kernel(allocates=True)
def _judge_whole(
    token: int,
    others: NDArray[np.int64],
    merges: MergeTable,
    symbols: NDArray[np.int32],
    starts: NDArray[np.int64],
    found: NDArray[np.bool_],
) -> None:
    """Write which pairs merge into just these two tokens, by merging each as one text."""
    work = np.zeros(2 * MAX_SYMBOLS, np.int32)
    for index in range(others.size):
        n_symbols = 0
        for part in (np.int64(token), others[index]):
            for at in range(starts[part], starts[part + 1]):
                work[n_symbols] = symbols[at]
                n_symbols += 1
        n_symbols = _merge(merges, work, n_symbols)
        found[index] = n_symbols == 2 and work[0] == token and work[1] == others[index]


@kernel(allocates=True)
def _make_all(
    merges: MergeTable,
    symbols: NDArray[np.int32],
    starts: NDArray[np.int64],
    is_made: NDArray[np.bool_],
    ascends: NDArray[np.bool_],
    counts: NDArray[np.int64],
    spines: NDArray[np.int32],
) -> None:
    """Merge each token, and write its spines where merging makes it.

    Args:
        merges: all.
        symbols: int32[S], of all tokens.
        starts: int64[V + 1], of each token's.
        is_made: bool[V], written.
        ascends: bool[V], written.
        counts: int64[2, V], written: symbols of the left and the right spine.
        spines: int32[2, 3, capacity], written: symbol, made, taken.
    """
    work = np.zeros(MAX_SYMBOLS, np.int32)
    n_left, n_right = 0, 0
    for token in range(is_made.size):
        n_symbols = starts[token + 1] - starts[token]
        if n_symbols == 0:
            continue
        for index in range(n_symbols):
            work[index] = symbols[starts[token] + index]
        first_left, first_right = n_left, n_right
        left_made, right_made, last = -1, -1, -1
        rising = True
        place = _next_merge(merges, work, n_symbols)
        while place >= 0:
            found = _find(merges, work[place], work[place + 1])
            rank = merges.rank[found]
            rising &= rank >= last
            last = rank
            if place == 0:
                spines[0, 0, n_left] = work[0]
                spines[0, 1, n_left] = left_made
                spines[0, 2, n_left] = rank
                left_made = rank
                n_left += 1
            if place == n_symbols - 2:
                spines[1, 0, n_right] = work[n_symbols - 1]
                spines[1, 1, n_right] = right_made
                spines[1, 2, n_right] = rank
                right_made = rank
                n_right += 1
            work[place] = merges.both[found]
            for index in range(place + 1, n_symbols - 1):
                work[index] = work[index + 1]
            n_symbols -= 1
            place = _next_merge(merges, work, n_symbols)
        if n_symbols != 1 or work[0] != token:
            n_left, n_right = first_left, first_right
            continue
        for side in range(2):
            at = n_right if side else n_left
            spines[side, 0, at] = token
            spines[side, 1, at] = right_made if side else left_made
            spines[side, 2, at] = _NEVER
        n_left += 1
        n_right += 1
        is_made[token] = True
        ascends[token] = rising
        counts[0, token] = n_left - first_left
        counts[1, token] = n_right - first_right


@kernel
def _judge(
    token: int,
    others: NDArray[np.int64],
    merges: MergeTable,
    left: Spines,
    right: Spines,
    is_made: NDArray[np.bool_],
    ranks: NDArray[np.int32],
    found: NDArray[np.bool_],
) -> None:
    """Write which of `others` may follow `token`, by spines alone.

    Args:
        token: its right spine is looked at.
        others: int64[n], their left spines are.
        merges: all.
        left: the left spines.
        right: the right spines.
        is_made: bool[V].
        ranks: int32[V], all -1, and so again at the end.
        found: bool[n], written.
    """
    for index in range(others.size):
        found[index] = is_made[others[index]]
    for at in range(right.start[token], right.start[token + 1]):
        symbol, made, taken = right.symbol[at], right.made[at], right.taken[at]
        first = np.searchsorted(merges.pair, np.int64(symbol) << 32)
        last = np.searchsorted(merges.pair, (np.int64(symbol) + 1) << 32)
        for place in range(first, last):
            ranks[merges.pair[place] & 0xFFFFFFFF] = merges.rank[place]
        for index in range(others.size):
            other = others[index]
            if not found[index]:
                continue
            for there in range(left.start[other], left.start[other + 1]):
                rank = ranks[left.symbol[there]]
                if (
                    0 <= rank < taken
                    and rank <= left.taken[there]
                    and made <= left.taken[there]
                    and left.made[there] < taken
                ):
                    found[index] = False
                    break
        for place in range(first, last):
            ranks[merges.pair[place] & 0xFFFFFFFF] = -1
