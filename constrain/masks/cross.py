"""The hot loop over many lexemes: what is left of tokens, walked through lexer and parser.

To it the parser is a table, from stacks and a way to end a lexeme to the next thread. What the
table lacks is asked for, by the list `Asked`; `constrain.decode.crossing` answers.

Shapes: as in `kernels.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from constrain.automata.lexer import Alike
from constrain.kernel import kernel
from constrain.masks.kernels import (
    ALIKE,
    DEAD,
    DONE,
    EFFECT_BITS,
    NO_EFFECT,
    NO_ROOM,
    UNKNOWN,
    EffectTable,
    LexerTable,
    Path,
    _step,
    _step_beside,
    mark,
)
from constrain.masks.trie import FlatTrie

UNDERFLOW = -2
"""The answer to a question that looks below a cut stack."""

MIXED = -3
"""The answer about a line end of which nothing can be told without its indentation."""


class Memory(NamedTuple):
    """A hash table with open addressing; its length is at least twice `used[0]`."""

    key: NDArray[np.int64]  # UNKNOWN where free
    value: NDArray[np.int32]  # UNKNOWN where free
    used: NDArray[np.int64]  # [1]


class Todo(NamedTuple):
    """Nodes of a trie, and the threads that are to be walked from there, over a base."""

    thread: NDArray[np.int32]
    base: NDArray[np.int32]
    node: NDArray[np.int32]
    used: NDArray[np.int64]  # [1]


class Asked(NamedTuple):
    """Nodes of a trie, and the questions on which depends what becomes of the tokens there."""

    kind: NDArray[np.uint8]  # MOVE, END, SLICE or WHOLE
    wanted: NDArray[np.int64]  # the key to be answered
    key: NDArray[np.int64]  # of the move or the verdict, see `key_of`
    base: NDArray[np.int32]
    node: NDArray[np.int32]
    used: NDArray[np.int64]  # [1]


MOVE = 0  # what follows a lexeme?
END = 1  # can the text be completed?
SLICE = 2  # what are the stacks with the top slice of their base?
WHOLE = 3  # what are they with all of it?

CUT_OFF = 0
"""The base of which nothing is known; also that of whole stacks."""


class Known(NamedTuple):
    """What is known of the parser so far; the decoder adds to it.

    Threads, stacks and bases are numbers. Stacks are cut, and what was cut off is their *base*:
    what is known of the top is so over every base. A base is a slice of stacks on another base.
    """

    stacks: NDArray[np.int32]  # by thread
    state: NDArray[np.int32]  # by thread, the lexer state in which its lexeme begins
    pushed: NDArray[np.int32]  # by thread, a slice (stacks) to be put on the base, or UNKNOWN
    sure: NDArray[np.bool_]  # [L] every stack can be brought to an end from here
    moves: Memory  # (stacks, way to end a lexeme, effect) -> thread, DEAD, UNDERFLOW or MIXED
    verdicts: Memory  # (stacks, lexer state, effect) -> viable 1, or 0, or UNDERFLOW
    grafts: Memory  # (stacks, slice) -> stacks
    wholes: Memory  # (stacks, base) -> stacks with all of their base
    bases: Memory  # (slice, base) -> base
    slice: NDArray[np.int32]  # by base
    lower: NDArray[np.int32]  # by base, the base below


WAY_BITS = 24
INDENT = 1 << (WAY_BITS + EFFECT_BITS - 1)
"""Set in the key of a move: the stacks stand behind a line end, and the effect is still to come."""

BASE_BITS = 18
NODE_BITS = 24
MAX_BASES = 1 << BASE_BITS


@kernel(inline="always")
def key_of(stacks: int, way: int, effect: int) -> int:
    """The question what becomes of `stacks` by a way to end a lexeme, or in a lexer state."""
    return (((int(stacks) << WAY_BITS) | int(way)) << EFFECT_BITS) | int(effect)


@kernel(inline="always")
def _scattered(key: int) -> int:
    """The bits of a key well mixed, not negative: Fibonacci hashing without an overflow."""
    return (((key ^ (key >> 31)) & 0x7FFFFFFF) * 0x9E3779B) >> 16


@kernel(inline="always")
def find(memory: Memory, key: int) -> int:
    """Where a key is, or where it would be put."""
    size = memory.key.size
    place = _scattered(key) % size
    while memory.key[place] != key and memory.key[place] != UNKNOWN:
        place += 1
        if place == size:
            place = 0
    return place


@kernel
def put(memory: Memory, key: int, value: int) -> bool:
    """Remember `value` unless the key is there; whether it was not."""
    place = find(memory, key)
    if memory.key[place] == key:
        return False
    memory.key[place] = key
    memory.value[place] = value
    memory.used[0] += 1
    return True


@kernel
def put_all(memory: Memory, other: Memory) -> None:
    """Remember all that `other` does."""
    for place in range(other.key.size):
        if other.key[place] != UNKNOWN:
            put(memory, other.key[place], other.value[place])


@kernel(inline="always")
def _put_in_turn(seen: Memory, key: int, turn: int) -> bool:
    """`put`, where all that is not of this turn, by its value, is free."""
    size = seen.key.size
    place = _scattered(key) % size
    while seen.value[place] == turn:
        if seen.key[place] == key:
            return False
        place += 1
        if place == size:
            place = 0
    seen.key[place] = key
    seen.value[place] = turn
    seen.used[0] += 1
    return True


@kernel(inline="always")
def _has_room(asked: Asked, deeper: Asked, seen: Memory, todo: Todo) -> bool:
    """Whether what follows from one node has a place in every list."""
    return (
        asked.node.size > asked.used[0] + 1
        and deeper.node.size > deeper.used[0] + 1
        and todo.node.size > todo.used[0] + 1
        and seen.key.size > 2 * int(seen.used[0]) + 1
    )


@kernel(inline="always")
def _ask(asked: Asked, kind: int, wanted: int, key: int, base: int, node: int) -> None:
    index = asked.used[0]
    asked.kind[index], asked.wanted[index], asked.key[index] = kind, wanted, key
    asked.base[index], asked.node[index] = base, node
    asked.used[0] = index + 1


@kernel
def push(known: Known, slice_: int, base: int) -> int:
    """The base with a slice on top; UNKNOWN where there is no room for it."""
    over = (int(slice_) << BASE_BITS) | int(base)
    number = known.bases.value[find(known.bases, over)]
    if number == UNKNOWN:
        number = known.bases.used[0] + 1  # 0 is CUT_OFF
        if number >= known.slice.size or known.bases.key.size < 2 * (number + 1):
            return UNKNOWN
        put(known.bases, over, number)
        known.slice[number], known.lower[number] = slice_, base
    return int(number)


@kernel(inline="always")
def _follow(
    known: Known,
    asked: Asked,
    deeper: Asked,
    seen: Memory,
    todo: Todo,
    turn: int,
    key: int,
    base: int,
    node: int,
) -> bool:
    """Go on behind a lexeme that ends at `node`; False where there is no room for a base."""
    question = key & ((1 << (WAY_BITS + EFFECT_BITS)) - 1)
    effect = key & ((1 << EFFECT_BITS) - 1)
    while True:
        # A line end is taken first, and then its indentation: few stacks stand behind one.
        is_first = effect != 0 and key & INDENT == 0
        wanted = key ^ effect if is_first else key
        thread = known.moves.value[find(known.moves, wanted)]
        if thread == MIXED:
            is_first = False
            wanted = key
            thread = known.moves.value[find(known.moves, wanted)]
        if thread == UNKNOWN:
            _ask(asked, MOVE, wanted, key, base, node)
        elif thread == UNDERFLOW and base == CUT_OFF:
            _ask(deeper, MOVE, wanted, key, base, node)
        elif thread == UNDERFLOW:
            wanted = ((key >> (WAY_BITS + EFFECT_BITS)) << WAY_BITS) | int(known.slice[base])
            place = find(known.grafts, wanted)
            if known.grafts.key[place] != UNKNOWN:
                top = int(known.grafts.value[place])
                key = (top << (WAY_BITS + EFFECT_BITS)) | question
                base = known.lower[base]
                continue
            _ask(asked, SLICE, wanted, key, base, node)
        elif thread != DEAD:
            if known.pushed[thread] != UNKNOWN:
                base = push(known, known.pushed[thread], base)
                if base == UNKNOWN:
                    return False
            if is_first and known.state[thread] == DEAD:
                question |= INDENT
                key = (int(known.stacks[thread]) << (WAY_BITS + EFFECT_BITS)) | question
                continue
            met = (((int(thread) << BASE_BITS) | int(base)) << NODE_BITS) | int(node)
            if _put_in_turn(seen, met, turn):
                index = todo.used[0]
                todo.thread[index], todo.base[index], todo.node[index] = thread, base, node
                todo.used[0] = index + 1
        return True


@kernel(inline="always")
def _end(
    known: Known,
    asked: Asked,
    deeper: Asked,
    trie: FlatTrie,
    row: NDArray[np.int32],
    key: int,
    base: int,
    node: int,
) -> None:
    """Mark the tokens of `node` if they leave something viable."""
    whole = key
    if base != CUT_OFF:
        over = ((key >> (WAY_BITS + EFFECT_BITS)) << BASE_BITS) | int(base)
        stacks = int(known.wholes.value[find(known.wholes, over)])
        if stacks == UNKNOWN:
            _ask(asked, WHOLE, over, key, base, node)
            return
        question = key & ((1 << (WAY_BITS + EFFECT_BITS)) - 1)
        whole = (stacks << (WAY_BITS + EFFECT_BITS)) | question
    verdict = known.verdicts.value[find(known.verdicts, whole)]
    if verdict == UNKNOWN:
        _ask(asked, END, whole, whole, CUT_OFF, node)
    elif verdict == UNDERFLOW:
        _ask(deeper, END, whole, whole, CUT_OFF, node)
    elif verdict == 1:
        mark(trie, node, row)


@kernel
def _resume(
    known: Known,
    trie: FlatTrie,
    seen: Memory,
    turn: int,
    asked: Asked,
    deeper: Asked,
    todo: Todo,
    row: NDArray[np.int32],
) -> bool:
    """Go on with what was asked; False where there is no room, and what is left stays asked."""
    n_asked = asked.used[0]
    asked.used[0] = 0
    has_room = True
    for index in range(n_asked):
        kind, key = asked.kind[index], asked.key[index]
        base, node = asked.base[index], asked.node[index]
        has_room = has_room and _has_room(asked, deeper, seen, todo)
        if has_room and kind in (END, WHOLE):
            _end(known, asked, deeper, trie, row, key, base, node)
        elif has_room:
            has_room = _follow(known, asked, deeper, seen, todo, turn, key, base, node)
        if not has_room:
            _ask(asked, kind, key, key, base, node)
    return has_room


@kernel(inline="always")
def _goes_on(table: LexerTable, trie: FlatTrie, way: int, node: int) -> bool:
    """Whether some byte below `node` can begin a lexeme behind `way`."""
    child = node + 1
    while child < trie.end[node] and table.kills[way, table.byte_class[trie.byte[child]]]:
        child = trie.end[child]
    return bool(child < trie.end[node])


@kernel(inline="always")
def _meet(
    table: LexerTable,
    known: Known,
    trie: FlatTrie,
    seen: Memory,
    turn: int,
    asked: Asked,
    deeper: Asked,
    todo: Todo,
    ends: Asked,
    row: NDArray[np.int32],
    stacks: int,
    state: int,
    effect: int,
    base: int,
    node: int,
) -> bool:
    """What a node says that is reached alive; False where there is no room for all of it.

    Its tokens are marked, or put to `ends` if that has room for any; and where the lexeme may end
    here, what follows is put on the list.
    """
    way = table.cut[state]
    is_token = trie.first[node] != trie.first[node + 1]
    collects = ends.node.size > 0
    if is_token and known.sure[state] and not collects:
        mark(trie, node, row)
        is_token = False
    if not is_token and way == UNKNOWN:
        return True
    if not _has_room(asked, deeper, seen, todo):
        return False
    if is_token:
        key = key_of(stacks, state, effect)
        if not collects:
            _end(known, asked, deeper, trie, row, key, base, node)
        elif ends.used[0] == ends.node.size:
            return False
        else:
            _ask(ends, END, key, key, base, node)
    if way == UNKNOWN or not _goes_on(table, trie, way, node):
        return True
    key = key_of(stacks, way, effect)
    return _follow(known, asked, deeper, seen, todo, turn, key, base, node)


@kernel
def cross(
    table: LexerTable,
    effects: EffectTable,
    known: Known,
    trie: FlatTrie,
    path: Path,
    seen: Memory,
    turn: int,
    asked: Asked,
    deeper: Asked,
    todo: Todo,
    ends: Asked,
    row: NDArray[np.int32],
) -> int:
    """Walk tokens through all further lexemes, and mark in `row` those that end viable.

    seen:   the (thread, base, node) that have been on the list in this `turn`
    asked:  first the questions to begin with; then those that `known` has no answer to
    deeper: gains the questions that look below a cut stack
    todo:   is emptied
    ends:   if it has room, gains all ends, and `row` nothing

    Returns DONE, also where questions are left; or NO_EFFECT or NO_ROOM, and is to be called
    again, as nothing is lost.
    """
    if not _resume(known, trie, seen, turn, asked, deeper, todo, row):
        return NO_ROOM
    while todo.used[0] > 0:
        index = todo.used[0] - 1
        thread, base, root = todo.thread[index], todo.base[index], todo.node[index]
        todo.used[0] = index
        result = DONE
        stacks = known.stacks[thread]
        path.state[0] = known.state[thread]
        path.effect[0] = 0
        above = trie.depth[root]
        node = root + 1
        stop = trie.end[root]
        while node < stop:
            depth = trie.depth[node] - above
            state, effect = _step(table, effects, path, depth, trie.byte[node])
            if state == DEAD:
                node = trie.end[node]
                continue
            if effect == UNKNOWN:
                result = NO_EFFECT
                break
            if not _meet(
                table, known, trie, seen, turn, asked, deeper, todo, ends, row,
                stacks, state, effect, base, node,
            ):  # fmt: skip
                result = NO_ROOM
                break
            node += 1
        if result != DONE:  # to be walked again
            index = todo.used[0]
            todo.thread[index], todo.base[index], todo.node[index] = thread, base, root
            todo.used[0] = index + 1
            return result
    return DONE


@kernel
def enter(
    table: LexerTable,
    alike: Alike,
    known: Known,
    trie: FlatTrie,
    height: NDArray[np.int32],
    path: Path,
    seen: Memory,
    turn: int,
    asked: Asked,
    deeper: Asked,
    todo: Todo,
    ends: Asked,
    thread: int,
    row: NDArray[np.int32],
    changed: NDArray[np.int32],
) -> int:
    """Walk all tokens from a state that is like another one, where they do not end alike.

    What follows the lexeme is put on the list, for `cross`.

    thread:  begins at the root, in that state
    row:     gains the tokens that end inside the lexeme and viable
    changed: int32[W], gains all tokens that do not end as from the other state

    Returns DONE, or NO_ROOM and is to be called again.
    """
    start, stacks = known.state[thread], known.stacks[thread]
    path.state[0] = start
    path.effect[0] = alike.base[start]  # the states of the other walk
    apart = 0  # up to this node everything is changed
    node = 1
    stop = trie.end[0]
    while node < stop:
        state, apart = _step_beside(table, alike, trie, height, path, apart, node)
        if state == ALIKE:
            node = trie.end[node]
            continue
        if trie.first[node] != trie.first[node + 1]:
            mark(trie, node, changed)
        if state != DEAD and not _meet(
            table, known, trie, seen, turn, asked, deeper, todo, ends, row,
            stacks, state, 0, CUT_OFF, node,
        ):  # fmt: skip
            return NO_ROOM
        node += 1
    return DONE
