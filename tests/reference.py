"""Which texts belong to a grammar, slowly and obviously: the truth that tests compare with.

Nothing of the engine is used, only `constrain.grammar.rules` and the standard library.
A terminal is judged by `re.fullmatch`, the parser is a textbook Earley recogniser run to
a fixed point, a text is cut as the lexing rule says, on whole texts, never on prefixes.

A parser state is the Earley chart without the columns that no item can look at any
more, so that equal futures mostly are equal values and memoisation pays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from constrain.grammar.rules import Grammar, Production, Terminal

# The one pattern that is taken to match nothing at all; every other matches something.
EMPTY_PATTERN = r"[^\s\S]"


@lru_cache(maxsize=1 << 18)
def matches(pattern: str, lexeme: bytes) -> bool:
    """Whether the whole of `lexeme`, read as UTF-8, is matched by `pattern`."""
    try:
        return re.fullmatch(pattern, lexeme.decode()) is not None
    except UnicodeDecodeError:
        return False


@lru_cache(maxsize=1 << 18)
def match_lengths(pattern: str, text: bytes) -> tuple[int, ...]:
    """The lengths of all non-empty prefixes of `text` that `pattern` matches, ascending."""
    if not text:
        return ()
    shorter = match_lengths(pattern, text[:-1])
    return (*shorter, len(text)) if matches(pattern, text) else shorter


def reduced(grammar: Grammar) -> tuple[Production, ...]:
    """The productions that some derivation of a sentence of terminals uses."""
    useful = {t.name for t in grammar.terminals if t.pattern != EMPTY_PATTERN}
    while more := {p.lhs for p in grammar.productions if useful.issuperset(p.rhs)} - useful:
        useful |= more
    productive = [p for p in grammar.productions if useful.issuperset({p.lhs, *p.rhs})]
    reached = {grammar.start}
    while more := {s for p in productive if p.lhs in reached for s in p.rhs} - reached:
        reached |= more
    return tuple(p for p in productive if p.lhs in reached)


@dataclass(frozen=True)
class Item:
    """`production` with the dot before `rhs[dot]`, begun in column `origin` of the state."""

    production: Production
    dot: int
    origin: int

    @property
    def awaited(self) -> str | None:
        """The symbol after the dot, or None at the end."""
        rhs = self.production.rhs
        return rhs[self.dot] if self.dot < len(rhs) else None

    def advanced(self) -> Item:
        """The item with the dot one symbol further."""
        return Item(self.production, self.dot + 1, self.origin)


@dataclass(frozen=True)
class ParserState:
    """All parses of all terminal sequences that led here; the last column is the present.

    Attributes:
        columns: Earley columns; items in column i have origins ≤ i.
        is_complete: some parse is of a whole sentence.
    """

    columns: tuple[frozenset[Item], ...]
    is_complete: bool

    @property
    def expected(self) -> frozenset[str]:
        """The symbols, terminals and nonterminals, that may come next."""
        if not self.columns:
            return frozenset()
        return frozenset(i.awaited for i in self.columns[-1] if i.awaited is not None)


DEAD = ParserState((), False)


class Parser:
    """Earley recognition over terminals, by sets of terminals."""

    def __init__(self, grammar: Grammar) -> None:
        self.start = grammar.start
        self.productions = reduced(grammar)
        self.nonterminals = frozenset(p.lhs for p in self.productions)
        self._next: dict[tuple[ParserState, frozenset[str], bool], ParserState] = {}
        initial = {Item(p, 0, 0) for p in self.productions if p.lhs == self.start}
        self.initial = self._closed((), initial)

    def advance(self, state: ParserState, terminals: frozenset[str], stay: bool) -> ParserState:
        """The parses of `state` after any one of `terminals`; with `stay` also without any."""
        key = (state, terminals, stay)
        if key not in self._next:
            self._next[key] = self._advance(state, terminals, stay)
        return self._next[key]

    def _advance(self, state: ParserState, terminals: frozenset[str], stay: bool) -> ParserState:
        moved = {i.advanced() for i in state.columns[-1] if i.awaited in terminals}
        if not stay:
            return self._closed(state.columns, moved)
        if not moved:
            return state
        # Items begun in the old column stay begun there: its awaiting items are unchanged.
        after = self._closed(state.columns, moved | state.columns[-1])
        return ParserState(after.columns, after.is_complete or state.is_complete)

    def _closed(self, old: tuple[frozenset[Item], ...], kernel: set[Item]) -> ParserState:
        if not kernel:
            return DEAD
        present, here = set(kernel), len(old)
        while more := set(self._consequences(old, present, here)) - present:
            present |= more
        is_complete = any(
            i.awaited is None and i.production.lhs == self.start and i.origin == 0 for i in present
        )
        return _without_garbage((*old, frozenset(present)), is_complete)

    def _consequences(
        self, old: tuple[frozenset[Item], ...], present: set[Item], here: int
    ) -> Iterator[Item]:
        for item in present:
            if item.awaited is None:
                column = present if item.origin == here else old[item.origin]
                lhs = item.production.lhs
                yield from (i.advanced() for i in column if i.awaited == lhs)
            elif item.awaited in self.nonterminals:
                lhs = item.awaited
                yield from (Item(p, 0, here) for p in self.productions if p.lhs == lhs)


def _without_garbage(columns: tuple[frozenset[Item], ...], is_complete: bool) -> ParserState:
    """The state with only the columns that items of the last one lead to.

    Column 0 always stays, and stays the first: completeness is judged by it.
    """
    awaiting = [frozenset(i for i in column if i.awaited is not None) for column in columns]
    last = len(columns) - 1
    kept, todo = {0}, {last}
    while todo:
        column = todo.pop()
        kept.add(column)
        todo |= {i.origin for i in awaiting[column]} - kept
    number = {old: new for new, old in enumerate(sorted(kept))}
    return ParserState(
        tuple(
            frozenset(Item(i.production, i.dot, number[i.origin]) for i in awaiting[old])
            for old in sorted(kept)
        ),
        is_complete,
    )


class Reference:
    """The language of one grammar, by its definition; memoised over texts."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.parser = Parser(grammar)
        self._terminal = {t.name: t for t in grammar.terminals}
        self._numbers: dict[ParserState, int] = {}
        self._accepts: dict[tuple[int, bytes], bool] = {}

    def accepts(self, text: bytes) -> bool:
        """Whether `text` is in L(G)."""
        return self._accepts_from(self.parser.initial, text)

    def language(self, alphabet: bytes, max_length: int) -> set[bytes]:
        """All texts of L(G) over `alphabet` of at most `max_length` bytes."""
        return {text for text in texts(alphabet, max_length) if self.accepts(text)}

    def _accepts_from(self, state: ParserState, rest: bytes) -> bool:
        if state == DEAD:
            return False
        if not rest:
            return state.is_complete
        # Hashing a state is slow; its number is not.
        key = (self._numbers.setdefault(state, len(self._numbers)), rest)
        if key not in self._accepts:
            self._accepts[key] = any(
                self._accepts_from(self._after(state, winners), rest[length:])
                for length, winners in self._lexemes(state, rest)
            )
        return self._accepts[key]

    def _after(self, state: ParserState, winners: list[Terminal]) -> ParserState:
        names = {t.name for t in winners}
        ignored = names.intersection(self.grammar.ignore)
        return self.parser.advance(state, frozenset(names - ignored), bool(ignored))

    def _lexemes(self, state: ParserState, rest: bytes) -> Iterator[tuple[int, list[Terminal]]]:
        """Every first lexeme that the lexing rule allows: its length and its terminals."""
        names = {n for n in state.expected if n in self._terminal}.union(self.grammar.ignore)
        candidates = [self._terminal[name] for name in names]
        lengths = {n for t in candidates for n in match_lengths(t.pattern, rest)}
        if not lengths:
            return
        for length in lengths if self.grammar.lexing == "any" else {max(lengths)}:
            matching = [t for t in candidates if matches(t.pattern, rest[:length])]
            yield length, self._winners(matching)

    def _winners(self, matching: list[Terminal]) -> list[Terminal]:
        if self.grammar.lexing == "any" or self.grammar.ties == "all":
            return matching
        highest = max(t.priority for t in matching)
        best = [t for t in matching if t.priority == highest]
        return [t for t in best if t.is_literal] or best


def accepts(grammar: Grammar, text: bytes) -> bool:
    """Whether `text` is in the language of `grammar`."""
    return Reference(grammar).accepts(text)


def language(grammar: Grammar, alphabet: bytes, max_length: int) -> set[bytes]:
    """All texts of `grammar` over `alphabet` of at most `max_length` bytes."""
    return Reference(grammar).language(alphabet, max_length)


def viable(grammar: Grammar, text: bytes, alphabet: bytes, max_length: int) -> bool:
    """Whether at most `max_length` bytes of `alphabet` complete `text`. True is certain."""
    reference = Reference(grammar)
    return any(reference.accepts(text + w) for w in texts(alphabet, max_length))


def texts(alphabet: bytes, max_length: int) -> Iterator[bytes]:
    """Every text over `alphabet` of at most `max_length` bytes, shortest first."""
    for length in range(max_length + 1):
        for letters in product(alphabet, repeat=length):
            yield bytes(letters)


def fewest_tokens(tokens: Iterable[bytes], text: bytes) -> int | None:
    """The least number of `tokens` that spell `text`, or None."""
    spellings = {t for t in tokens if t}
    fewest: list[int | None] = [0]
    for stop in range(1, len(text) + 1):
        counts = [
            before + 1
            for t in spellings
            if len(t) <= stop and text[:stop].endswith(t)
            if (before := fewest[stop - len(t)]) is not None
        ]
        fewest.append(min(counts, default=None))
    return fewest[-1]


def spelled_texts(tokens: Iterable[bytes], max_length: int, limit: int) -> list[bytes]:
    """The texts that `tokens` spell, shortest first: all up to some length ≤ `max_length`.

    The length is the greatest one with at most `limit` texts. The list holds the empty text.
    """
    spellings = sorted({t for t in tokens if t})
    by_length: list[set[bytes]] = [{b""}]
    found = 1
    for length in range(1, max_length + 1):
        new = {
            shorter + t
            for t in spellings
            if len(t) <= length
            for shorter in by_length[length - len(t)]
        }
        found += len(new)
        if found > limit:
            break
        by_length.append(new)
    return [text for group in by_length for text in sorted(group)]
