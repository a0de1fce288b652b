"""The hot loops: byte tries walked through the lexer's table, one lexeme or many.

Input:  a `FlatTrie`, the lexer's dense transitions, and what is known of the parser.
Output: where tokens end inside a lexeme, and where a lexeme may end inside a token.

The trie is in preorder, so a dead byte skips its subtree by one jump. Nothing here
allocates, raises, or knows about grammars: `constrain.masks.rows` and
`constrain.decode.crossing` own the arrays. What a kernel lacks it asks for, by its result.

Shapes: L lexer states, C byte classes, K ways to end a lexeme, N trie nodes, D bytes of the
longest token, E effects on indentation, W words of a mask.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from constrain.automata.lexer import Alike
from constrain.kernel import kernel
from constrain.masks.trie import FlatTrie

DEAD = 0
UNKNOWN = -1

DONE = 0
NO_ROOM = 1
NO_EFFECT = 2
"""Results of kernels."""

UNDERFLOW = -2
"""The answer to a question that looks below a cut stack."""

MIXED = -3
"""The answer about a line end of which nothing can be told without its indentation."""


class LexerTable(NamedTuple):
    """The lexer as arrays. Row DEAD of `next` is all DEAD; every row reached is known."""

    next: NDArray[np.int32]  # [L, C] -> lexer state
    byte_class: NDArray[np.uint8]  # [256] -> column of `next`
    cut: NDArray[np.int32]  # [L] the way in which the lexeme ends here, UNKNOWN: it may not
    is_line_end: NDArray[np.bool_]  # [L] the bytes move an indentation
    kills: NDArray[np.bool_]  # [K, C] no lexeme can begin so behind this way to end one


class EffectTable(NamedTuple):
    """What bytes inside a line end do to indentation, as an automaton from 0, no effect."""

    next: NDArray[np.int32]  # [E, kinds of bytes] -> effect, or UNKNOWN
    kind: NDArray[np.uint8]  # [256]
    wanted: NDArray[np.int32]  # [2] effect and kind that were UNKNOWN


class Hits(NamedTuple):
    """Trie nodes with the lexer state there, `used[0]` of them in use."""

    node: NDArray[np.int32]  # [N]
    state: NDArray[np.int32]  # [N]
    effect: NDArray[np.int32]  # [N] of the lexeme's bytes so far
    used: NDArray[np.int64]  # [1]


class Path(NamedTuple):
    """Scratch: what is known after each byte of the current path."""

    state: NDArray[np.int32]  # [D + 1]
    effect: NDArray[np.int32]  # [D + 1]


@kernel(inline="always")
def _step(
    table: LexerTable, effects: EffectTable, path: Path, depth: int, byte: int
) -> tuple[int, int]:
    """The lexer state and the effect after `byte`, and both on the path; UNKNOWN effects wanted."""
    state = table.next[path.state[depth - 1], table.byte_class[byte]]
    effect = 0
    if table.is_line_end[state]:
        effect = effects.next[path.effect[depth - 1], effects.kind[byte]]
        if effect == UNKNOWN:
            effects.wanted[0] = path.effect[depth - 1]
            effects.wanted[1] = effects.kind[byte]
    path.state[depth] = state
    path.effect[depth] = effect
    return state, effect


@kernel
def walk(
    table: LexerTable,
    effects: EffectTable,
    start: int,
    trie: FlatTrie,
    path: Path,
    ends: Hits,
    cuts: Hits,
) -> int:
    """Walk the whole trie from lexer state `start`; DONE, or NO_EFFECT to be called again.

    ends: becomes the nodes with tokens that are reached alive
    cuts: becomes the nodes inside tokens at which the lexeme may end
    """
    n_ends = 0
    n_cuts = 0
    path.state[0] = start
    path.effect[0] = 0
    node = 1
    stop = trie.end[0]
    while node < stop:
        state, effect = _step(table, effects, path, trie.depth[node], trie.byte[node])
        if state == DEAD:
            node = trie.end[node]
            continue
        if effect == UNKNOWN:
            return NO_EFFECT
        if trie.first[node] != trie.first[node + 1]:
            ends.node[n_ends] = node
            ends.state[n_ends] = state
            ends.effect[n_ends] = effect
            n_ends += 1
        if table.cut[state] != UNKNOWN and node + 1 != trie.end[node]:
            cuts.node[n_cuts] = node
            cuts.state[n_cuts] = state
            cuts.effect[n_cuts] = effect
            n_cuts += 1
        node += 1
    ends.used[0] = n_ends
    cuts.used[0] = n_cuts
    return DONE


@kernel
def heights(trie: FlatTrie) -> NDArray[np.int32]:
    """int32[N]: the most bytes below each node."""
    height = np.zeros(len(trie.byte), np.int32)
    for start in range(len(trie.byte) - 1, -1, -1):
        node = start + 1
        while node < trie.end[start]:
            height[start] = max(height[start], height[node] + 1)
            node = trie.end[node]
    return height


@kernel
def differ(
    table: LexerTable,
    alike: Alike,
    start: int,
    trie: FlatTrie,
    height: NDArray[np.int32],
    path: Path,
    ends: Hits,
    cuts: Hits,
    changed: NDArray[np.int32],
) -> int:
    """Walk from `start` where tokens do not end as they do from the state that it is like.

    ends, cuts: as of `walk`, at those nodes only
    changed: int32[N], becomes the nodes with tokens that may end otherwise

    Returns:
        How many nodes are in `changed`.
    """
    n_ends = 0
    n_cuts = 0
    n_changed = 0
    path.state[0] = start
    path.effect[0] = alike.base[start]  # the states of the other walk
    apart = 0  # up to this node everything is changed
    node = 1
    stop = trie.end[0]
    while node < stop:
        depth = trie.depth[node]
        column = table.byte_class[trie.byte[node]]
        state = table.next[path.state[depth - 1], column]
        if node >= apart:
            other = table.next[path.effect[depth - 1], column]
            is_near = alike.base[state] == other and height[node] <= alike.within[state]
            if state == other or (DEAD not in (state, other) and is_near):
                node = trie.end[node]
                continue
            path.effect[depth] = other
            if table.cut[state] != UNKNOWN or table.cut[other] != UNKNOWN or state == DEAD:
                apart = trie.end[node]
        path.state[depth] = state
        if trie.first[node] != trie.first[node + 1]:
            changed[n_changed] = node
            n_changed += 1
            if state != DEAD:
                ends.node[n_ends] = node
                ends.state[n_ends] = state
                ends.effect[n_ends] = 0
                n_ends += 1
        if state != DEAD and table.cut[state] != UNKNOWN and node + 1 != trie.end[node]:
            cuts.node[n_cuts] = node
            cuts.state[n_cuts] = state
            cuts.effect[n_cuts] = 0
            n_cuts += 1
        node += 1
    ends.used[0] = n_ends
    cuts.used[0] = n_cuts
    return n_changed


@kernel(inline="always")
def mark(trie: FlatTrie, node: int, row: NDArray[np.int32]) -> None:
    """Set in `row`, int32[W], the bits of the tokens spelled at a node."""
    for place in range(trie.first[node], trie.first[node + 1]):
        token = trie.tokens[place]
        row[token >> 5] |= np.int32(1) << np.int32(token & 31)


@kernel
def mark_all(trie: FlatTrie, nodes: NDArray[np.int32], row: NDArray[np.int32]) -> None:
    """Set in `row`, int32[W], the bits of the tokens spelled at some nodes."""
    for node in nodes:
        mark(trie, node, row)


class Forest(NamedTuple):
    """What is left of tokens behind the ways in which a lexeme ends inside them.

    One trie for each way, all in one preorder. R of them.
    """

    trie: FlatTrie
    root: NDArray[np.int32]  # [R]
    cut: NDArray[np.int32]  # [R] the way, see `LexerTable.cut`
    effect: NDArray[np.int32]  # [R] of the bytes before


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


EFFECT_BITS = 15
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
    collects = ends.node.size > 0
    room_for_ends = ends.node.size if collects else UNKNOWN
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
            if not _has_room(asked, deeper, seen, todo) or ends.used[0] == room_for_ends:
                result = NO_ROOM
                break
            if trie.first[node] != trie.first[node + 1]:
                key = key_of(stacks, state, effect)
                if collects:
                    _ask(ends, END, key, key, base, node)
                elif known.sure[state]:
                    mark(trie, node, row)
                else:
                    _end(known, asked, deeper, trie, row, key, base, node)
            way = table.cut[state]
            key = key_of(stacks, way, effect)
            goes_on = way != UNKNOWN and _goes_on(table, trie, way, node)
            if goes_on and not _follow(known, asked, deeper, seen, todo, turn, key, base, node):
                result = NO_ROOM
                break
            node += 1
        if result != DONE:  # to be walked again
            index = todo.used[0]
            todo.thread[index], todo.base[index], todo.node[index] = thread, base, root
            todo.used[0] = index + 1
            return result
    return DONE
