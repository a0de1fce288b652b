"""`Matcher`: the state of one sequence, from which masks are read.

All that is shared between sequences is in an `Engine`; a matcher is a reference to an
immutable snapshot. So `fork` copies a reference, and `rollback` follows parents.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from constrain.automata.lexer import DEAD
from constrain.decode.engine import Engine, State
from constrain.decode.explain import Explanation, explain_state
from constrain.decode.machine import Threads
from constrain.errors import BudgetError, DeadEndError, MatcherError


class _Snapshot:
    """A point of a sequence, never changed. `added` leads from `parent` to here."""

    __slots__ = ("added", "parent", "state")

    def __init__(self, parent: _Snapshot | None, state: State, added: bytes) -> None:
        self.parent = parent
        self.state = state
        self.added = added


class Matcher:
    """Follows one sequence through the grammar and says what may come next.

    A token is allowed exactly if the text with the token's bytes appended can still be
    completed; an end token exactly if the text is whole. Nothing is ever allowed in doubt.

    Not safe under threads by itself; different matchers of one store are.
    """

    __slots__ = ("_engine", "_now")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._now = _Snapshot(None, engine.start, b"")

    @property
    def engine(self) -> Engine:
        """What it shares with all matchers of its store."""
        return self._engine

    @property
    def state(self) -> State:
        """Where its text has led; all that may come depends on it, and other texts share it."""
        return self._now.state

    @property
    def text(self) -> bytes:
        """The bytes accepted so far."""
        parts = []
        snapshot: _Snapshot | None = self._now
        while snapshot is not None:
            parts.append(snapshot.added)
            snapshot = snapshot.parent
        return b"".join(reversed(parts))

    def fill_bitmask(self, row: NDArray[np.int32]) -> None:
        """Overwrite `row` with the tokens that may come next.

        Args:
            row: int32[W]; bit t & 31 of word t >> 5 is token t. All zero once terminated.

        Raises:
            MatcherError: `row` is no int32 array of W words.
            DeadEndError: no token may follow, which an exact mask rules out.
        """
        mask = self.mask()
        if row.dtype is not mask.dtype or row.shape != mask.shape:
            self._check_row(row)
        row[:] = mask

    def mask(self) -> NDArray[np.int32]:
        """int32[W], read-only: what `fill_bitmask` writes, which many matchers may share.

        Raises:
            DeadEndError: as of `fill_bitmask`.
        """
        state = self._now.state
        mask = state.mask
        if mask is None:
            mask = self._engine.mask(state)
            if mask is None:
                raise DeadEndError(self.text, "no token of the vocabulary may come next")
        return mask

    def known_mask(self) -> NDArray[np.int32] | None:
        """`mask`, if somebody has asked for it here before; None: it is to be computed."""
        return self._now.state.mask

    def fill_bitmask_within(self, row: NDArray[np.int32], n_tokens: int) -> None:
        """Overwrite `row` with `mask_within`.

        Args:
            row: int32[W].
            n_tokens: how many tokens may still come, the end token included.

        Raises:
            BudgetError: the shortest completion takes more than `n_tokens`.
            MatcherError: `row` is no int32 array of W words.
        """
        self._check_row(row)
        row[:] = self.mask_within(n_tokens)

    def mask_within(self, n_tokens: int) -> NDArray[np.int32]:
        """`mask`, narrowed to tokens after which the text can end in time; maybe shared too.

        Kept are those behind which the shortest completion takes no more tokens; in languages
        where that is long to search, those behind which a plan does (`Ceilings`), if one does here.

        Args:
            n_tokens: how many tokens may still come, the end token included.

        Raises:
            BudgetError: the shortest completion takes more than `n_tokens`.
            DeadEndError: as of `fill_bitmask`.
        """
        mask = self.mask()
        state = self._now.state
        if state.is_terminated:
            return mask
        engine, threads = self._engine, state.threads
        with engine.lock:
            if engine.ceilings.are_asked and engine.ceiling(threads) <= n_tokens:
                highest, cost = engine.highest, engine.ceiling
            else:
                needed = self.tokens_to_finish()
                if needed > n_tokens:
                    raise BudgetError(needed, n_tokens)
                highest, cost = engine.costliest, engine.cost
            if highest(threads) < n_tokens:
                return mask
            kept = engine.end_row.copy() if engine.is_accepting(state) else np.zeros_like(mask)
            for after, tokens in engine.outcomes(threads):
                if cost(after) < n_tokens:
                    kept |= tokens
            kept &= mask
            if engine.is_rough:
                self._mark_shortest(kept, n_tokens)
            return kept

    def _mark_shortest(self, row: NDArray[np.int32], n_tokens: int) -> None:
        """Add to `row` the tokens of the shortest completion behind which it ends in time."""
        text = self.shortest_completion()
        for length in range(1, len(text) + 1):
            for token in self._engine.vocabulary.ids.get(text[:length], ()):
                after = self.fork()
                if after.accept_token(token) and after.tokens_to_finish() < n_tokens:
                    row[token >> 5] |= np.int32(1) << np.int32(token & 31)

    def accept_token(self, token: int) -> bool:
        """Append a token; False, and nothing changes, where the mask does not hold it.

        An end token terminates the matcher.
        """
        now = self._now
        after = now.state.after.get(token)
        if after is None:
            return self._accept_new(token)
        self._now = _Snapshot(now, after, self._engine.added[token])
        return True

    def _accept_new(self, token: int) -> bool:
        """`accept_token`, where no sequence has read the token in this state, and kept it."""
        state, engine = self._now.state, self._engine
        if state.is_terminated or not 0 <= token < engine.vocabulary.size:
            return False
        token = int(token)
        added = engine.added[token]
        with engine.lock:
            if token in engine.vocabulary.end_ids:
                threads = state.threads if engine.is_accepting(state) else ()
            else:
                threads = self._after(added) if added else ()
            if not threads:
                return False
            after = engine.state(threads, is_terminated=token in engine.vocabulary.end_ids)
            state.after[token] = after
        self._now = _Snapshot(self._now, after, added)
        return True

    def accept_bytes(self, added: bytes) -> bool:
        """Append bytes; False, and nothing changes, where no text continues so.

        Counts as one token for `rollback`. Viability is judged at the end of `added`: if
        the vocabulary cannot spell every byte, as the end of a token.
        """
        state = self._now.state
        if state.is_terminated:
            return False
        if added:
            with self._engine.lock:
                threads = self._after(added)
                if not threads:
                    return False
                state = self._engine.state(threads)
        self._now = _Snapshot(self._now, state, added)
        return True

    def is_accepting(self) -> bool:
        """The text so far is whole."""
        with self._engine.lock:
            return self._engine.is_accepting(self._now.state)

    def is_terminated(self) -> bool:
        """An end token was accepted."""
        return self._now.state.is_terminated

    def rollback(self, n_tokens: int) -> None:
        """Undo the last `n_tokens` successful calls of `accept_token` and `accept_bytes`.

        Raises:
            MatcherError: there were fewer, or `n_tokens` is negative.
        """
        if n_tokens < 0:
            raise MatcherError(f"cannot roll back {n_tokens} tokens: give 0 or more")
        snapshot = self._now
        for done in range(n_tokens):
            if snapshot.parent is None:
                raise MatcherError(f"cannot roll back {n_tokens} tokens: only {done} were accepted")
            snapshot = snapshot.parent
        self._now = snapshot

    def fork(self) -> Self:
        """An independent matcher in the same state, at no cost."""
        other = type(self)(self._engine)
        other._now = self._now
        return other

    def allowed_bytes(self) -> NDArray[np.bool_]:
        """bool[256]: the bytes after which the text can still be completed."""
        state = self._now.state
        if state.is_terminated:
            return np.zeros(256, np.bool_)
        engine = self._engine
        machine, byte_class = engine.machine, engine.machine.lexer.table.byte_class
        with engine.lock:
            targets = np.stack([*machine.targets(state.threads)])
            leads = targets != DEAD
            allowed: NDArray[np.bool_] = (engine.masker.sure()[targets] & leads).any(axis=0)
            for one in np.unique(byte_class[leads.any(axis=0) & ~allowed]).tolist():
                members = byte_class == one
                byte = int(np.flatnonzero(members)[0])
                if self._viable(machine.step(state.threads, byte)):
                    allowed |= members
        return allowed

    def forced_bytes(self) -> bytes:
        """The longest text that every completion begins with; empty once one is whole."""
        state = self._now.state
        if state.forced is None:
            state.forced = b"" if state.is_terminated else self._forced()
        return state.forced

    def _forced(self) -> bytes:
        ahead = self.fork()
        forced = bytearray()
        while not ahead.is_accepting():  # what is viable comes to an end
            (allowed,) = np.nonzero(ahead.allowed_bytes())
            if len(allowed) != 1:
                break
            forced.append(int(allowed[0]))
            ahead.accept_bytes(bytes(forced[-1:]))
        return bytes(forced)

    def shortest_completion(self) -> bytes:
        """The completion of fewest bytes that the vocabulary can spell, the first in byte order."""
        state = self._now.state
        if state.is_terminated:
            return b""
        with self._engine.lock:
            if self._engine.is_accepting(state):
                return b""
            completion = self._engine.completer.completion(state.threads)
        if completion is None:
            raise DeadEndError(self.text, "nothing completes the text")
        return completion

    def tokens_to_finish(self) -> int:
        """Tokens that spell `shortest_completion`, as few as can be, and the end token."""
        if self._now.state.is_terminated:
            return 0
        return self._engine.n_tokens(self.shortest_completion())

    def explain(self, token: int | None = None) -> Explanation:
        """What may come next and why; for a token, why it is or is not allowed."""
        state = self._now.state
        with self._engine.lock:
            return explain_state(
                self._engine.machine,
                self._engine.vocabulary,
                () if state.is_terminated else state.threads,
                accepting=self._engine.is_accepting(state),
                is_terminated=state.is_terminated,
                text=self.text,
                token=token,
                is_viable=self._engine.masker.is_viable,
            )

    def _after(self, added: bytes) -> Threads:
        """The viable threads once `added` is read; the engine's lock is held."""
        return self._viable(self._engine.machine.read(self._now.state.threads, added))

    def _viable(self, threads: Threads) -> Threads:
        return tuple(t for t in threads if self._engine.masker.is_viable(t))

    def _check_row(self, row: NDArray[np.int32]) -> None:
        words = self._engine.words
        if row.dtype != np.int32 or row.shape != (words,):
            raise MatcherError(
                f"a mask row is int32[{words}] for this vocabulary, not {row.dtype}"
                f"{list(row.shape)}; allocate it with constrain.bitmask.allocate"
            )
