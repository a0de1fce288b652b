"""What all schemas share over one vocabulary, and a schema's engine on top of it.

The lexicon's states and their rows are the expensive part of a mask, and are the same for all
schemas; they grow as they are met. An engine adds the schema's frames and the masks that depend
on them.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from functools import cached_property, lru_cache
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from constrain.bitmask import bits_at, pack, token_ids
from constrain.decode.completion import spelling_steps
from constrain.decode.engine import NEVER, Engine
from constrain.decode.machine import Thread, Threads
from constrain.decode.masker import Masker
from constrain.decode.pushdown import (
    JSON_BYTES,
    AllViable,
    NoCeilings,
    PushdownCompleter,
    PushdownCosts,
    PushdownMachine,
    PushdownParser,
)
from constrain.masks.rows import LexerRow, Walker
from constrain.schema.grammar import SchemaGrammar
from constrain.schema.lexicon import Lexicon
from constrain.schema.tagframes import frames_of
from constrain.schema.tags import AnyGrammar, TagGrammar
from constrain.vocabulary import Vocabulary

MAX_POOLS = 4
"""Vocabularies whose pools are kept."""

MAX_POOL_STATES = 200_000
"""States of a lexicon, a kilobyte each, beyond which later schemas get a new one."""

MAX_MASK_BYTES = 16 << 20
"""Memory for the finished masks of one schema; beyond it the oldest are dropped."""

MAX_POOL_ROWS = 8_000
"""Rows of a pool, 16 kilobytes and more each, beyond which later schemas get a new one."""


MAX_READ = 100
"""Tokens that are read one by one sooner than is found which of them end inside the lexeme."""

UNKNOWN_LEXEMES = 4
"""Tokens more that a text may take whose last lexemes are not known."""

_NEXT_ITEM = re.compile(rb",[ \t\n\r]*[^ \t\n\r]")
_FIRST_ITEMS = re.compile(rb"[\[{].*,[ \t\n\r]*[^ \t\n\r]", re.DOTALL)


class SchemaEngine(Engine):
    """An engine over frames.

    Where what may come depends on what lexemes said, as in arrays of different items, a row says
    what may come whatever else the same token says; tokens in which that makes a difference,
    since they begin another item, are read one by one.
    """

    machine: PushdownMachine

    def __init__(
        self,
        grammar: AnyGrammar,
        vocabulary: Vocabulary,
        machine: PushdownMachine,
        masker: Masker,
        completer: PushdownCompleter,
        lock: RLock,
    ) -> None:
        super().__init__(grammar, vocabulary, machine, masker, completer, NoCeilings(), lock=lock)
        self.is_rough = machine.parser.tracks
        if self.is_rough:
            self.outcomes = lru_cache(maxsize=1)(self._outcomes)

    def cost(self, threads: Threads) -> int:
        """Tokens of the shortest completion of `threads`, the end token included.

        Where lexemes are not known, the shortest item or key may be one that was there before:
        it takes the next shorter ones.
        """
        cost = super().cost(threads)
        parser = self.machine.parser
        if not self.is_rough or not any(parser.is_tracked(stacks) for stacks, _ in threads):
            return cost
        return min(NEVER, cost + UNKNOWN_LEXEMES)

    def _outcomes(self, threads: Threads) -> list[tuple[Threads, NDArray[np.int32]]]:
        """Where tokens lead; what they are is not told, so that lexemes are not known then."""
        found = self.masker.outcomes(self._bare(threads))
        return [(self._bare(after), row) for after, row in found]

    def _bare(self, threads: Threads) -> Threads:
        return tuple((self.machine.parser.bare(stacks), state) for stacks, state in threads)

    @cached_property
    def _suspects(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """int32[W] twice: tokens that end an item and begin another; those that open it before."""
        tokens = self.vocabulary.tokens
        inside = np.array([bool(_NEXT_ITEM.search(token)) for token in tokens], np.bool_)
        opening = np.array([bool(_FIRST_ITEMS.search(token)) for token in tokens], np.bool_)
        return pack(inside), pack(opening)

    def row(self, thread: Thread) -> NDArray[np.int32]:
        """int32[W], read-only: the tokens that keep `thread` viable."""
        stacks, state = thread
        parser = self.machine.parser
        if not parser.tracks:
            return self.masker.row(thread)
        row = self.masker.row((parser.bare(stacks), state))
        following = self.machine.next_lexeme(thread)
        is_inside = parser.is_tracked(stacks) or (
            following is not None and parser.is_tracked(following[0])
        )
        suspects = token_ids(row & self._suspects[not is_inside])
        if len(suspects) > MAX_READ:
            suspects = suspects[bits_at(~self.masker.inside(state), suspects)]
        wrong = [
            token
            for token in suspects.tolist()
            if not self.machine.read((thread,), self.vocabulary.tokens[token])
        ]
        if wrong:
            row = row.copy()
            for token in wrong:
                row[token >> 5] &= ~(np.int32(1) << np.int32(token & 31))
        return row


class Pool:
    """The lexicon and its rows over one vocabulary.

    Args:
        vocabulary: what tokens write.
        needed: the bytes that texts may need; where one is no token, nothing is sure.
    """

    def __init__(self, vocabulary: Vocabulary, needed: bytes = JSON_BYTES) -> None:
        self.vocabulary = vocabulary
        self.lock = RLock()
        self.lexicon = Lexicon()
        self.walker = Walker(self.lexicon, vocabulary)
        self.rows: dict[int, LexerRow] = {}
        table = self.lexicon.table
        self.steps = spelling_steps(vocabulary, table.byte_class, vocabulary.single_bytes)
        self.viable = AllViable(self.lexicon, vocabulary, needed)

    def is_full(self) -> bool:
        """Whether it is time for another one."""
        return self.lexicon.n_states > MAX_POOL_STATES or len(self.rows) > MAX_POOL_ROWS

    def engine(self, grammar: SchemaGrammar | TagGrammar) -> Engine:
        """An engine for matchers of a schema, or of free text with tags."""
        with self.lock:
            rules = grammar.rules if isinstance(grammar, TagGrammar) else grammar
            frames = frames_of(rules, self.lexicon)
            machine = PushdownMachine(self.lexicon, PushdownParser(frames))
            costs = PushdownCosts(frames)
            completer = PushdownCompleter(
                machine, self.steps, costs, frames, is_spelled=self.viable.spells_all
            )
            masker = Masker(machine, self.walker, self.viable, completer, self.rows, MAX_MASK_BYTES)
            return SchemaEngine(grammar, self.vocabulary, machine, masker, completer, self.lock)


_pools: OrderedDict[tuple[str, bool], Pool] = OrderedDict()
_lock = RLock()


def pool_of(vocabulary: Vocabulary, extra: bytes = b"") -> Pool:
    """The pool that a new grammar is compiled into.

    Args:
        vocabulary: what tokens write.
        extra: bytes that its texts may need besides those of JSON.
    """
    needed = JSON_BYTES + extra
    key = vocabulary.fingerprint, bool(vocabulary.single_bytes[list(needed)].all())
    with _lock:
        pool = _pools.get(key)
        if pool is None or pool.is_full():
            pool = _pools[key] = Pool(vocabulary, needed)
        _pools.move_to_end(key)
        while len(_pools) > MAX_POOLS:
            _pools.popitem(last=False)
        return pool
