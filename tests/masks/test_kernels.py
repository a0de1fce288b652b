"""The kernels against each token followed byte by byte; compiled and interpreted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from constrain import bitmask
from constrain.decode.crossing import _asked, _memory, _todo, _with
from constrain.masks.cross import (
    BASE_BITS,
    CUT_OFF,
    END,
    INDENT,
    MIXED,
    MOVE,
    SLICE,
    UNDERFLOW,
    WAY_BITS,
    WHOLE,
    Asked,
    Known,
    _put_in_turn,
    cross,
    find,
    key_of,
    push,
    put,
    put_all,
)
from constrain.masks.kernels import (
    DEAD,
    EFFECT_BITS,
    NO_EFFECT,
    NO_ROOM,
    UNKNOWN,
    EffectTable,
    Hits,
    LexerTable,
    Path,
    mark_all,
    walk,
)
from constrain.masks.trie import FlatTrie
from tests.interpreted import interpreted
from tests.masks.test_trie import all_of, node_strings
from tests.timing import share

both = pytest.mark.parametrize("runs", [nullcontext, interpreted], ids=["jit", "py"])

LEXEME, LINE_END, BOTH = 0, 1, 2
"""Ways to end a lexeme: one without an effect, one taken before it, one only together with it."""

N_EFFECTS = 5
CLASSES = 3
# Few tokens, to shrink well, or enough to cross words and bit 31. Empty ones are no text.
TOKENS = st.sampled_from([0, 40]).flatmap(
    lambda n: st.lists(st.text("abc", max_size=5).map(str.encode), min_size=n, max_size=70)
)
KEYS = st.integers(0, (1 << 62) - 1) | st.integers(0, 9) | st.integers(0, 9).map(lambda n: n << 39)


class Tables(NamedTuple):
    """A lexer, and all effects of which the walk is told none before it asks."""

    lexer: LexerTable
    effects: NDArray[np.int32]  # [E, kinds], a byte's kind is its class


def matrix(draw: st.DrawFn, shape: tuple[int, ...], values: list[int]) -> NDArray[np.int32]:
    size = int(np.prod(shape))
    drawn = draw(st.lists(st.sampled_from(values), min_size=size, max_size=size))
    return np.array(drawn, np.int32).reshape(shape)


@st.composite
def tables(draw: st.DrawFn, ways: int = 2) -> Tables:
    """Up to six states over classes {a}, {b} and all others; many transitions are dead."""
    n_states = draw(st.integers(2, 6))
    following = matrix(draw, (n_states, CLASSES), [DEAD, *range(n_states)])
    byte_class = np.full(256, 2, np.uint8)
    byte_class[[97, 98]] = [0, 1]
    cut = matrix(draw, (n_states,), [UNKNOWN, *range(ways)])
    is_line_end = matrix(draw, (n_states,), [0, 1]).astype(np.bool_)
    following[DEAD], cut[DEAD], is_line_end[DEAD] = DEAD, UNKNOWN, False
    cut[~is_line_end & (cut != UNKNOWN)] = LEXEME
    effects = matrix(draw, (N_EFFECTS, CLASSES), list(range(1, N_EFFECTS)))
    kills = np.zeros((ways, CLASSES), np.bool_)
    return Tables(LexerTable(following, byte_class, cut, is_line_end, kills), effects)


def unlearned(lexer: LexerTable) -> EffectTable:
    """A table of effects that knows none."""
    unknown = np.full((N_EFFECTS, CLASSES), UNKNOWN, np.int32)
    return EffectTable(unknown, lexer.byte_class, np.zeros(2, np.int32))


def learn(known: EffectTable, truth: NDArray[np.int32]) -> None:
    effect, kind = known.wanted.tolist()
    assert known.next[effect, kind] == UNKNOWN, "asked for what is known"
    known.next[effect, kind] = truth[effect, kind]


def step(tables: Tables, state: int, effect: int, byte: int) -> tuple[int, int]:
    kind = tables.lexer.byte_class[byte]
    state = int(tables.lexer.next[state, kind])
    return state, int(tables.effects[effect, kind]) if tables.lexer.is_line_end[state] else 0


def follow(tables: Tables, state: int, text: bytes) -> tuple[int, int]:
    effect = 0
    for byte in text:
        state, effect = step(tables, state, effect, byte)
    return state, effect


def path(trie: FlatTrie) -> Path:
    room = int(trie.depth.max()) + 1
    return Path(np.full(room, -9, np.int32), np.full(room, -9, np.int32))


def new_hits(capacity: int) -> Hits:
    node, state, effect = (np.zeros(capacity, np.int32) for _ in range(3))
    return Hits(node, state, effect, np.full(1, -9))


def triples(hits: Hits) -> list[tuple[int, int, int]]:
    used = int(hits.used[0])
    columns = (array[:used].tolist() for array in hits[:3])
    return list(zip(*columns, strict=True))


@both
@given(tables=tables(), tokens=TOKENS, data=st.data())
def test_ends_and_cuts_are_those_of_every_token_followed_by_itself(
    runs: type, tables: Tables, tokens: list[bytes], data: st.DataObject
) -> None:
    trie, _ = all_of(tokens)
    start = data.draw(st.integers(1, len(tables.lexer.next) - 1), label="start")
    ends, cuts = new_hits(len(trie.byte)), new_hits(len(trie.byte))
    effects = unlearned(tables.lexer)

    with runs():
        while walk(tables.lexer, effects, start, trie, path(trie), ends, cuts) == NO_EFFECT:
            learn(effects, tables.effects)

    wanted_ends, wanted_cuts = [], []
    strings = node_strings(trie)
    for node, string in enumerate(strings):
        state, effect = follow(tables, start, string)
        if node and state != DEAD and string in tokens:
            wanted_ends.append((node, state, effect))
        is_longer = any(s.startswith(string) and s != string for s in strings)
        if node and tables.lexer.cut[state] != UNKNOWN and is_longer:
            wanted_cuts.append((node, state, effect))
    assert (triples(ends), triples(cuts)) == (wanted_ends, wanted_cuts)


@both
@given(tokens=TOKENS, data=st.data())
def test_marks_the_tokens_of_chosen_nodes_beside_those_there(
    runs: type, tokens: list[bytes], data: st.DataObject
) -> None:
    trie, _ = all_of(tokens)
    strings = node_strings(trie)
    nodes = data.draw(st.lists(st.integers(0, len(strings) - 1), max_size=9))
    before = data.draw(st.lists(st.booleans(), min_size=len(tokens), max_size=len(tokens)))
    row = bitmask.pack(np.array(before, np.bool_))
    with runs():
        mark_all(trie, np.array(nodes, np.int32), row)
    chosen = {strings[node] for node in nodes} - {b""}
    wanted = [was or token in chosen for was, token in zip(before, tokens, strict=True)]
    assert bitmask.unpack(row, len(tokens)).tolist() == wanted


# --- memory ----------------------------------------------------------------------------------


@both
@given(pairs=st.lists(st.tuples(KEYS, st.integers(0, 99)), max_size=30), others=st.lists(KEYS))
def test_a_memory_is_a_dictionary_that_keeps_the_first(
    runs: type, pairs: list[tuple[int, int]], others: list[int]
) -> None:
    memory, copy = _memory(len(pairs)), _memory(len(pairs) + 1)
    wanted: dict[int, int] = {}
    with runs():
        for key, value in pairs:
            assert put(memory, key, value) == (key not in wanted)
            wanted.setdefault(key, value)
        put_all(copy, memory)
        for one in (memory, copy):
            assert int(one.used[0]) == len(wanted)
            for key in (*wanted, *others):
                place = find(one, key)
                assert one.key[place] == (key if key in wanted else UNKNOWN)
                assert one.value[place] == wanted.get(key, UNKNOWN)


@both
@given(turns=st.lists(st.lists(KEYS, max_size=6), max_size=6))
def test_what_was_put_in_an_earlier_turn_is_free(runs: type, turns: list[list[int]]) -> None:
    with runs():
        seen = _memory(6)
        for turn, keys in enumerate(turns):
            seen.used[0] = 0
            met: set[int] = set()
            for key in keys:
                assert _put_in_turn(seen, key, turn) == (key not in met)
                met.add(key)
            assert int(seen.used[0]) == len(met)


# --- tokens through many lexemes -------------------------------------------------------------

Symbols = tuple[int, ...]
ABC = (0, 1, 2)
MAX_TOP = 2


class Underflow(Exception):  # noqa: N818 - as `StackUnderflow`
    pass


class Stack(NamedTuple):
    """One stack, its top last; what is below may be cut off."""

    symbols: Symbols
    is_cut: bool = False

    def top(self, n: int) -> Symbols | None:
        """The top `n` symbols; None if the whole stack has not so many."""
        if n > len(self.symbols):
            if self.is_cut:
                raise Underflow
            return None
        return self.symbols[len(self.symbols) - n :]

    def over(self, below: Stack) -> Stack:
        return Stack(below.symbols + self.symbols, below.is_cut) if self.is_cut else self


class Rule(NamedTuple):
    """What a lexeme does to a stack: the symbols looked at and popped, those pushed."""

    n_seen: int
    pushed: Symbols


@dataclass
class World:
    """A pushdown automaton in the place of a parser: arbitrary, but a function of what it sees."""

    tables: Tables
    starts: list[list[int]]  # by way, the lexer states in which the next lexeme may begin
    rules: list[Rule | None]
    looks: list[int]  # by lexer state, how many symbols a verdict sees
    sure: NDArray[np.bool_]

    def apply(self, stack: Stack, *what: int) -> Stack | None:
        rule = self.rules[hash(what) % len(self.rules)]
        if rule is None or (seen := stack.top(rule.n_seen)) is None:
            return None
        kept = stack.symbols[: len(stack.symbols) - rule.n_seen]
        pushed = rule.pushed if sum(seen) % 3 else rule.pushed[:1]
        return Stack(kept + pushed, stack.is_cut)

    def begin(self, stack: Stack, way: int) -> tuple[Stack, int] | None:
        """With the state in which the next lexeme begins."""
        top, states = stack.top(1), self.starts[way]
        return (stack, states[top[0] % len(states)]) if top else None

    def line_end(self, stack: Stack, way: int) -> Stack | None:
        return self.apply(stack, way)

    def indent(self, stack: Stack, way: int, effect: int) -> tuple[Stack, int] | None:
        after = self.apply(stack, way, effect, 1)
        return after and self.begin(after, way)

    def move(self, stack: Stack, way: int, effect: int) -> tuple[Stack, int] | None:
        """What becomes of a stack by a lexeme."""
        if way == LINE_END:
            ended = self.line_end(stack, way)
            return ended and self.indent(ended, way, effect)
        after = self.apply(stack, way, effect * (way == BOTH))
        return after and self.begin(after, way)

    def is_viable(self, stack: Stack, state: int, effect: int) -> bool:
        if self.sure[state]:
            return True
        top = stack.top(self.looks[state])
        return top is not None and hash((top, state, effect)) % 3 > 0


NOTHING = np.zeros((1, CLASSES), np.int32)
NOWHERE = World(
    Tables(LexerTable(NOTHING, np.zeros(256, np.uint8), *np.zeros((3, 1), np.int32)), NOTHING),
    [],
    [],
    [],
    np.zeros(1, np.bool_),
)


class Ended(NamedTuple):
    node: int
    stack: Stack
    state: int
    effect: int


def ends_of(world: World, trie: FlatTrie, thread: tuple[Stack, int], root: int) -> Iterator[Ended]:
    """How the tokens below a node end alive, by recursion."""
    stack, start = thread
    places = {0: (start, 0)}
    node = root + 1
    while node < trie.end[root]:
        depth = int(trie.depth[node] - trie.depth[root])
        state, effect = step(world.tables, *places[depth - 1], int(trie.byte[node]))
        places[depth] = state, effect
        if state == DEAD:
            node = int(trie.end[node])
            continue
        if trie.first[node] != trie.first[node + 1]:
            yield Ended(node, stack, state, effect)
        way = int(world.tables.lexer.cut[state])
        if way != UNKNOWN and (after := world.move(stack, way, effect)):
            yield from ends_of(world, trie, after, node)
        node += 1


@dataclass
class Host:
    """Answers what `cross` asks, with as little room as can be."""

    world: World
    trie: FlatTrie
    room: int
    stacks: list[Stack] = field(default_factory=list)
    threads: list[tuple[int, int, int]] = field(  # the first is none at all
        default_factory=lambda: [(UNKNOWN, DEAD, UNKNOWN)]
    )
    results: set[int] = field(default_factory=set)
    turn: int = 0

    def __post_init__(self) -> None:
        self.number(Stack(()))
        self.moves, self.verdicts, self.grafts, self.wholes, self.bases = (
            _memory(self.room) for _ in range(5)
        )
        self.slices = np.zeros((2, self.room), np.int32)
        self.seen = _memory(self.room)
        self.asked, self.deeper = _asked(self.room), _asked(self.room)
        self.todo = _todo(self.room)
        self.effects = unlearned(self.world.tables.lexer)

    def number(self, stack: Stack) -> int:
        if stack not in self.stacks:
            self.stacks.append(stack)
        return self.stacks.index(stack)

    def base_of(self, stack: Stack | None, sizes: list[int]) -> int:
        """The base that is a whole stack, in slices of some sizes."""
        slices = []
        symbols = stack.symbols if stack else ()
        for size in [*sizes, len(symbols)]:
            if symbols:
                slices.append(Stack(symbols[-size:], is_cut=size < len(symbols)))
                symbols = symbols[:-size]
        base = CUT_OFF
        for slice_ in reversed(slices):
            number = self.number(slice_)
            while (over := push(self.known, number, base)) == UNKNOWN:
                self.grow_bases()
            base = over
        return base

    def whole(self, stack: Stack, base: int) -> Stack:
        while base != CUT_OFF:
            slice_, base = self.slices[:, base].tolist()
            stack = stack.over(self.stacks[slice_])
        return stack

    def grow_bases(self) -> None:
        larger = _memory(len(self.bases.key) // 2 + 1)
        put_all(larger, self.bases)
        self.bases = larger
        self.slices = np.append(self.slices, np.zeros((2, 1), np.int32), axis=1)

    @property
    def known(self) -> Known:
        stacks, state, pushed = np.array(self.threads, np.int32).T.copy()
        memories = (self.moves, self.verdicts, self.grafts, self.wholes, self.bases)
        slice_, lower = self.slices
        return Known(stacks, state, pushed, self.world.sure, *memories, slice_, lower)

    def begin(self, stack: Stack, roots: list[tuple[int, int, int]], base: int) -> None:
        """Ask what becomes of a stack at (node, way, effect)."""
        keys = [key_of(self.number(stack), way, effect) for _, way, effect in roots]
        self.ask([MOVE] * len(keys), keys, base, [node for node, _, _ in roots])

    def ask(self, kinds: list[int], keys: list[int], base: int, nodes: list[int]) -> None:
        n = len(keys)
        self.asked = _longer(self.asked, n)
        self.asked.kind[:n], self.asked.wanted[:n], self.asked.key[:n] = kinds, keys, keys
        self.asked.base[:n], self.asked.node[:n] = base, nodes
        self.asked.used[0], self.deeper.used[0], self.seen.used[0] = n, 0, 0
        self.turn += 1

    def run(self, row: NDArray[np.int32], ends: Asked) -> Asked:
        """`cross` until nothing is asked."""
        trie, lexer = self.trie, self.world.tables.lexer
        while True:
            before = self.asked.used[0], self.todo.used[0]
            result = cross(
                lexer, self.effects, self.known, trie, path(trie), self.seen, self.turn,
                self.asked, self.deeper, self.todo, ends, row,
            )  # fmt: skip
            self.results.add(result)
            if result == NO_EFFECT:
                learn(self.effects, self.world.tables.effects)
            elif result == NO_ROOM:
                assert before != (0, 0)
                self.asked, self.deeper = _roomier(self.asked), _roomier(self.deeper)
                self.todo, ends = _roomier(self.todo), _roomier(ends)
                if len(self.seen.key) <= 2 * self.seen.used[0] + 1:
                    self.seen = _memory(len(self.seen.key))
                self.grow_bases()
            elif self.asked.used[0]:
                self.answer()
            else:
                assert self.todo.used[0] == 0
                return ends

    def answer(self) -> None:
        used = int(self.asked.used[0])
        for kind, key in {*zip(self.asked.kind[:used], self.asked.wanted[:used], strict=True)}:
            asked = int(key)
            if kind == MOVE:
                self.moves = _with(self.moves, asked, self.move(asked))
            elif kind == END:
                self.verdicts = _with(self.verdicts, asked, self.verdict(asked))
            elif kind == SLICE:
                upper, lower = divmod(asked, 1 << WAY_BITS)
                number = self.number(self.stacks[upper].over(self.stacks[lower]))
                self.grafts = _with(self.grafts, asked, number)
            else:
                assert kind == WHOLE
                upper, base = divmod(asked, 1 << BASE_BITS)
                number = self.number(self.whole(self.stacks[upper], base))
                self.wholes = _with(self.wholes, asked, number)

    def parts(self, key: int) -> tuple[Stack, int, int]:
        rest, effect = divmod(key, 1 << EFFECT_BITS)
        number, what = divmod(rest, 1 << WAY_BITS)
        return self.stacks[number], what, effect

    def move(self, key: int) -> int:
        stack, way, effect = self.parts(key & ~INDENT)
        world = self.world
        try:
            if key & INDENT:
                return self.thread(world.indent(stack, way, effect))
            if way == LINE_END:
                assert not effect, "a line end is taken first"
                ended = world.line_end(stack, way)
                return self.thread(ended and (ended, DEAD))
            if way == BOTH and not effect:
                return MIXED
            return self.thread(world.move(stack, way, effect))
        except Underflow:
            return UNDERFLOW

    def thread(self, thread: tuple[Stack, int] | None) -> int:
        """Its number, and a slice is pushed of what a stack is too high for."""
        if thread is None:
            return DEAD
        (symbols, is_cut), state = thread
        pushed = UNKNOWN
        if len(symbols) > MAX_TOP:
            pushed = self.number(Stack(symbols[:-1], is_cut))
            symbols, is_cut = symbols[-1:], True
        one = self.number(Stack(symbols, is_cut)), state, pushed
        if one not in self.threads:
            self.threads.append(one)
        return self.threads.index(one)

    def verdict(self, key: int) -> int:
        try:
            return int(self.world.is_viable(*self.parts(key)))
        except Underflow:
            return UNDERFLOW


def _longer(items: Any, room: int) -> Any:
    """The same `Asked` or `Todo` with at least so much room."""
    *arrays, used = items
    more = max(0, room - len(items.node))
    return type(items)(*(np.append(a, np.zeros(more, a.dtype)) for a in arrays), used)


def _roomier(items: Any) -> Any:
    """The same, or twice the room where there is none for two more; what has none gets none."""
    is_full = items.used[0] + 2 > len(items.node)
    return _longer(items, 2 * len(items.node)) if is_full else items


class Scene(NamedTuple):
    """Where tokens cross the ends of lexemes."""

    world: World
    tokens: list[bytes]
    trie: FlatTrie
    roots: list[tuple[int, int, int]]  # node, way, effect
    stack: Stack  # a whole one
    depth: int  # at which it is cut
    slices: list[int]  # in which is put under it what was cut off
    room: int  # of all arrays at first

    def ends(self) -> set[Ended]:
        found: set[Ended] = set()
        for node, way, effect in self.roots:
            if after := self.world.move(self.stack, way, effect):
                found.update(ends_of(self.world, self.trie, after, node))
        return found

    def allowed(self) -> set[int]:
        """The tokens that end viable."""
        return {
            token
            for node, stack, state, effect in self.ends()
            if self.world.is_viable(stack, state, effect)
            for token in self.tokens_of(node, node + 1)
        }

    def tokens_of(self, node: int, stop: int) -> list[int]:
        """Those spelled at nodes up to `stop`."""
        found: list[int] = self.trie.tokens[self.trie.first[node] : self.trie.first[stop]].tolist()
        return found

    def cut(self) -> tuple[Stack, Stack | None]:
        """The stack's top, and what is below."""
        symbols = self.stack.symbols
        place = len(symbols) - self.depth
        if place <= 0:
            return self.stack, None
        return Stack(symbols[place:], is_cut=True), Stack(symbols[:place])


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    drawn = draw(tables(ways=3))
    lexer = drawn.lexer
    n_states = len(lexer.next)
    rule = st.builds(Rule, st.integers(0, 2), st.lists(st.sampled_from(ABC), max_size=4).map(tuple))
    start = st.lists(st.integers(1, n_states - 1), min_size=1, max_size=2)
    world = World(
        drawn,
        starts=draw(st.lists(start, min_size=3, max_size=3)),
        rules=draw(st.lists(rule | st.none(), min_size=1, max_size=5)),
        looks=draw(st.lists(st.integers(0, 2), min_size=n_states, max_size=n_states)),
        sure=np.array(draw(st.lists(st.booleans(), min_size=n_states, max_size=n_states))),
    )
    for way, states in enumerate(world.starts):
        is_dead = (lexer.next[states] == DEAD).all(axis=0)
        lexer.kills[way] = is_dead & draw(st.booleans())
    tokens = draw(st.lists(st.text("abc", max_size=5).map(str.encode), max_size=12))
    trie, _ = all_of(tokens)
    node = st.integers(0, min(9, len(trie.byte) - 1))
    root = st.tuples(node, st.integers(0, 2), st.integers(1, N_EFFECTS - 1))
    return Scene(
        world,
        tokens,
        trie,
        draw(st.lists(root, min_size=1, max_size=6, unique=True)),
        Stack(tuple(draw(st.lists(st.sampled_from(ABC), min_size=1, max_size=6)))),
        draw(st.integers(1, 3)),
        draw(st.lists(st.integers(1, 3), max_size=2)),
        draw(st.integers(2, 4)),
    )


def tell_results(host: Host) -> None:
    for result, name in ((NO_ROOM, "no room"), (NO_EFFECT, "no effect")):
        event(f"{name}: {result in host.results}")
    event(f"bases: {len(np.unique(host.slices[0])) > 1}")


@both
@given(scene=scenes())
def test_crossing_marks_what_a_recursion_finds(runs: type, scene: Scene) -> None:
    host = Host(scene.world, scene.trie, scene.room)
    row = np.zeros(bitmask.n_words(len(scene.tokens)), np.int32)
    with runs():
        host.begin(scene.stack, scene.roots, CUT_OFF)
        host.run(row, _asked(0))
    assert set(bitmask.token_ids(row).tolist()) == scene.allowed()
    assert host.deeper.used[0] == 0
    tell_results(host)


@both
@given(scene=scenes())
def test_a_cut_stack_tells_what_it_can_and_the_rest_tells_what_was_cut_off(
    runs: type, scene: Scene
) -> None:
    host = Host(scene.world, scene.trie, scene.room)
    top, below = scene.cut()
    row = np.zeros(bitmask.n_words(len(scene.tokens)), np.int32)
    with runs():
        host.begin(top, scene.roots, CUT_OFF)
        host.run(row, _asked(0))
        allowed = scene.allowed()
        sure = set(bitmask.token_ids(row).tolist())
        assert sure <= allowed
        left = int(host.deeper.used[0])
        kinds, keys, nodes = (
            column[:left].tolist()
            for column in (host.deeper.kind, host.deeper.key, host.deeper.node)
        )
        assert left == 0 or below is not None
        open_ = {t for node in nodes for t in scene.tokens_of(node, int(scene.trie.end[node]))}
        assert allowed - sure <= open_
        host.ask(kinds, keys, host.base_of(below, scene.slices), nodes)
        host.run(row, _asked(0))
    assert set(bitmask.token_ids(row).tolist()) == allowed
    assert host.deeper.used[0] == 0
    tell_results(host)


@both
@share(2)
@given(scene=scenes())
def test_all_ends_are_collected_with_their_whole_stacks(runs: type, scene: Scene) -> None:
    host = Host(scene.world, scene.trie, scene.room)
    top, below = scene.cut()
    with runs():
        host.begin(top, scene.roots, host.base_of(below, scene.slices))
        ends = host.run(np.zeros(0, np.int32), _asked(scene.room))
    found = set()
    for index in range(int(ends.used[0])):
        stack, state, effect = host.parts(int(ends.key[index]))
        whole = host.whole(stack, int(ends.base[index]))
        found.add(Ended(int(ends.node[index]), whole, state, effect))
    assert found == scene.ends()


@both
@share(3)
@given(scenes(), st.lists(st.integers(1, 3), max_size=3))
def test_what_was_remembered_serves_other_stacks(runs: type, scene: Scene, tops: list[int]) -> None:
    host = Host(scene.world, scene.trie, scene.room)
    with runs():
        for depth in (scene.depth, *tops):
            other = scene._replace(depth=depth, stack=Stack(scene.stack.symbols[:depth] * 2))
            top, below = other.cut()
            row = np.zeros(bitmask.n_words(len(scene.tokens)), np.int32)
            host.begin(top, scene.roots, host.base_of(below, scene.slices))
            host.run(row, _asked(0))
            assert set(bitmask.token_ids(row).tolist()) == other.allowed()


@both
@given(
    over=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=30),
    room=st.integers(2, 20),
)
def test_equal_slices_on_equal_bases_are_one_base(
    runs: type, over: list[tuple[int, int]], room: int
) -> None:
    host = Host(NOWHERE, all_of([])[0], room)
    known = host.known
    numbers: dict[tuple[int, int], int] = {}
    with runs():
        for slice_, base in over:
            if base > len(numbers):
                continue
            number = push(known, slice_, base)
            if number == UNKNOWN:
                assert (slice_, base) not in numbers
                assert len(numbers) == room - 1
                continue
            assert numbers.setdefault((slice_, base), len(numbers) + 1) == number
            assert (known.slice[number], known.lower[number]) == (slice_, base)


def test_a_key_tells_its_parts() -> None:
    for parts in ((0, 0, 0), (1, 2, 3), ((1 << 24) - 1, (1 << 23) - 1, (1 << EFFECT_BITS) - 1)):
        key = key_of(*parts)
        rest, effect = divmod(key, 1 << EFFECT_BITS)
        assert (*divmod(rest, 1 << WAY_BITS), effect) == parts
        assert not key & INDENT
