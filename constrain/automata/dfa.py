"""Deterministic automata over bytes: minimal, canonical, hashed by their language.

`ByteDFA` is what a terminal becomes. Two terminals of one language have equal arrays and so
one hash, however their patterns were written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from constrain.automata.utf8 import ByteTree
from constrain.errors import GrammarLimitError

DEAD = 0
START = 1

_EACH_BYTE = np.arange(256)

MAX_DFA_STATES = 100_000
"""Of one automaton, at every stage of its making."""


@dataclass(frozen=True, eq=False)
class ByteDFA:
    """A minimal DFA over bytes; equal languages have equal arrays.

    Attributes:
        next: int32[S, C], the next state. State 0 is dead and absorbing, state 1 the start;
            every other state is reached from the start and leads to acceptance. States are
            numbered breadth first, by the byte classes in order. Read-only.
        byte_class: uint8[256], the column of each byte; bytes that no state tells apart share
            one. Classes are numbered by their first byte. Read-only.
        accepting: bool[S]. Read-only.
    """

    next: NDArray[np.int32]
    byte_class: NDArray[np.uint8]
    accepting: NDArray[np.bool_]
    content_hash: str = field(init=False)

    def __post_init__(self) -> None:
        for array in (self.next, self.byte_class, self.accepting):
            array.setflags(write=False)
        digest = hashlib.sha256(repr(self.next.shape).encode())
        digest.update(self.next.astype("<i4").tobytes())
        digest.update(self.byte_class.tobytes())
        digest.update(np.packbits(self.accepting).tobytes())
        object.__setattr__(self, "content_hash", digest.hexdigest())

    @property
    def n_states(self) -> int:
        """S, the dead state included."""
        return len(self.next)

    @cached_property
    def _rows(self) -> tuple[tuple[int, ...], ...]:
        return tuple(map(tuple, self.next.tolist()))  # unlike lists, no work for the collector

    def matches(self, text: bytes) -> bool:
        """Whether the text is in the language."""
        state = START
        for byte in text:
            state = self._rows[state][self.byte_class[byte]]
        return bool(self.accepting[state])

    def is_empty(self) -> bool:
        """Whether no text at all is in the language."""
        return not self.accepting.any()

    def shortest(self) -> bytes | None:
        """A shortest text of the language, the first in byte order; None if there is none."""
        first = {int(c): byte for byte, c in reversed(list(enumerate(self.byte_class)))}
        before: dict[int, tuple[int, int]] = {START: (DEAD, 0)}
        for state in (queue := [START]):
            if self.accepting[state]:
                return _spelled(before, state)
            for column, target in enumerate(self._rows[state]):
                if target != DEAD and target not in before:
                    before[target] = (state, first[column])
                    queue.append(target)
        return None

    def check(self) -> None:
        """Raise ValueError where the arrays are not what the class promises."""
        if self != from_table(self.next[:, self.byte_class], self.accepting):
            raise ValueError("not a minimal DFA in canonical numbering")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByteDFA) and self.content_hash == other.content_hash

    def __hash__(self) -> int:
        return hash(self.content_hash)


def intersect(left: ByteDFA, right: ByteDFA, *, max_states: int = MAX_DFA_STATES) -> ByteDFA:
    """The texts of both.

    Raises:
        GrammarLimitError: the product has more than `max_states` states.
    """
    return _product(left, right, np.logical_and, max_states)


def union(left: ByteDFA, right: ByteDFA, *, max_states: int = MAX_DFA_STATES) -> ByteDFA:
    """The texts of either. Raises like `intersect`."""
    return _product(left, right, np.logical_or, max_states)


def subtract(left: ByteDFA, right: ByteDFA, *, max_states: int = MAX_DFA_STATES) -> ByteDFA:
    """The texts of `left` that are not of `right`. Raises like `intersect`."""
    return _product(left, right, lambda a, b: a & ~b, max_states)


def compile_literals(texts: Iterable[bytes]) -> ByteDFA:
    """The DFA of exactly the given byte strings.

    Raises:
        GrammarLimitError: they have more than MAX_DFA_STATES different beginnings.
    """
    rows: list[dict[int, int]] = [{}, {}]
    accepting = {START: False}
    for text in texts:
        state = START
        for byte in text:
            if byte not in rows[state]:
                rows[state][byte] = len(rows)
                rows.append({})
                check_size(len(rows))
            state = rows[state][byte]
        accepting[state] = True
    table = np.zeros((len(rows), 256), np.int32)
    for state, row in enumerate(rows):
        table[state, list(row)] = list(row.values())
    return from_table(table, np.array([accepting.get(s, False) for s in range(len(rows))]))


def from_table(table: NDArray[np.int32], accepting: NDArray[np.bool_]) -> ByteDFA:
    """The minimal DFA of a complete table.

    Args:
        table: int32[S, 256], with DEAD and START as in `ByteDFA`; it need not be minimal.
        accepting: bool[S].
    """
    first, column = equal_columns(table)
    small, accepts = minimise(table[:, first], accepting)
    return canonical(small, accepts, column)


def from_characters(
    table: NDArray[np.int32], accepting: NDArray[np.bool_], tree: ByteTree
) -> ByteDFA:
    """The DFA over bytes of a minimal one over classes of characters.

    The states inside a character are shared by what they lead to. That makes the result
    minimal: two of them that lead to different states tell texts apart, and no continuation
    byte begins a character.

    Args:
        table: int32[S, K], minimal, with DEAD and START as in `ByteDFA`.
        accepting: bool[S].
        tree: of the K classes.

    Raises:
        GrammarLimitError: it has more than MAX_DFA_STATES states.
    """
    rows: list[Edges] = [()] * len(table)
    inner: dict[Edges, int] = {}
    templates: dict[tuple[int, ...], list[Edges]] = {}
    for state, targets in enumerate(table.tolist()):
        labels = {target: k for k, target in enumerate(dict.fromkeys([DEAD, *targets]))}
        shape = tuple(labels[target] for target in targets)
        if shape not in templates:
            templates[shape] = _template(tree, shape)
        rows[state] = _instantiate(templates[shape], list(labels), rows, inner)
        check_size(len(rows))
    full = np.zeros((len(rows), 256), np.int32)
    for state, row in enumerate(rows):
        for low, high, target in row:
            full[state, low : high + 1] = target
    accepts = np.zeros(len(rows), np.bool_)
    accepts[: len(accepting)] = accepting
    return canonical(full, accepts)


def check_size(n_states: int, max_states: int = MAX_DFA_STATES) -> None:
    """Raise GrammarLimitError if an automaton has too many states."""
    if n_states > max_states:
        raise GrammarLimitError(
            f"the automaton of a pattern has more than {max_states} states; "
            f"make its counted repetitions shorter or its alternatives fewer"
        )


def minimise(
    table: NDArray[np.int32], accepting: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The minimal DFA of the same language, over the same columns.

    Args:
        table: int32[S, C], complete, with DEAD and START.
        accepting: bool[S].

    Returns:
        The same for the states that are reached and live, equivalent ones merged.

    Source: A. Valmari, Fast brief practical DFA minimization, Information Processing
    Letters 112 (2012): O(n + m log m) for n states and m transitions between live ones.
    """
    kept = np.flatnonzero(_reachable(table) & _live(table, accepting)).tolist()
    if START not in kept:
        return np.zeros((2, table.shape[1]), np.int32), np.zeros(2, np.bool_)
    number = np.full(len(table), -1)
    number[kept] = np.arange(len(kept))
    targets = number[table[kept]]
    tails, labels = np.nonzero(targets >= 0)
    heads = targets[tails, labels]
    accepts = accepting[kept]
    block = _coarsest_partition(len(kept), tails, labels, heads, accepts)

    # The start's block becomes START: the others keep their order.
    blocks = {block[number[START]]: START}
    for b in block:
        blocks.setdefault(b, len(blocks) + 1)
    new = np.array([blocks[b] for b in block])
    small = np.zeros((len(blocks) + 1, table.shape[1]), np.int32)
    small[new[tails], labels] = new[heads]
    small_accepts = np.zeros(len(small), np.bool_)
    small_accepts[new] = accepts
    return small, small_accepts


# --- from characters to bytes ---------------------------------------------------------

Edges = tuple[tuple[int, int, int], ...]  # (first byte, last byte, target)


def _template(tree: ByteTree, shape: tuple[int, ...]) -> list[Edges]:
    """The tree with classes replaced by labels, equal nodes merged, children first.

    Args:
        tree: its targets ≥ 0 are nodes, ~k is the class k.
        shape: the label of each class; 0 is dead.

    Returns:
        Per node its edges, the root last; targets ≥ 0 are nodes, ~label is a label.
    """
    nodes: list[Edges] = []
    number: dict[Edges, int] = {}
    target_of: dict[int, int | None] = {}  # a node of the tree → its target in the template
    for node in _children_first(tree):
        edges: list[tuple[int, int, int]] = []
        for low, high, child in tree.edges[node]:
            target = target_of[child] if child >= 0 else _label(shape[~child])
            if target is None:
                continue
            if edges and edges[-1][1] + 1 == low and edges[-1][2] == target:
                low = edges.pop()[0]  # noqa: PLW2901 - the edge grows to the left
            edges.append((low, high, target))
        key = tuple(edges)
        if node == 0:
            nodes.append(key)
        elif not key:
            target_of[node] = None
        else:
            if key not in number:
                number[key] = len(nodes)
                nodes.append(key)
            target_of[node] = number[key]
    return nodes


def _label(label: int) -> int | None:
    return None if label == 0 else ~label


def _children_first(tree: ByteTree) -> list[int]:
    """All nodes; a node comes after its children. The root is the last."""
    return [*range(1, len(tree.edges)), 0]


def _instantiate(
    template: list[Edges], targets: list[int], rows: list[Edges], inner: dict[Edges, int]
) -> Edges:
    """Add the template's nodes as states, with labels replaced by states; return the root's edges.

    Args:
        template: see `_template`.
        targets: the state of each label.
        rows: the edges of each state; grows.
        inner: the states inside characters, by their edges; grows.
    """
    states: list[int] = []
    edges: Edges = ()
    for node in template:
        edges = tuple((low, high, states[t] if t >= 0 else targets[~t]) for low, high, t in node)
        state = inner.get(edges)
        if state is None and len(states) + 1 < len(template):
            state = inner[edges] = len(rows)
            rows.append(edges)
        states.append(-1 if state is None else state)
    return edges


# --- numbering and partitions ---------------------------------------------------------


def _product(
    left: ByteDFA,
    right: ByteDFA,
    accepts: Callable[[NDArray[np.bool_], NDArray[np.bool_]], NDArray[np.bool_]],
    max_states: int,
) -> ByteDFA:
    """The automaton of pairs of states."""
    pair_class = left.byte_class.astype(np.int64) * 256 + right.byte_class
    _, first, column = np.unique(pair_class, return_index=True, return_inverse=True)
    left_next = left.next[:, left.byte_class[first]]
    right_next = right.next[:, right.byte_class[first]]
    pairs = [(DEAD, DEAD), (START, START)]
    number = {pair: i for i, pair in enumerate(pairs)}
    rows: list[list[int]] = []
    for a, b in pairs:
        row = []
        for pair in zip(left_next[a].tolist(), right_next[b].tolist(), strict=True):
            if pair not in number:
                number[pair] = len(pairs)
                pairs.append(pair)
                check_size(len(pairs), max_states)
            row.append(number[pair])
        rows.append(row)
    a, b = np.array(pairs).T
    table, accepting = minimise(
        np.array(rows, np.int32), accepts(left.accepting[a], right.accepting[b])
    )
    return canonical(table, accepting, column)


def equal_columns(table: NDArray[np.int32]) -> tuple[list[int], NDArray[np.int64]]:
    """The first of each set of equal columns, and each column's number among those."""
    number: dict[bytes, int] = {}
    first: list[int] = []
    column: list[int] = []
    for c, content in enumerate(np.ascontiguousarray(table.T)):
        k = number.setdefault(content.tobytes(), len(number))
        if k == len(first):
            first.append(c)
        column.append(k)
    return first, np.array(column)


def canonical(
    table: NDArray[np.int32],
    accepting: NDArray[np.bool_],
    column: NDArray[np.int64] = _EACH_BYTE,
) -> ByteDFA:
    """The `ByteDFA` of a DFA whose states that are reached are minimal already.

    Args:
        table: int32[S, K], with DEAD and START as in `ByteDFA`; columns may be equal.
        accepting: bool[S].
        column: int64[256], the column of each byte; if left out, K is 256.
    """
    first, merged = equal_columns(table)
    number: dict[int, int] = {}
    byte_class = [number.setdefault(k, len(number)) for k in merged[column].tolist()]
    small = table[:, [first[k] for k in number]]
    order = _breadth_first(small)
    if len(order) < len(table):  # columns may differ where nothing leads
        return canonical(_renumbered(small, order), accepting[order], np.array(byte_class))
    return ByteDFA(
        next=np.ascontiguousarray(_renumbered(small, order)),
        byte_class=np.array(byte_class, np.uint8),
        accepting=accepting[order].copy(),
    )


def _renumbered(table: NDArray[np.int32], order: NDArray[np.int64]) -> NDArray[np.int32]:
    """The rows in an order, and their entries by their new numbers."""
    number = np.zeros(len(table), np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    renumbered: NDArray[np.int32] = number[table[order]]
    return renumbered


def _breadth_first(table: NDArray[np.int32]) -> NDArray[np.int64]:
    """The dead state, then all states from the start, breadth first and by columns in order."""
    seen = {DEAD, START}
    for state in (queue := [START]):
        for target in dict.fromkeys(table[state].tolist()):
            if target not in seen:
                seen.add(target)
                queue.append(target)
    return np.array([DEAD, *queue])


def _reachable(table: NDArray[np.int32]) -> NDArray[np.bool_]:
    reached = np.zeros(len(table), np.bool_)
    reached[_breadth_first(table)] = True
    return reached


def _live(table: NDArray[np.int32], accepting: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The states from which an accepting one is reached; never the dead one."""
    tails, _ = np.nonzero(table)
    heads = table[table != DEAD]
    order = np.argsort(heads, kind="stable")
    tails = tails[order]
    begins = np.searchsorted(heads[order], np.arange(len(table) + 1))
    live = accepting.copy()
    live[DEAD] = False
    queue = np.flatnonzero(live).tolist()
    for state in queue:
        for tail in tails[begins[state] : begins[state + 1]].tolist():
            if not live[tail]:
                live[tail] = True
                queue.append(tail)
    return live


class _Partition:
    """A partition of 0…n−1 that is refined by marking elements and splitting off the marked."""

    def __init__(self, blocks: Sequence[Sequence[int]], n: int) -> None:
        self.elements = [e for block in blocks for e in block]
        self.place = [0] * n
        for place, element in enumerate(self.elements):
            self.place[element] = place
        self.block = [0] * n
        self.begin: list[int] = []
        self.end: list[int] = []
        for block in blocks:
            self.begin.append(self.end[-1] if self.end else 0)
            self.end.append(self.begin[-1] + len(block))
            for element in block:
                self.block[element] = len(self.begin) - 1
        self._n_marked = [0] * len(blocks)
        self._touched: list[int] = []

    def members(self, block: int) -> list[int]:
        return self.elements[self.begin[block] : self.end[block]]

    def mark(self, element: int) -> None:
        """Mark an element that is not marked yet: swap it to its block's beginning."""
        block = self.block[element]
        place = self.place[element]
        n_marked = self._n_marked[block]
        to = self.begin[block] + n_marked
        other = self.elements[to]
        self.elements[place], self.place[other] = other, place
        self.elements[to], self.place[element] = element, to
        if n_marked == 0:
            self._touched.append(block)
        self._n_marked[block] = n_marked + 1

    def split(self) -> None:
        """Split every block with marked elements; the smaller half becomes a new block."""
        for block in self._touched:
            n_marked, self._n_marked[block] = self._n_marked[block], 0
            begin, end = self.begin[block], self.end[block]
            middle = begin + n_marked
            if middle == end:
                continue
            if n_marked <= end - middle:
                low, high = begin, middle
                self.begin[block] = middle
            else:
                low, high = middle, end
                self.end[block] = middle
            new = len(self.begin)
            self.begin.append(low)
            self.end.append(high)
            self._n_marked.append(0)
            for element in self.elements[low:high]:
                self.block[element] = new
        self._touched.clear()


def _coarsest_partition(
    n_states: int,
    tails: NDArray[np.int64],
    labels: NDArray[np.int64],
    heads: NDArray[np.int64],
    accepting: NDArray[np.bool_],
) -> list[int]:
    """The block of equivalent states that each state is in, by Valmari's algorithm."""
    halves = [np.flatnonzero(accepting).tolist(), np.flatnonzero(~accepting).tolist()]
    states = _Partition([half for half in halves if half], n_states)
    by_label = [np.flatnonzero(labels == k).tolist() for k in np.unique(labels)]
    cords = _Partition(by_label, len(tails))
    order = np.argsort(heads, kind="stable")
    begins = np.searchsorted(heads[order], np.arange(n_states + 1)).tolist()
    incoming = order.tolist()
    tail_of = tails.tolist()
    block, cord = 1, 0
    while cord < len(cords.begin):
        for transition in cords.members(cord):
            states.mark(tail_of[transition])
        states.split()
        cord += 1
        while block < len(states.begin):
            for state in states.members(block):
                for transition in incoming[begins[state] : begins[state + 1]]:
                    cords.mark(transition)
            cords.split()
            block += 1
    return states.block


def _spelled(before: dict[int, tuple[int, int]], state: int) -> bytes:
    spelled = bytearray()
    while state != START:
        state, byte = before[state]
        spelled.append(byte)
    return bytes(reversed(spelled))
