"""What all schemas share over one vocabulary, and a schema's engine on top of it.

The lexicon's states and their rows are the expensive part of a mask, and are the same for all
schemas; they grow as they are met. An engine adds the schema's frames and the masks that depend
on them.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import RLock

from constrain.decode.completion import Completer, spelling_steps
from constrain.decode.machine import Machine
from constrain.decode.masker import Masker
from constrain.decode.matcher import Engine
from constrain.decode.pushdown import (
    JSON_BYTES,
    AllViable,
    NoCeilings,
    PushdownCosts,
    PushdownParser,
)
from constrain.masks.rows import LexerRow, Walker
from constrain.schema.grammar import SchemaGrammar
from constrain.schema.lexicon import Lexicon
from constrain.schema.tagframes import frames_of
from constrain.schema.tags import TagGrammar
from constrain.vocabulary import Vocabulary

MAX_POOLS = 4
"""Vocabularies whose pools are kept."""

MAX_POOL_STATES = 200_000
"""States of a lexicon, a kilobyte each, beyond which later schemas get a new one."""

MAX_POOL_ROWS = 8_000
"""Rows of a pool, 16 kilobytes and more each, beyond which later schemas get a new one."""


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
            machine = Machine(self.lexicon, PushdownParser(frames))
            completer = Completer(machine, self.steps, PushdownCosts(frames))
            masker = Masker(machine, self.walker, self.viable, completer, self.rows)
            return Engine(
                grammar, self.vocabulary, machine, masker, completer, NoCeilings(), lock=self.lock
            )


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
