"""The law "canonical": only token sequences that the tokenizer itself writes.

`docs/byte-probabilities.md` defines it: token t may follow the sequence s if some canonical
sequence begins with s·t. That is decided exactly, for encoders of byte pairs, by three things that
must agree:

- how the text may be cut into pieces, by an automaton over characters (`splitter`);
- which tokens may stand side by side in a piece (`merges`);
- that the text is UTF-8, and normal where the tokenizer normalises.

A sequence's state is a set of hypotheses, one for each way in which its pieces may have been cut
that some continuation confirms. Most states have one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from constrain.automata.charset import Ranges
from constrain.covers.encoding import Encoding
from constrain.covers.merges import Neighbours
from constrain.covers.pattern import literals, parse
from constrain.covers.shapes import Shapes, decode
from constrain.covers.spelling import Normal, sort_tokens
from constrain.covers.splitter import DEAD, START, build_splitter
from constrain.errors import CanonicalError
from constrain.recent import Recent
from constrain.vocabulary import Vocabulary

MAX_SEARCH = 100_000
"""Sequences of tokens that a search for a way on looks at."""

_FEW = 64
_VIABLE = 1 << 17
_MASKS = 256  # of states, bool[V] each
_ROWS = 256  # of tokens, bool[V] each


class Hypothesis(NamedTuple):
    """One way in which a sequence's pieces may be cut.

    Attributes:
        state: of the splitter, behind the last whole character.
        cuts: a piece begins with the character that is not whole.
        last: the last token; -1: none.
        piece: the bytes of the current piece, as long as a token that no merges make begins
            with them; None: none does.
        is_one: the piece is one token so far.
    """

    state: int
    cuts: bool
    last: int
    piece: bytes | None
    is_one: bool


class CanonicalState(NamedTuple):
    """What is known of a token sequence.

    Attributes:
        ways: the hypotheses; at least one.
        partial: the bytes of the last character, where it is not whole.
        recent: the last characters, those that a normal form may join to what follows.
    """

    ways: tuple[Hypothesis, ...]
    partial: bytes
    recent: str


class CanonicalSequences:
    """The law "canonical" of one tokenizer. Its answers are remembered; states are values."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        encoding: Encoding,
        ranges_of: Callable[[str], Ranges],
        normalize: Callable[[str], str],
    ) -> None:
        """Prepare the tables; a second or two for a large vocabulary.

        Args:
            vocabulary: of the tokenizer.
            encoding: of its encoder for plain text.
            ranges_of: a pattern of one character → the characters that the tokenizer's
                engine has it match.
            normalize: the tokenizer's normaliser.

        Raises:
            CanonicalError: what the tokenizer does is not supported.
        """
        if encoding.normal_form and encoding.literals:
            raise CanonicalError(
                "the tokenizer normalises texts around added tokens that are text; which "
                "sequences it writes there is not decided: use covers='all'"
            )
        self._bytes = vocabulary.tokens
        self._end_ids = np.array(vocabulary.end_ids, np.int64)
        self._normal = Normal(normalize) if encoding.normal_form else None
        self._neighbours = Neighbours.of(encoding, vocabulary.size)
        self._tokens = sort_tokens(vocabulary, encoding, self._neighbours, self._normal)
        programs = [parse(pattern) for pattern in encoding.patterns]
        if encoding.literals:
            programs.insert(0, literals(list(encoding.literals)))
        self._splitter = build_splitter(programs, ranges_of, literal_first=bool(encoding.literals))
        self._shapes = Shapes.of(vocabulary, self._tokens.written, self._splitter.class_of)
        self._ids = vocabulary.ids
        self._row_of: Recent[int, NDArray[np.bool_]] = Recent(_ROWS)
        self._mask_of: Recent[CanonicalState, NDArray[np.bool_]] = Recent(_MASKS)
        self._part_of: dict[tuple[int, bool], NDArray[np.bool_]] = {}
        self._inner_after: dict[int, list[int]] = {}
        self._onward_of: dict[int, tuple[NDArray[np.int64], ...]] = {}
        self._completing_of: dict[tuple[int, bytes], list[int]] = {}
        self._reached_of: dict[tuple[int, bool], tuple[NDArray[np.bool_], NDArray[np.bool_]]] = {}
        self._classes_of: dict[bytes, list[int]] = {}
        self._viable_of: Recent[tuple[Hypothesis, bytes, str], bool] = Recent(_VIABLE)

    # --- the law ---------------------------------------------------------------------------

    def start(self) -> CanonicalState:
        """The state of the empty sequence."""
        return CanonicalState((Hypothesis(START, False, -1, None, True),), b"", "")

    def advance(self, state: CanonicalState, token: int) -> CanonicalState:
        """The state behind one more token.

        Raises:
            CanonicalError: no canonical sequence begins so.
        """
        stepped = self._step(state, token)
        if stepped is not None:
            ways = [w for w in stepped.ways if self._is_viable(w, stepped.partial, stepped.recent)]
            if ways:
                return stepped._replace(ways=tuple(ways))
        raise CanonicalError(f"the tokenizer writes no sequence with token {token} there")

    def allowed(self, state: CanonicalState) -> NDArray[np.bool_]:
        """bool[V], read-only: the tokens that may follow, the end tokens among them."""
        mask = self._mask_of.get(state)
        if mask is None:
            mask = self._mask(state)
            mask.setflags(write=False)
            self._mask_of.put(state, mask)
        return mask

    def is_canonical(self, state: CanonicalState) -> bool:
        """Whether the sequence itself is canonical, and so may end."""
        return not state.partial and any(
            self._splitter.can_end[way.state] and not self._is_other(way) for way in state.ways
        )

    def is_beginning(self, tokens: Iterable[int]) -> bool:
        """Whether some canonical sequence begins with these tokens."""
        state = self.start()
        for token in tokens:
            if not self.allowed(state)[token] or token in self._end_ids:
                return False
            state = self.advance(state, token)
        return True

    # --- one token --------------------------------------------------------------------------

    def _step(self, state: CanonicalState, token: int) -> CanonicalState | None:
        """The state behind a token, hypotheses included that nothing may confirm."""
        if not self._tokens.may_stand[token]:
            return None
        found = decode(state.partial + self._bytes[token])
        if found is None or (state.partial and not 0x80 <= self._bytes[token][0] < 0xC0):
            return None
        text, partial = found
        if not self._writes(state.recent, text, bool(state.partial)):
            return None
        ways = dict.fromkeys(
            way for old in state.ways for way in self._ways(old, token, text, state.partial)
        )
        if not ways:
            return None
        return CanonicalState(tuple(ways), partial, self._last_of(state.recent + text))

    def _writes(self, recent: str, text: str, completes: bool) -> bool:
        """Whether the tokenizer writes these characters with these tokens."""
        if completes and text and text[0] in self._tokens.alphabet:
            return False  # a character that is a token is not spelled by bytes
        return self._normal is None or not text or self._normal.holds(recent + text)

    def _last_of(self, text: str) -> str:
        if self._normal is None:
            return ""
        place = len(text) - 1
        while place > 0 and self._normal.may_join(text[place]):
            place -= 1
        return text[max(place, 0) :]

    def _ways(self, way: Hypothesis, token: int, text: str, partial: bytes) -> Iterator[Hypothesis]:
        """What a hypothesis becomes by a token that completes the characters `text`."""
        goes_on = way.last >= 0 and not self._splitter.in_literal[way.state]
        if goes_on and self._follows(way.last, token):
            piece = self._longer(way.piece, token)
            for state in self._read(way.state, text, cuts=way.cuts and bool(partial)):
                pending = way.cuts if partial and not text else False
                yield Hypothesis(state, pending, token, piece, False)
        if not partial and not self._is_other(way):
            piece = self._longer(b"", token)
            for state in self._read(way.state, text, cuts=True):
                if self._may_begin(state, token):
                    yield Hypothesis(state, not text, token, piece, True)

    def _may_begin(self, state: int, token: int) -> bool:
        """Whether a token may begin a piece that leads to a state."""
        if self._splitter.in_literal[state]:
            return bool(self._tokens.is_literal[token])
        return bool(self._tokens.may_begin[token])

    def _read(self, state: int, text: str, *, cuts: bool) -> Iterator[int]:
        """The states behind some characters; with `cuts`, the first one begins a piece."""
        if not text:
            yield state
            return
        splitter = self._splitter
        first, *others = map(splitter.class_of, text)
        firsts = splitter.cut[:, state, first] if cuts else splitter.go_on[[state], first]
        for begun in firsts.tolist():
            reached = begun
            for char in others:
                reached = int(splitter.go_on[reached, char])
            if reached != DEAD:
                yield reached

    def _longer(self, piece: bytes | None, token: int) -> bytes | None:
        """The piece with one more token, as long as it may become a token of no merges."""
        if piece is None or not self._tokens.unmade:
            return None
        longer = piece + self._bytes[token]
        return longer if self._begins_unmade(longer) else None

    def _begins_unmade(self, piece: bytes) -> bool:
        unmade = self._tokens.unmade
        place = bisect_left(unmade, piece)
        return place < len(unmade) and unmade[place].startswith(piece)

    def _is_other(self, way: Hypothesis) -> bool:
        """Whether the piece, if it ended here, would be one token and not these several."""
        if way.is_one or way.piece is None:
            return False
        place = bisect_left(self._tokens.unmade, way.piece)
        return self._tokens.unmade[place] == way.piece

    # --- whether a sequence can go on ---------------------------------------------------------

    def _is_viable(self, way: Hypothesis, partial: bytes, recent: str) -> bool:
        """Whether some canonical sequence begins so."""
        if self._may_end_piece(way, partial) or self._is_completed(way, partial):
            return True
        key = (way, partial, recent)
        found = self._viable_of.get(key)
        if found is None:
            found = self._search(*key)
            self._viable_of.put(key, found)
        return found

    def _may_end_piece(self, way: Hypothesis, partial: bytes) -> bool:
        """Whether a piece may end here, so that anything may follow, or nothing."""
        return not partial and self._splitter.can_cut[way.state] and not self._is_other(way)

    def _is_completed(self, way: Hypothesis, partial: bytes) -> bool:
        """Whether one more token is sure to lead to where a piece may end."""
        if not partial or way.piece is not None:
            return False
        splitter, classes = self._splitter, self._completing(way.last, partial)
        if way.cuts:
            return bool(splitter.can_cut[splitter.cut[:, way.state, classes]].any())
        return bool(splitter.can_cut[splitter.go_on[way.state, classes]].any())

    def _has_class(self, way: Hypothesis, partial: bytes) -> bool:
        """Whether the splitter lets some character follow that begins with these bytes."""
        classes = self._classes_of.get(partial)
        if classes is None:
            classes = self._classes_of[partial] = self._splitter.classes_of(partial)
        if way.cuts:
            return bool(self._splitter.cut[:, way.state, classes].any())
        return bool(self._splitter.go_on[way.state, classes].any())

    def _search(self, way: Hypothesis, partial: bytes, recent: str) -> bool:
        """Look for tokens behind which the piece may end, which must go on here: breadth first."""
        queue = [(way, partial, recent)]
        seen = set(queue)
        for place in queue:
            if place[1] and not self._has_class(*place[:2]):
                continue
            state = CanonicalState((place[0],), *place[1:])
            for token in self._candidates(*place[:2]):
                stepped = self._step(state, token)
                for other in stepped.ways if stepped is not None else ():
                    behind = (other, *stepped[1:]) if stepped is not None else place
                    if other.is_one or behind in seen:
                        continue
                    if self._may_end_piece(*behind[:2]):
                        return True
                    seen.add(behind)
                    queue.append(behind)
            if len(seen) > MAX_SEARCH:
                raise CanonicalError(
                    f"whether the tokenizer goes on behind {self._bytes[way.last]!r} was not "
                    f"decided within {MAX_SEARCH} sequences of tokens; use covers='all'"
                )
        return False

    def _candidates(self, way: Hypothesis, partial: bytes) -> Iterator[int]:
        """Tokens that may follow in the same piece; first those that may end it."""
        if partial:
            yield from self._after_open(way.last)
        else:
            for ids in self._onward(way.state):
                for first, stop in ((0, _FEW), (_FEW, len(ids))):  # mostly the first few do
                    part = ids[first:stop]
                    yield from part[self._neighbours.after(way.last, part)].tolist()

    def _onward(self, state: int) -> tuple[NDArray[np.int64], ...]:
        """Ids of tokens of the same piece: those that may end it, and those that may not."""
        found = self._onward_of.get(state)
        if found is None:
            reached = self._reach(state, cuts=False)
            found = self._onward_of[state] = tuple(map(np.flatnonzero, reached))
        return found

    def _completing(self, token: int, partial: bytes) -> list[int]:
        """Classes of characters that a token and one more are sure to make; not all of them.

        Only characters that nothing before them has a say in.
        """
        found = self._completing_of.get((token, partial))
        if found is None:
            chars = set()
            for other in self._after_open(token):
                read = decode(partial + self._bytes[other])
                if read is not None and len(read[0]) == 1 and not read[1]:
                    chars.add(read[0])
            found = sorted({self._splitter.class_of(c) for c in chars if self._is_free(c)})
            self._completing_of[token, partial] = found
        return found

    def _is_free(self, char: str) -> bool:
        """Whether a character that several tokens write may stand behind any other."""
        if char in self._tokens.alphabet:
            return False
        normal = self._normal
        return normal is None or (normal.holds(char) and not normal.may_join(char))

    def _after_open(self, token: int) -> list[int]:
        """Tokens that may follow one that ends inside a character."""
        found = self._inner_after.get(token)
        if found is None:
            inner = self._shapes.inner
            found = inner[self._neighbours.after(token, inner)].tolist()
            self._inner_after[token] = found
        return found

    # --- all tokens ---------------------------------------------------------------------------

    def _mask(self, state: CanonicalState) -> NDArray[np.bool_]:
        mask = np.zeros(len(self._bytes), np.bool_)
        if state.partial:
            for token in self._shapes.inner.tolist():
                mask[token] = self._may_follow(state, token)
        else:
            for way in state.ways:
                self._add(mask, way)
            self._correct(mask, state)
            mask[self._end_ids] = self.is_canonical(state)
        return mask

    def _add(self, mask: NDArray[np.bool_], way: Hypothesis) -> None:
        """The tokens that may follow under one hypothesis, but for what `_correct` looks at."""
        if not self._is_other(way):
            mask |= self._part(way.state, cuts=True)
        if way.last >= 0 and not self._splitter.in_literal[way.state]:
            mask |= self._row(way.last) & self._part(way.state, cuts=False)

    def _correct(self, mask: NDArray[np.bool_], state: CanonicalState) -> None:
        """Decide one by one the tokens that depend on more than the splitter's state."""
        if self._normal is not None:
            for token in self._tokens.joining:
                mask[token] = self._may_follow(state, token)
        for way in state.ways:
            for token in self._unmade_by(way):
                mask[token] = self._may_follow(state, token)

    def _unmade_by(self, way: Hypothesis) -> Iterator[int]:
        """Tokens with which the piece would be a token that no merges make."""
        if way.piece is None or way.last < 0:
            return
        unmade = self._tokens.unmade
        place = bisect_left(unmade, way.piece)
        while place < len(unmade) and unmade[place].startswith(way.piece):
            yield from self._ids.get(unmade[place][len(way.piece) :], ())
            place += 1
        for token in self._shapes.open:
            if self._begins_unmade(way.piece + self._bytes[token]):
                yield token

    def _may_follow(self, state: CanonicalState, token: int) -> bool:
        stepped = self._step(state, token)
        return stepped is not None and any(
            self._is_viable(way, stepped.partial, stepped.recent) for way in stepped.ways
        )

    def _follows(self, token: int, other: int) -> bool:
        """Whether a token may follow another in its piece."""
        row = self._row_of.get(token)
        if row is not None:
            return bool(row[other])
        return bool(self._neighbours.after(token, np.array([other]))[0])

    def _row(self, token: int) -> NDArray[np.bool_]:
        """bool[V]: the tokens that may follow a token in its piece."""
        row = self._row_of.get(token)
        if row is None:
            row = np.zeros(len(self._bytes), np.bool_)
            written = self._tokens.written
            row[written] = self._neighbours.after(token, written)
            self._row_of.put(token, row)
        return row

    def _part(self, state: int, *, cuts: bool) -> NDArray[np.bool_]:
        """bool[V]: the tokens that the splitter lets follow a state.

        Args:
            state: of the splitter.
            cuts: the token begins a piece, else it goes on with one.
        """
        part = self._part_of.get((state, cuts))
        if part is None:
            ends, goes_on = self._reach(state, cuts=cuts)
            part = ends.copy()
            for token in np.flatnonzero(goes_on & ~ends).tolist():
                part[token] = self._goes_on(state, token, cuts)
            self._part_of[state, cuts] = part
        return part

    def _reach(self, state: int, *, cuts: bool) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """bool[V] both: tokens behind which a piece may end, and behind which it must go on."""
        found = self._reached_of.get((state, cuts))
        if found is None:
            found = self._reached_of[state, cuts] = self._walk(state, cuts)
        return found

    def _walk(self, state: int, cuts: bool) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        splitter, plain, tokens = self._splitter, self._shapes.plain, self._tokens
        ends, goes_on = np.zeros((2, len(self._bytes)), np.bool_)
        for first in splitter.cut[:, state] if cuts else splitter.go_on[[state]]:
            states = self._shapes.walk(first, splitter.go_on)
            good = states != DEAD
            if cuts:
                literal = splitter.in_literal[states]
                good &= np.where(literal, tokens.is_literal[plain], tokens.may_begin[plain])
            may_end = splitter.can_cut[states]
            ends[plain[good & may_end]] = True
            goes_on[plain[good & ~may_end]] = True
        goes_on[list(self._shapes.open)] = True
        return ends, goes_on

    def _goes_on(self, state: int, token: int, cuts: bool) -> bool:
        """Whether a token that ends where its piece cannot may stand behind a state."""
        found = decode(self._bytes[token])
        assert found is not None
        text, partial = found
        for reached in self._read(state, text, cuts=cuts):
            if not cuts or self._may_begin(reached, token):
                piece = self._longer(b"", token) if cuts else None
                way = Hypothesis(reached, cuts and not text, token, piece, cuts)
                if self._is_viable(way, partial, self._last_of(text)):
                    return True
        return False
