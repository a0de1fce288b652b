"""`SuffixMatcher`: a matcher that knows what comes behind the text it writes.

Input:  a store, the bytes before a hole and those behind it.
Output: a matcher of the middle, or a value that says why there is none.

A middle may end where prefix, middle and suffix together are a text of the grammar: that is exact,
and decided at bytes, also within tokens (`endings.py`). A token is refused where surely no middle
that begins so leads to such an end (`joining.py`): never wrongly, but not wherever it is so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from constrain.compiler import MaskStore
from constrain.decode.diagnosis import Place, describe_expected, place_of, read_viable
from constrain.decode.engine import Engine
from constrain.decode.machine import Threads
from constrain.decode.matcher import Matcher
from constrain.errors import MatcherError, SuffixError
from constrain.fim.seam import Seam
from constrain.vocabulary import Vocabulary

MAX_FORCED = 1_000
"""Bytes that are told as forced at a time."""


@dataclass(frozen=True)
class BrokenPrefix:
    """No text of the grammar begins as the prefix does.

    Attributes:
        offset: of its first byte that cannot stand.
        place: the same with line and column.
        expected: what could, in words.
    """

    offset: int
    place: Place
    expected: str

    def __str__(self) -> str:
        return f"the prefix is of no text of the grammar: {self.place}\n{self.expected}"


@dataclass(frozen=True)
class NothingJoins:
    """No middle at all makes prefix and suffix one text of the grammar."""

    def __str__(self) -> str:
        return "nothing between prefix and suffix makes them a text of the grammar"


@dataclass(frozen=True)
class Middle:
    """What is between prefix and suffix; the three are a text of the grammar.

    Attributes:
        text: its bytes.
        n_dropped: bytes that were written behind it, and are not part of it.
    """

    text: bytes
    n_dropped: int = 0


@dataclass(frozen=True)
class NoLegalStop:
    """What was written is no middle, and neither is any beginning of it.

    Attributes:
        written: its bytes.
    """

    written: bytes

    def __str__(self) -> str:
        return f"no beginning of {self.written!r} makes prefix and suffix a text of the grammar"


def open_middle(
    store: MaskStore,
    prefix: bytes,
    suffix: bytes,
    *,
    refuse: bool = True,
    past_stop: bool = False,
) -> SuffixMatcher | BrokenPrefix | NothingJoins:
    """A matcher for what is written between `prefix` and `suffix`.

    Either may be cut anywhere: in a lexeme, in a character.

    Args:
        store: of the grammar that the three together are a text of.
        prefix: the bytes before the hole.
        suffix: the bytes behind it.
        refuse: refuse tokens from which nothing leads to the suffix; False: only the end is gated.
        past_stop: allow tokens of which only a beginning is a legal middle, though nothing can
            come behind them; `finish` drops the rest. Else the same middle takes shorter tokens.

    Raises:
        SuffixError: the vocabulary cannot spell the suffix, so that its masks may lack tokens.
    """
    _check_spelled(store.vocabulary, suffix)
    matcher = store.matcher()
    length = read_viable(matcher, prefix)
    if length < len(prefix):
        return BrokenPrefix(length, place_of(prefix, length), describe_expected(matcher))
    seam = Seam(store, suffix, refuse=refuse, past_stop=past_stop)
    with seam.engine.lock:
        threads = () if seam.guide is None else seam.guide.read(matcher, prefix)
        if not (seam.may_stop(matcher.state) or seam.can_join(threads)):
            return NothingJoins()
    return SuffixMatcher(seam, _Point(None, matcher, threads, b""))


def _check_spelled(vocabulary: Vocabulary, suffix: bytes) -> None:
    """Refuse a suffix that no tokens spell: what only it completes would seem to be a dead end."""
    lacking = bytes(np.flatnonzero(~vocabulary.single_bytes).tolist())
    if len(suffix.translate(None, lacking)) == len(suffix):
        return
    ends, furthest = {0}, 0
    for place in range(len(suffix)):
        if place in ends:
            ends.discard(place)
            for n in range(1, min(vocabulary.max_bytes, len(suffix) - place) + 1):
                if suffix[place : place + n] in vocabulary.spelled:
                    ends.add(place + n)
                    furthest = max(furthest, place + n)
    if len(suffix) not in ends:
        raise SuffixError(
            furthest,
            f"the vocabulary cannot spell the suffix from its byte {furthest} on, "
            f"{suffix[furthest : furthest + 8]!r}: its masks would lack tokens that only this "
            f"suffix completes; use a vocabulary with a token for each byte",
        )


class _Point:
    """A point of a middle, never changed but for what is found out about it.

    Attributes:
        parent: the point before; None at the beginning.
        matcher: of prefix and middle, there.
        threads: of the guide, there; none without one.
        added: what leads here from the parent.
        length: of the middle.
        is_end: an end token leads here.
    """

    __slots__ = ("_stops", "added", "is_end", "length", "matcher", "parent", "threads")

    def __init__(
        self,
        parent: _Point | None,
        matcher: Matcher,
        threads: Threads,
        added: bytes,
        *,
        is_end: bool = False,
    ) -> None:
        self.parent = parent
        self.is_end = is_end
        self.matcher = matcher
        self.threads = threads
        self.added = added
        self.length: int = len(added) + (parent.length if parent else 0)
        self._stops: tuple[int, ...] | None = None

    def stops(self, seam: Seam) -> tuple[int, ...]:
        """The lengths of legal middles that end in `added`, ascending; its beginning is none."""
        if self._stops is None:
            with seam.engine.lock:
                self._stops = tuple(self._find_stops(seam))
        return self._stops

    def _find_stops(self, seam: Seam) -> list[int]:
        if self.parent is None:
            return [0] if seam.may_stop(self.matcher.state) else []
        found = []
        threads = self.parent.matcher.state.threads
        start = self.length - len(self.added)
        for place, byte in enumerate(self.added, start + 1):
            threads = seam.engine.machine.step(threads, byte)
            if seam.endings.behind(threads):
                found.append(place)
        return found


class SuffixMatcher:
    """Follows one middle; as `Matcher`, of which it has the methods, with a suffix in view.

    A token is allowed if the text with it can still be completed, and it is not shown that no
    completion ends with the suffix. An end token is allowed where the middle may end, and where no
    other token is.

    Not safe under threads by itself; different matchers of one store are.
    """

    __slots__ = ("_now", "_seam")

    def __init__(self, seam: Seam, point: _Point) -> None:
        self._seam = seam
        self._now = point

    @property
    def engine(self) -> Engine:
        """What it shares with all matchers of its store."""
        return self._seam.engine

    @property
    def suffix(self) -> bytes:
        """What comes behind the middle."""
        return self._seam.endings.suffix

    @property
    def middle(self) -> bytes:
        """The bytes written so far."""
        parts = []
        point: _Point | None = self._now
        while point is not None:
            parts.append(point.added)
            point = point.parent
        return b"".join(reversed(parts))

    @property
    def text(self) -> bytes:
        """The prefix and the bytes written so far."""
        return self._now.matcher.text

    def fill_bitmask(self, row: NDArray[np.int32]) -> None:
        """Overwrite `row` with the tokens that may come next.

        Args:
            row: int32[W]. All zero once terminated.

        Raises:
            MatcherError: `row` is no int32 array of W words.
        """
        self._now.matcher.fill_bitmask(row)  # which judges the row
        row[:] = self.mask()

    def mask(self) -> NDArray[np.int32]:
        """int32[W], read-only: what `fill_bitmask` writes."""
        if self._now.is_end:
            return np.zeros(self.engine.words, np.int32)
        now = self._now
        return self._seam.mask(now.matcher.state, now.threads, now.matcher.mask())

    def wide_mask(self) -> NDArray[np.int32]:
        """int32[W]: `mask`, and perhaps tokens that `accept_token` refuses; found sooner.

        Who draws from it, and again without the token where that is refused, draws from `mask`.
        """
        now = self._now
        if now.is_end:
            return self.mask()
        row: NDArray[np.int32] = now.matcher.mask() & ~self.engine.end_row
        return row | self.engine.end_row if self.is_accepting() else row

    def mask_within(self, n_tokens: int) -> NDArray[np.int32]:
        """`mask`, or the end tokens alone where no more than one token may come.

        How many tokens lead to the suffix is not known: `finish` tells what became of it.

        Args:
            n_tokens: how many tokens may still come, the end token included.
        """
        if n_tokens > 1 or self._now.is_end:
            return self.mask()
        return self.engine.end_row

    def accept_token(self, token: int) -> bool:
        """Append a token; False, and nothing changes, where the mask does not hold it."""
        engine = self.engine
        if token in engine.vocabulary.end_ids or self._now.is_end:
            return self._accept_end(token)
        ahead = self._now.matcher.fork()
        return ahead.accept_token(token) and self._advance(ahead, engine.added[token])

    def accept_bytes(self, added: bytes) -> bool:
        """Append bytes; False, and nothing changes, where they are refused at their end.

        Counts as one token for `rollback`.
        """
        ahead = self._now.matcher.fork()
        return not self._now.is_end and ahead.accept_bytes(added) and self._advance(ahead, added)

    def _accept_end(self, token: int) -> bool:
        if self._now.is_end or not self.mask()[token >> 5] >> (token & 31) & 1:
            return False
        now = self._now
        self._now = _Point(now, now.matcher, now.threads, b"", is_end=True)
        return True

    def _advance(self, ahead: Matcher, added: bytes) -> bool:
        guide, threads = self._seam.guide, self._now.threads
        if guide is not None:
            with self.engine.lock:
                threads = guide.advance(threads, ahead, added)
        point = _Point(self._now, ahead, threads, added)
        if guide is not None and not guide.can_join(threads):
            stops = point.stops(self._seam) if self._seam.past_stop else ()
            if not stops:
                return False
        self._now = point
        return True

    def is_accepting(self) -> bool:
        """The middle may end here."""
        with self.engine.lock:
            return self._seam.may_stop(self._now.matcher.state)

    def is_terminated(self) -> bool:
        """An end token was accepted."""
        return self._now.is_end

    def stops(self) -> list[int]:
        """The lengths of all beginnings of what was written that are legal middles, ascending."""
        found: list[int] = []
        point: _Point | None = self._now
        while point is not None:
            found += reversed(point.stops(self._seam))
            point = point.parent
        return found[::-1]

    def finish(self) -> Middle | NoLegalStop:
        """The longest beginning of what was written that is a legal middle."""
        point: _Point | None = self._now
        while point is not None:
            stops = point.stops(self._seam)
            if stops:
                written = self.middle
                return Middle(written[: stops[-1]], len(written) - stops[-1])
            point = point.parent
        return NoLegalStop(self.middle)

    def rollback(self, n_tokens: int) -> None:
        """Undo the last `n_tokens` successful calls of `accept_token` and `accept_bytes`.

        Raises:
            MatcherError: there were fewer, or `n_tokens` is negative.
        """
        if n_tokens < 0:
            raise MatcherError(f"cannot roll back {n_tokens} tokens: give 0 or more")
        point = self._now
        for done in range(n_tokens):
            if point.parent is None:
                raise MatcherError(f"cannot roll back {n_tokens} tokens: only {done} were accepted")
            point = point.parent
        self._now = point

    def fork(self) -> Self:
        """An independent matcher in the same state, at no cost."""
        return type(self)(self._seam, self._now)

    def allowed_bytes(self) -> NDArray[np.bool_]:
        """bool[256]: the bytes that `accept_bytes` accepts."""
        if self._now.is_end:
            return np.zeros(256, np.bool_)
        allowed = self._now.matcher.allowed_bytes()
        if self._seam.guide is not None:
            with self.engine.lock:
                allowed &= self._seam.guide.open_bytes(self._now.threads)
        return allowed

    def forced_bytes(self) -> bytes:
        """A text that every legal middle goes on with; empty where it may end.

        It is the longest one that can be told, up to `MAX_FORCED` bytes.
        """
        ahead = self.fork()
        forced = bytearray()
        while len(forced) < MAX_FORCED and not (ahead._now.is_end or ahead.is_accepting()):
            (allowed,) = np.nonzero(ahead.allowed_bytes())
            if len(allowed) != 1:
                break
            forced.append(int(allowed[0]))
            ahead.accept_bytes(bytes(forced[-1:]))
        return bytes(forced)
