"""`compile`: a grammar and a vocabulary become a `MaskStore`, from which matchers are made.

Grammar ─► ByteDFAs ─► Lexer ──► LexerRows ─► Engine ─► Matcher
      └──► NormalGrammar ─► LRAutomaton ─────────┘
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Self

import numpy as np

from constrain.automata.adjacency import Adjacency
from constrain.automata.dfa import ByteDFA, subtract
from constrain.automata.lexer import DEAD, Lexer, join_terminals
from constrain.automata.lr0 import build_lr0
from constrain.automata.regex import compile_pattern
from constrain.decode.ceiling import Ceilings
from constrain.decode.completion import (
    IMPOSSIBLE,
    Completer,
    CompletionCosts,
    spelling_steps,
    symbol_costs,
)
from constrain.decode.engine import Engine
from constrain.decode.layout import ignored_by_place, make_parser
from constrain.decode.machine import Machine, Thread
from constrain.decode.masker import Masker
from constrain.decode.matcher import Matcher
from constrain.decode.stacks import StackUnderflow
from constrain.errors import (
    EmptyTerminalError,
    PatternError,
    UnreachableTerminalError,
    UnspellableError,
    ViabilityLimitError,
)
from constrain.grammar.normalize import BRACKETS, OUTSIDE, NormalGrammar, normalize
from constrain.grammar.rules import Grammar, Indentation, Semicolons, Terminal
from constrain.grammar.sets import (
    as_lexed,
    bits,
    first_sets,
    follow_symbols,
    follow_terminals,
)
from constrain.masks.rows import LexerRow, Walker
from constrain.masks.storefile import StoreContent, read_store, store_name, write_store
from constrain.pools import pool_of
from constrain.schema.grammar import SchemaGrammar
from constrain.schema.tags import AnyGrammar, TagGrammar
from constrain.vocabulary import Vocabulary

WARM_DEPTH = 6
MAX_WARM_CONFIGURATIONS = 500
MAX_WARM_STATES = 2_000
"""How many lexer states `compile` computes rows for; the others are computed on demand."""

MAX_WARM_BYTES = 64 << 20
"""Where these rows end: a big grammar's are megabytes each, and computed in some milliseconds."""

MAX_SCHEMAS = 64
"""Schemas whose engines are kept, the ones last used."""

Progress = Callable[[int, int], None]


class MaskStore:
    """A grammar compiled for a vocabulary. Immutable in meaning, growing in memory.

    Attributes:
        grammar: what texts may be.
        vocabulary: what tokens write.
        words: W, the int32 words of a mask row.

    Guarantee: masks of its matchers are exact (see `Matcher`). Rows that the store does
    not hold are computed when first needed and kept.

    Source: SynCode's DFA mask store, arXiv:2403.01632. Differs: rows are exact over any
    number of terminals, and over bytes.
    """

    def __init__(self, grammar: AnyGrammar, vocabulary: Vocabulary, engine: Engine) -> None:
        self.grammar = grammar
        self.vocabulary = vocabulary
        self.words = engine.words
        self._engine = engine

    @property
    def fingerprint(self) -> str:
        """Of the grammar and the vocabulary together."""
        return f"{self.grammar.fingerprint[:16]}-{self.vocabulary.fingerprint[:16]}"

    def matcher(self) -> Matcher:
        """A matcher for one new sequence."""
        return Matcher(self._engine)

    def warm(self, progress: Progress | None = None) -> None:
        """Compute the rows of the lexer states near the grammar's constructs.

        Args:
            progress: called with (rows done, rows in all).
        """
        with self._engine.lock:
            states = _near_states(self._engine.machine)
            n_bytes = 0
            for done, state in enumerate(states):
                row = self._engine.masker.lexer_row(state)
                n_bytes += sum(array.nbytes for array in (row.inside, *row.forest.trie))
                is_last = n_bytes > MAX_WARM_BYTES
                if progress is not None:
                    progress(len(states) if is_last else done + 1, len(states))
                if is_last:
                    break

    def forget(self) -> None:
        """Drop the finished masks in memory; what is stored stays."""
        with self._engine.lock:
            self._engine.forget()
            self._engine.masker.forget()

    def memory(self) -> dict[str, int]:
        """Bytes of arrays by what they are for; those of schemas over a vocabulary are shared.

        vocabulary: the tokens' trie; lexer: its transitions; rows: what tokens do from its states;
        masks: those that are finished; answers: what the parser said. Each is bounded:
        `MAX_WARM_BYTES` and `MAX_POOL_ROWS` rows, `MAX_ROW_BYTES` masks, `MAX_ANSWERS` answers.
        """
        with self._engine.lock:
            masker = self._engine.masker
            walker = masker.walker
            return {
                "vocabulary": walker.n_bytes(),
                "lexer": walker.lexer.next.nbytes,
                "rows": sum(row.n_bytes() for row in masker.lexer_rows.values()),
                "masks": masker.n_bytes(),
                "answers": masker.crossing.n_bytes(),
            }

    def save(self, path: Path | str) -> None:
        """Write the store to `path`, through a temporary name.

        Raises:
            OSError: the folder cannot be written.
        """
        with self._engine.lock:
            lexer = self._engine.machine.lexer
            content = StoreContent(
                grammar=self.grammar.fingerprint,
                vocabulary=self.vocabulary.fingerprint,
                members=tuple(lexer.members),
                rows=dict(self._engine.masker.lexer_rows),
                effects=tuple(self._engine.masker.walker.effects.spelled),
            )
            write_store(Path(path), content)

    @classmethod
    def load(cls, path: Path | str, grammar: Grammar, vocabulary: Vocabulary) -> Self:
        """Map the store at `path`, which must be of this grammar and vocabulary.

        Raises:
            StoreCorruptError: the file is truncated, damaged or no store.
            StoreVersionError: it has another format version.
            StoreMismatchError: it was compiled for another grammar or vocabulary.
            FileNotFoundError: there is no such file.
        """
        content = read_store(
            Path(path), grammar=grammar.fingerprint, vocabulary=vocabulary.fingerprint
        )
        return cls(grammar, vocabulary, _build_engine(grammar, vocabulary, content))


def compile(
    grammar: AnyGrammar,
    vocabulary: Vocabulary,
    cache_dir: Path | str | None = None,
    *,
    progress: Progress | None = None,
) -> MaskStore:
    """Compile `grammar` for `vocabulary`.

    Args:
        grammar: what texts may be.
        vocabulary: what tokens write.
        cache_dir: a folder for stores, in which a second call finds the first one's work.
            Without one nothing is written, and rows are computed as they are needed. Stores of
            schemas and tags are never written; the ones last used are kept in memory.
        progress: called with (rows done, rows in all) while rows are computed ahead.

    Raises:
        GrammarError: the grammar cannot be used; the subclass says why.
        StoreError: a file in `cache_dir` is damaged or not what its name says.
    """
    if isinstance(grammar, SchemaGrammar | TagGrammar):
        return _schema_store(grammar, vocabulary)
    if cache_dir is None:
        store = MaskStore(grammar, vocabulary, _build_engine(grammar, vocabulary, None))
        if progress is not None:
            store.warm(progress)
        return store
    path = Path(cache_dir) / store_name(grammar.fingerprint, vocabulary.fingerprint)
    if path.exists():
        return MaskStore.load(path, grammar, vocabulary)
    store = MaskStore(grammar, vocabulary, _build_engine(grammar, vocabulary, None))
    store.warm(progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    store.save(path)
    return store


@lru_cache(maxsize=MAX_SCHEMAS)
def _schema_store(grammar: SchemaGrammar | TagGrammar, vocabulary: Vocabulary) -> MaskStore:
    extra = grammar.extra_bytes if isinstance(grammar, TagGrammar) else b""
    return MaskStore(grammar, vocabulary, pool_of(vocabulary, extra).engine(grammar))


def terminal_dfa(terminal: Terminal, *, in_context: bool) -> ByteDFA:
    """The DFA of a terminal.

    Args:
        terminal: its pattern is compiled, unless it is an automaton already.
        in_context: its lexemes stand beside others; see `compile_pattern`.

    Raises:
        PatternError: its pattern is malformed or not regular.
        EmptyTerminalError: it matches the empty string.
    """
    try:
        if isinstance(terminal.automaton, ByteDFA):
            dfa = terminal.automaton
        else:
            dfa = compile_pattern(terminal.pattern, in_context=in_context)
        if terminal.reserved:
            dfa = subtract(dfa, compile_pattern(terminal.reserved, in_context=in_context))
    except PatternError as error:
        raise error.of_terminal(terminal.name) from error
    if dfa.matches(b""):
        raise EmptyTerminalError(
            f"terminal {terminal.name} matches the empty string, so that a lexeme of it has "
            f"no end; make it match one character at least and the place optional: "
            f"{terminal.pattern!r}"
        )
    return dfa


@contextmanager
def _no_collections() -> Iterator[None]:
    """Pause the collector of cyclic garbage: tables are many objects, and have no cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_no_collections()
def _build_engine(grammar: Grammar, vocabulary: Vocabulary, content: StoreContent | None) -> Engine:
    in_context = not _has_only_one_lexeme(grammar.check())
    dfas = [terminal_dfa(terminal, in_context=in_context) for terminal in grammar.terminals]
    empty = [t.name for t, dfa in zip(grammar.terminals, dfas, strict=True) if dfa.is_empty()]
    normal = normalize(grammar, empty)
    names = {terminal.name: i for i, terminal in enumerate(grammar.terminals)}
    ignored = frozenset(names[name] for name in grammar.ignore if name not in empty)
    has_margin = isinstance(grammar.layout, Indentation)
    refusals = _compile_all([t.refused for t in grammar.terminals], in_context=in_context)
    reserved = _compile_all([t.reserved for t in grammar.terminals], in_context=in_context)
    guards = [names[name] for name in grammar.guards]
    table = join_terminals(
        dfas, refusals, reserved, guards, apart=b" \t\f\r\n\\#" if has_margin else b""
    )
    lexer = Lexer(grammar, table)
    rows: dict[int, LexerRow] = {}
    if content is not None:
        lexer.restore(content.members)
        rows = content.rows
    used, follow = _neighbours(grammar, normal, names)
    adjacency = Adjacency(
        lexer,
        follow,
        ignored,
        used,
        vocabulary.single_bytes,
        _ignored_behind(grammar, normal, names, ignored),
        _together(grammar, normal, names, ignored),
        partial(_can_do_without, normal),
    )
    machine = Machine(lexer, make_parser(grammar, build_lr0(normal), ignored))
    steps = spelling_steps(vocabulary, table.byte_class, adjacency.spellable)
    costs = CompletionCosts(machine.parser, table, steps.occurring)
    completer = Completer(machine, steps, costs)
    walker = Walker(lexer, vocabulary)
    if content is not None:
        for effect in content.effects:
            walker.effects.number(effect)
    masker = Masker(
        machine,
        walker,
        adjacency,
        completer,
        rows,
    )
    _check_language(grammar, machine, adjacency, completer)
    ceilings = Ceilings(machine, adjacency)
    return Engine(grammar, vocabulary, machine, masker, completer, ceilings)


def _compile_all(patterns: Sequence[str], *, in_context: bool) -> dict[int, ByteDFA]:
    """The DFAs of the patterns that are not empty, by their place."""
    return {
        i: compile_pattern(pattern, in_context=in_context)
        for i, pattern in enumerate(patterns)
        if pattern
    }


def _neighbours(
    grammar: Grammar, normal: NormalGrammar, ids: dict[str, int]
) -> tuple[set[int], list[int]]:
    """The terminals that have lexemes, and per terminal what may stand behind it, as bits.

    A layout puts line ends anywhere, and anything behind them: too many neighbours are no harm.
    """
    n_terminals = len(grammar.terminals)
    used = {normal.lexed[s] for _, rhs in normal.productions for s in rhs if s < len(normal.lexed)}
    follow = follow_terminals(normal)
    if grammar.layout is None:
        return used, follow
    if isinstance(grammar.layout, Indentation):
        newlines = {ids[grammar.layout.newline]}
        used -= {ids[grammar.layout.indent], ids[grammar.layout.dedent]}
        pairs = zip(normal.lexed, normal.places, strict=True)
        anywhere = {terminal for terminal, place in pairs if place == BRACKETS}
    else:
        newlines = {ids[name] for name in grammar.layout.newlines}
        anywhere = set(range(n_terminals))
    line_end = sum(1 << terminal for terminal in newlines)
    others = sum(1 << terminal for terminal in used - newlines)
    return used | newlines, [
        others if t in newlines else follow[t] & (others | line_end) | line_end * (t in anywhere)
        for t in range(n_terminals)
    ]


def _ignored_behind(
    grammar: Grammar, normal: NormalGrammar, ids: dict[str, int], ignored: frozenset[int]
) -> dict[int, frozenset[int]]:
    """Per terminal, what is ignored behind it wherever it stands."""
    by_place = ignored_by_place(grammar.layout, ids, ignored)
    found: dict[int, frozenset[int]] = {}
    stand = {s for _, rhs in normal.productions for s in rhs if s < len(normal.lexed)}
    for symbol in sorted(stand):
        terminal, here = normal.lexed[symbol], by_place[normal.places[symbol]]
        found[terminal] = found.get(terminal, here) & here
    return found


def _together(
    grammar: Grammar, normal: NormalGrammar, ids: dict[str, int], ignored: frozenset[int]
) -> dict[int, int]:
    """Per terminal, those that may be candidates together with it, as bits.

    Candidates may all follow the lexeme before, or begin a text, or are ignored there.
    """
    always = 0
    if isinstance(grammar.layout, Semicolons):
        always = sum(1 << ids[name] for name in grammar.layout.newlines)
    by_place = ignored_by_place(grammar.layout, ids, ignored)
    skipped = [always | sum(1 << t for t in members) for members in by_place]
    groups = {as_lexed(normal, first_sets(normal)[normal.start]) | skipped[OUTSIDE]}
    for members, place in zip(follow_symbols(normal), normal.places, strict=True):
        groups.add(members | skipped[place])
    found: dict[int, int] = {}
    for group in groups:
        for terminal in bits(group):
            found[terminal] = found.get(terminal, 0) | group
    return found


def _can_do_without(normal: NormalGrammar, terminals: frozenset[int]) -> bool:
    """Whether every stack can be completed without lexemes of some terminals.

    What an item of a state still lacks is never the first symbol of a production.
    """
    costs = symbol_costs(normal, [IMPOSSIBLE * (t in terminals) for t in normal.lexed])
    needed = {normal.start, *(symbol for _, rhs in normal.productions for symbol in rhs[1:])}
    return all(costs[symbol] < IMPOSSIBLE for symbol in needed)


def _unreachable(left: str, right: str) -> UnreachableTerminalError:
    return UnreachableTerminalError(
        left,
        right,
        f"no text belongs to the grammar: by longest match, {left} always swallows the start "
        f"of a {right} behind it; make {left} end earlier, put something between, or use "
        f"lexing='any'",
    )


def _has_only_one_lexeme(grammar: Grammar) -> bool:
    """Whether every lexeme is a whole text, so that anchors and look-arounds see its ends."""
    return not grammar.ignore and all(len(p.rhs) <= 1 for p in grammar.productions)


def _check_language(
    grammar: Grammar, machine: Machine, adjacency: Adjacency, completer: Completer
) -> None:
    """Refuse a grammar with no text at all, or one too tangled to tell.

    Raises:
        UnreachableTerminalError: longest match swallows every way to a whole text.
        UnspellableError: the vocabulary can spell no text of the grammar.
    """
    if adjacency.trap is None:
        return
    left, right = (grammar.terminals[t].name for t in adjacency.trap)
    if isinstance(grammar.layout, Indentation):
        raise UnreachableTerminalError(
            left,
            right,
            f"under indentation every lexeme must be able to stand behind every other, and a "
            f"{right} behind a {left} cannot: ignore white space, and let the vocabulary spell it",
        )
    if machine.accepts_nothing():
        return
    try:
        if completer.is_viable(machine.initial):
            return
    except ViabilityLimitError as error:
        raise UnreachableTerminalError(
            left, right, f"{left} may swallow {right}: {error}"
        ) from error
    if left == right:
        raise UnspellableError(
            f"the vocabulary can spell no text of the grammar: no token sequence is a {left} "
            f"that no other terminal claims"
        )
    raise _unreachable(left, right)


def _near_states(machine: Machine) -> list[int]:
    """Lexer states met on the way through the grammar's constructs, nested a little."""
    queue: list[Thread] = [machine.initial]
    seen = {machine.initial}
    inside: dict[int, list[int]] = {}
    states: dict[int, None] = {}
    for stacks, start in queue:
        if start not in inside:
            inside[start] = _lexeme_states(machine.lexer, start)
            states.update(dict.fromkeys(inside[start]))
        if len(states) >= MAX_WARM_STATES:
            break
        ways = {(machine.lexer.winners[s], machine.lexer.residue(s)): s for s in inside[start]}
        for state in ways.values():
            try:
                following = machine.next_lexeme((stacks, state))
            except StackUnderflow:
                continue
            if following is not None and following[1] != DEAD:
                thread = (machine.parser.cut(following[0], WARM_DEPTH), following[1])
                if thread not in seen and len(seen) < MAX_WARM_CONFIGURATIONS:
                    seen.add(thread)
                    queue.append(thread)
    return list(states)[:MAX_WARM_STATES]


def _lexeme_states(lexer: Lexer, start: int) -> list[int]:
    """All lexer states that a lexeme begun in `start` can be in."""
    found = {start: None}
    for state in (queue := [start]):
        for target in np.unique(lexer.next[state]).tolist():
            if target > DEAD and target not in found:
                found[target] = None
                queue.append(target)
    return list(found)
