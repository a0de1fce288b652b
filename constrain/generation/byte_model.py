"""`ByteModel`: a causal language model as a distribution over bytes.

model + tokenizer ─► covers of a prefix, stepped byte by byte (`constrain.covers`) ─► 257 numbers

`docs/byte-probabilities.md` says what is computed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from constrain.covers.canonical import CanonicalSequences
from constrain.covers.covers import STOP, AllSequences, Covers, CoverWalk, Law
from constrain.covers.encoding import plain_description, read_encoding
from constrain.covers.order import ByteOrder
from constrain.errors import ByteTextError
from constrain.generation.memory import Memory, ModelReader
from constrain.generation.plain import ranges_of
from constrain.recent import Recent
from constrain.vocabulary import Vocabulary, describe

CoversName = Literal["all", "canonical"]

_KEPT = 8  # prefixes whose covers are kept


@dataclass(frozen=True)
class ByteSample:
    """A text that was drawn byte by byte.

    Attributes:
        text: the bytes behind the prefix.
        is_stopped: the model ended it; else it was cut off.
        log_probability: of the bytes, and of stop if it is stopped, given the prefix.
        error: how far the probabilities may be off, see `Covers.error`; 0: exact.
    """

    text: bytes
    is_stopped: bool
    log_probability: float
    error: float


class ByteModel:
    """A language model and its tokenizer, asked for bytes.

    Covers that were computed are values and may be kept, extended in several ways and handed
    on; nothing that a caller holds is ever changed.

    Attributes:
        vocabulary: the tokenizer's.
        walk: steps covers along a string.
        reader: the model.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        covers: CoversName = "canonical",
        beam: int | None = 64,
        use_cache: bool = True,
    ) -> None:
        """Prepare the tables of a tokenizer; some seconds for a large one.

        Args:
            model: a causal language model of transformers, in `eval` mode.
            tokenizer: its fast tokenizer.
            covers: the law, "all" or "canonical".
            beam: of the law "all": how many groups of covers are kept; None: all of them,
                exponentially many. The law "canonical" keeps all.
            use_cache: keep the keys and values of what was read.

        Raises:
            VocabularyError: the tokenizer's tokens have no bytes of their own.
            CanonicalError: which sequences the tokenizer writes is not known exactly.
            ValueError: an argument is none of those listed.
        """
        if covers not in ("all", "canonical"):
            raise ValueError(f"covers is {covers!r}; it is 'all' or 'canonical'")
        if beam is not None and beam < 1:
            raise ValueError(f"a beam of {beam} keeps nothing; give at least 1, or None for all")
        self.vocabulary = Vocabulary.from_tokenizer(
            tokenizer, getattr(model, "generation_config", None)
        )
        self.reader = ModelReader(model, use_cache=use_cache)
        is_all = covers == "all"
        law: Law = AllSequences() if is_all else canonical_law(tokenizer, self.vocabulary)
        self.walk = CoverWalk(ByteOrder.of(self.vocabulary), law, beam if is_all else None)
        self._first = _first_token(tokenizer, self.vocabulary)
        self._kept: Recent[tuple[tuple[int, ...], bytes], Covers] = Recent(_KEPT)

    # --- questions -------------------------------------------------------------------------

    @overload
    def next_byte_logprobs(
        self, prefix: bytes, context: Sequence[int] = ()
    ) -> NDArray[np.float64]: ...

    @overload
    def next_byte_logprobs(
        self, prefix: Sequence[bytes], context: Sequence[int] = ()
    ) -> NDArray[np.float64]: ...

    def next_byte_logprobs(
        self, prefix: bytes | Sequence[bytes], context: Sequence[int] = ()
    ) -> NDArray[np.float64]:
        """How likely each byte is to come behind a prefix, and stop.

        Args:
            prefix: the bytes so far; or several prefixes, read together.
            context: token ids before the bytes. Empty: the tokenizer's first token, since a
                model cannot start from nothing.

        Returns:
            float64[257], or float64[B, 257]: log-probabilities; the last is of stop.

        Raises:
            ByteTextError: no tokens spell the prefix under the law.
            ContextLengthError: context and prefix are longer than the model reads.
            LogitsError: the model's logits do not fit the tokenizer.
        """
        many = self.covers_of([prefix] if isinstance(prefix, bytes) else prefix, context)
        rows = [self.walk.log_probabilities(covers) for covers in many]
        if isinstance(prefix, bytes):
            return rows[0]
        return np.stack(rows) if rows else np.zeros((0, 257))

    @overload
    def score(self, text: bytes, context: Sequence[int] = (), *, stop: bool = False) -> float: ...

    @overload
    def score(
        self, text: Sequence[bytes], context: Sequence[int] = (), *, stop: bool = False
    ) -> NDArray[np.float64]: ...

    def score(
        self, text: bytes | Sequence[bytes], context: Sequence[int] = (), *, stop: bool = False
    ) -> float | NDArray[np.float64]:
        """The logarithm of W(text): that the model's text begins with these bytes.

        Args:
            text: the bytes, or several texts, read together.
            context: as for `next_byte_logprobs`.
            stop: that the text is whole with them: log W(text, stop).

        Returns:
            A float, or float64[B]; -inf where no tokens spell the text.

        Raises:
            ByteTextError: the beam dropped all covers of the text.
            ContextLengthError, LogitsError: as for `next_byte_logprobs`.
        """
        texts = [text] if isinstance(text, bytes) else list(text)
        many = self._cover(texts, context, is_read=stop)
        for covers, whole in zip(many, texts, strict=True):
            if covers.log_mass == -np.inf and covers.log_pruned > -np.inf:
                raise self._unspelled(covers, whole)
        scores = [self.walk.log_masses(c)[STOP] if stop else c.log_mass for c in many]
        return float(scores[0]) if isinstance(text, bytes) else np.array(scores, np.float64)

    def sample(
        self,
        prefix: bytes = b"",
        context: Sequence[int] = (),
        *,
        n_samples: int = 1,
        max_bytes: int = 256,
        seed: int | np.random.Generator | None = None,
    ) -> list[ByteSample]:
        """Draw texts behind a prefix, byte by byte.

        Args:
            prefix: the bytes so far.
            context: as for `next_byte_logprobs`.
            n_samples: how many texts, which are read together.
            max_bytes: of each, behind the prefix.
            seed: of the draws, or their generator.

        Raises:
            ByteTextError, ContextLengthError, LogitsError: as for `next_byte_logprobs`.
        """
        rng = np.random.default_rng(seed)
        drawn = [_Draw(covers) for covers in self.covers_of([prefix] * n_samples, context)]
        for place in range(max_bytes):
            running = [draw for draw in drawn if not draw.is_stopped]
            for draw in running:
                draw.step(self.walk, rng)
            running = [draw for draw in running if not draw.is_stopped]
            if place + 1 < max_bytes and running:
                many = self.walk.read([draw.covers for draw in running], self.reader)
                for draw, covers in zip(running, many, strict=True):
                    draw.covers = covers
        return [draw.sample(len(prefix)) for draw in drawn]

    # --- covers ----------------------------------------------------------------------------

    def covers_of(self, prefixes: Sequence[bytes], context: Sequence[int] = ()) -> list[Covers]:
        """The covers of some prefixes, read: what comes next is known.

        Raises:
            ByteTextError, ContextLengthError, LogitsError: as for `next_byte_logprobs`.
        """
        many = self._cover(prefixes, context, is_read=True)
        for covers, prefix in zip(many, prefixes, strict=True):
            if covers.log_mass == -np.inf:
                raise self._unspelled(covers, prefix)
        return many

    def begin(self, context: Sequence[int] = ()) -> Covers:
        """The cover of the empty string behind a context.

        Raises:
            ContextLengthError, LogitsError: as for `next_byte_logprobs`.
        """
        tokens = tuple(context) or (self._first,)
        covers = self._kept.get((tokens, b""))
        if covers is None:
            memory, logits = self.reader.start(tokens)
            covers = self.walk.begin(memory, logits)
            self._kept.put((tokens, b""), covers)
        return covers

    def extend(self, many: Sequence[Covers], data: Sequence[bytes]) -> list[Covers]:
        """Each of some covers by its own bytes, read; the bytes may be of different lengths.

        The mass of what no tokens spell is 0 (`Covers.log_mass` is -inf).
        """
        return self.walk.read(self._step(many, data), self.reader)

    def cache(self, memory: Memory) -> Any:
        """A new cache of transformers that holds what a path has read; None without caches."""
        return self.reader.cache(memory)

    def _cover(
        self, prefixes: Sequence[bytes], context: Sequence[int], *, is_read: bool
    ) -> list[Covers]:
        tokens = tuple(context) or (self._first,)
        known = [self._longest(tokens, prefix) for prefix in prefixes]
        rests = [prefix[len(c.prefix) :] for prefix, c in zip(prefixes, known, strict=True)]
        many = self._step(known, rests)
        if is_read:
            many = self.walk.read(many, self.reader)
            for covers, prefix in zip(many, prefixes, strict=True):
                if covers.prefix == prefix:
                    self._kept.put((tokens, prefix), covers)
        return many

    def _longest(self, tokens: tuple[int, ...], prefix: bytes) -> Covers:
        """The covers of the longest beginning that is known."""
        known = [p for t, p in self._kept if t == tokens and prefix.startswith(p)]
        covers = self._kept.get((tokens, max(known, key=len))) if known else None
        return self.begin(tokens) if covers is None else covers

    def _step(self, many: Sequence[Covers], data: Sequence[bytes]) -> list[Covers]:
        """Advance covers in step; before each byte, one pass reads what all of them need.

        Those of a string that nothing spells stay where it ends.
        """
        stepped = list(many)
        for place in range(max(map(len, data), default=0)):
            moving = [
                row
                for row, rest in enumerate(data)
                if place < len(rest) and stepped[row].log_mass > -np.inf
            ]
            read = self.walk.read([stepped[row] for row in moving], self.reader)
            for row, covers in zip(moving, read, strict=True):
                stepped[row] = self.walk.advance(covers, data[row][place])
        return stepped

    def _unspelled(self, covers: Covers, text: bytes) -> ByteTextError:
        if covers.log_pruned > -np.inf:
            problem = (
                f"the beam of {self.walk.width} dropped all covers of the text; give a wider one"
            )
        elif isinstance(self.walk.law, AllSequences):
            problem = "the vocabulary's tokens do not spell the text, or the model rules it out"
        else:
            problem = (
                "the tokenizer writes no text that begins so: it is not UTF-8, or not in the "
                "tokenizer's normal form, or holds what the vocabulary lacks, or the model "
                "rules it out; covers='all' asks for less"
            )
        return ByteTextError(covers.prefix[:-1], text, problem)


class _Draw:
    """A text that is being drawn."""

    def __init__(self, covers: Covers) -> None:
        self.covers = covers
        self.is_stopped = False
        self._log_probability = 0.0

    def step(self, walk: CoverWalk, rng: np.random.Generator) -> None:
        """Draw the next byte, or stop; the covers are read."""
        logs = walk.log_probabilities(self.covers)
        weights = np.exp(logs)
        choice = int(rng.choice(257, p=weights / weights.sum()))
        self._log_probability += float(logs[choice])
        if choice == STOP:
            self.is_stopped = True
        else:
            self.covers = walk.advance(self.covers, choice)

    def sample(self, n_prefix: int) -> ByteSample:
        """What was drawn behind a prefix of some bytes."""
        text = self.covers.prefix[n_prefix:]
        return ByteSample(text, self.is_stopped, self._log_probability, self.covers.error)


def canonical_law(tokenizer: Any, vocabulary: Vocabulary) -> CanonicalSequences:
    """The law "canonical" of a fast tokenizer; the last few are kept in memory.

    Raises:
        CanonicalError: which sequences it writes is not known exactly.
        VocabularyError: it is a slow tokenizer.
    """
    plain = plain_description(describe(tokenizer), vocabulary)
    text = json.dumps(plain, sort_keys=True)
    key = (text, vocabulary.fingerprint)
    law = _laws.get(key)
    if law is None:
        law = CanonicalSequences(vocabulary, read_encoding(plain), ranges_of, _normalizer(text))
        _laws.put(key, law)
    return law


_laws: Recent[tuple[str, str], CanonicalSequences] = Recent(2)


def _normalizer(description: str) -> Any:
    backend = Tokenizer.from_str(description).normalizer
    return backend.normalize_str if backend is not None else str


def _first_token(tokenizer: Any, vocabulary: Vocabulary) -> int:
    """What stands in the place of an empty context."""
    first = getattr(tokenizer, "bos_token_id", None)
    if first is not None:
        return int(first)
    return vocabulary.end_ids[0] if vocabulary.end_ids else 0
