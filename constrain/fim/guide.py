"""What follows which grammar's threads to say whether they can join a suffix.

Input:  a store, a suffix.
Output: `Guide`: tokens and bytes behind which nothing leads to the suffix.

A grammar of productions is its own guide. Texts of a JSON schema are JSON, so JSON is their guide:
what cannot become JSON with the suffix behind it cannot become what the schema wants. Free text
with tags has none.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from constrain.compiler import MaskStore
from constrain.compiler import compile as compile_store
from constrain.decode.engine import Engine
from constrain.decode.machine import Thread, Threads
from constrain.decode.matcher import Matcher
from constrain.fim.joining import Joining
from constrain.grammar.rules import Grammar
from constrain.schema.grammar import SchemaGrammar
from constrain.vocabulary import Vocabulary

MAX_THREADS = 50_000
"""Threads of which the answer is kept; beyond it all are asked anew."""


def guide_of(store: MaskStore, suffix: bytes) -> Guide | None:
    """The guide of texts of a store before a suffix; None: nothing can be told."""
    engine = store.matcher().engine
    if isinstance(store.grammar, Grammar):
        return Guide(engine, store.grammar, suffix, is_own=True)
    if isinstance(store.grammar, SchemaGrammar):
        json = _json(store.vocabulary)
        grammar = json.grammar
        assert isinstance(grammar, Grammar)
        return Guide(json.matcher().engine, grammar, suffix, is_own=False)
    return None


@lru_cache(maxsize=4)
def _json(vocabulary: Vocabulary) -> MaskStore:
    return compile_store(Grammar.builtin("json"), vocabulary)


class Guide:
    """Says which threads of a grammar can join a suffix.

    Args:
        engine: of the guide's grammar.
        grammar: one of productions.
        suffix: what is to be joined.
        is_own: the texts' own grammar, whose threads are those of the texts' matchers.
    """

    def __init__(self, engine: Engine, grammar: Grammar, suffix: bytes, *, is_own: bool) -> None:
        self.joining = Joining(engine, grammar, suffix)
        self._engine = engine
        self._is_own = is_own
        self._known: dict[Thread, bool] = {}

    def read(self, matcher: Matcher, text: bytes) -> Threads:
        """The threads where `matcher` is, having read `text`."""
        return self.advance(self._engine.start.threads, matcher, text)

    def advance(self, threads: Threads, matcher: Matcher, added: bytes) -> Threads:
        """The threads behind `added`, which `matcher` has read last."""
        if self._is_own:
            return matcher.state.threads
        with self._engine.lock:
            return self._engine.machine.read(threads, added)

    def step(self, threads: Threads, after: Threads, byte: int) -> Threads:
        """The threads behind one more byte, `after` being the text's own."""
        return after if self._is_own else self._engine.machine.step(threads, byte)

    def can_join(self, threads: Threads) -> bool:
        """Whether some text leads into the suffix; False is certain."""
        with self._engine.lock:
            return any(map(self._can_join, threads))

    def refused(self, threads: Threads) -> NDArray[np.int32]:
        """int32[W]: the tokens behind which no thread can join."""
        kept, refused = np.zeros((2, self._engine.words), np.int32)
        if self.joining.gave_up:
            return refused
        with self._engine.lock:
            for thread in threads:
                for after, tokens in self._engine.masker.ends(thread):
                    row = kept if self._can_join(after) else refused
                    row |= tokens
        refused &= ~kept
        return refused

    def open_bytes(self, threads: Threads) -> NDArray[np.bool_]:
        """bool[256]: the bytes behind which some thread can join, or none is left to say so."""
        found = np.ones(256, np.bool_)
        answers: dict[Threads, bool] = {}
        for byte in range(256):
            after = self._engine.machine.step(threads, byte)
            if after and after not in answers:
                answers[after] = self.can_join(after)
            found[byte] = answers.get(after, True)
        return found

    def _can_join(self, thread: Thread) -> bool:
        answer = self._known.get(thread)
        if answer is None:
            if len(self._known) >= MAX_THREADS:
                self._known.clear()
            answer = self._known[thread] = self.joining.can(thread)
        return answer
