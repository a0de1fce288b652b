"""Covers against enumeration: every mass, every distribution, both laws."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrain.covers.covers import STOP, AllSequences, Covers, CoverWalk, Law
from constrain.covers.order import ByteOrder, log_sums, make_row
from constrain.errors import DeadEndError, LogitsError
from constrain.vocabulary import Vocabulary
from tests.covers.conftest import NAMES, HashReader, tiny
from tests.oracles.covers import Enumeration

VOCABULARIES = (
    ((b"a", b"b", b"ab", b"ba", b"aab", b"a", b"", b""), (6,)),  # two ids write a; 7 is special
    ((b"a", b"bb", b"ab", b"", b""), (3, 4)),  # b alone cannot be spelled; two end tokens
    ((b"a", b"\xc3", b"\xa9", b"\xc3\xa9", b"\xa9a", b""), (5,)),
    ((b"ab", b"aba", b"b"), ()),  # nothing ends a text
)
DEPTH = 5


def walk_of(vocabulary: Vocabulary, law: Law, width: int | None = None) -> CoverWalk:
    return CoverWalk(ByteOrder.of(vocabulary), law, width)


def covers_of(walk: CoverWalk, reader: HashReader, text: bytes) -> Covers:
    covers = walk.begin((), reader.logits(()))
    for byte in text:
        covers = walk.advance(walk.read([covers], reader)[0], byte)
    return covers


def check_all(walk: CoverWalk, reader: HashReader, oracle: Enumeration, longest: int) -> int:
    """Compare every string of at most `longest` bytes of the tokens; how many have mass."""
    letters = sorted({byte for token in oracle.tokens for byte in token})
    n_massive = 0
    for length in range(longest + 1):
        for text in map(bytes, product(letters, repeat=length)):
            covers = covers_of(walk, reader, text)
            mass = oracle.mass(text)
            assert math.exp(covers.log_mass) == pytest.approx(mass, abs=1e-300, rel=1e-9)
            if mass == 0 or length == longest:
                continue
            n_massive += 1
            [covers] = walk.read([covers], reader)
            masses = np.exp(walk.log_masses(covers))
            expected = np.zeros(257)
            for byte in letters:
                expected[byte] = oracle.mass(text + bytes([byte]))
            expected[STOP] = oracle.stop_mass(text)
            np.testing.assert_allclose(masses, expected, rtol=1e-9, atol=1e-300)
            np.testing.assert_allclose(
                np.exp(walk.log_probabilities(covers)), expected / mass, rtol=1e-9, atol=1e-300
            )
            assert masses.sum() == pytest.approx(mass, rel=1e-9)
            assert expected.sum() == pytest.approx(mass, rel=1e-9)
    return n_massive


@pytest.mark.parametrize("place", range(len(VOCABULARIES)))
@pytest.mark.parametrize("seed", [0, 1])
def test_all_covers_equal_enumeration(place: int, seed: int) -> None:
    tokens, ends = VOCABULARIES[place]
    vocabulary = Vocabulary.from_tokens(tokens, ends)
    reader = HashReader(seed, len(tokens) + 3)  # more logits than ids, as real models have
    oracle = Enumeration(tokens, set(ends), lambda s: list(reader.logits(s)))

    assert check_all(walk_of(vocabulary, AllSequences()), reader, oracle, DEPTH - 1) > 5


def beginnings(sequences: set[tuple[int, ...]]) -> set[tuple[int, ...]]:
    return {sequence[:n] for sequence in sequences for n in range(len(sequence) + 1)}


@pytest.mark.parametrize("name", NAMES)
def test_canonical_covers_equal_enumeration(name: str) -> None:
    backend = tiny(name)
    vocabulary = backend.vocabulary
    longest = 6 if len(backend.letters) > 3 else 8
    canonical = backend.canonical(longest)
    viable = beginnings(canonical)

    def allowed(sequence: tuple[int, ...]) -> set[int]:
        text = {i for i in oracle.text if (*sequence, i) in viable}
        return text | ({0} if sequence in canonical else set())

    reader = HashReader(3, vocabulary.size)
    oracle = Enumeration(vocabulary.tokens, {0}, lambda s: list(reader.logits(s)), allowed)

    assert check_all(walk_of(vocabulary, backend.law()), reader, oracle, 3) > 5


@given(st.lists(st.text("abc", min_size=1, max_size=3), min_size=2, max_size=6), st.integers(0, 99))
@settings(max_examples=25)
def test_all_covers_of_any_vocabulary_equal_enumeration(found: list[str], seed: int) -> None:
    tokens = [*map(str.encode, found), b""]
    vocabulary = Vocabulary.from_tokens(tokens, [len(tokens) - 1])
    reader = HashReader(seed, len(tokens))
    oracle = Enumeration(tokens, {len(tokens) - 1}, lambda s: list(reader.logits(s)))

    check_all(walk_of(vocabulary, AllSequences()), reader, oracle, 3)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_beam_is_within_its_bound(width: int) -> None:
    tokens, ends = VOCABULARIES[0]
    vocabulary = Vocabulary.from_tokens(tokens, ends)
    reader = HashReader(5, len(tokens))
    whole, beam = (walk_of(vocabulary, AllSequences(), w) for w in (None, width))
    is_off = False
    for text in map(bytes, product(b"ab", repeat=6)):
        exact = whole.read([covers_of(whole, reader, text)], reader)[0]
        pruned = beam.read([covers_of(beam, reader, text)], reader)[0]
        assert len(pruned.groups) + len(pruned.paths) <= width
        if pruned.log_mass == -np.inf:
            assert exact.log_mass <= pruned.log_pruned + 1e-9
            continue
        low, high = pruned.log_mass, np.logaddexp(pruned.log_mass, pruned.log_pruned)
        assert low - 1e-9 <= exact.log_mass <= high + 1e-9
        difference = np.exp(whole.log_probabilities(exact)) - np.exp(beam.log_probabilities(pruned))
        assert np.abs(difference).sum() / 2 <= pruned.error + 1e-9
        is_off |= bool(np.abs(difference).sum() > 1e-6)
    assert is_off or width == 4


def test_a_beam_wide_enough_drops_nothing() -> None:
    tokens, ends = VOCABULARIES[0]
    vocabulary = Vocabulary.from_tokens(tokens, ends)
    reader = HashReader(5, len(tokens))
    covers = covers_of(walk_of(vocabulary, AllSequences(), 1000), reader, b"abaab")

    assert covers.error == 0.0
    exact = covers_of(walk_of(vocabulary, AllSequences()), reader, b"abaab")
    assert covers.log_mass == pytest.approx(exact.log_mass, rel=1e-12)


def test_one_pass_reads_the_paths_of_many_covers_and_changes_none() -> None:
    tokens, ends = VOCABULARIES[0]
    walk = walk_of(Vocabulary.from_tokens(tokens, ends), AllSequences())
    reader = HashReader(0, len(tokens))
    many = [covers_of(walk, reader, text) for text in (b"a", b"ab", b"ba")]
    reader.n_passes = 0

    read = walk.read(many, reader)

    assert reader.n_passes == 1
    assert all(covers.is_read for covers in read)
    assert not any(covers.is_read for covers in many)
    with pytest.raises(ValueError, match="read them first"):
        walk.log_masses(many[0])


def test_covers_are_drawn_by_their_weight() -> None:
    tokens, ends = VOCABULARIES[0]
    walk = walk_of(Vocabulary.from_tokens(tokens, ends), AllSequences())
    reader = HashReader(1, len(tokens))
    oracle = Enumeration(tokens, set(ends), lambda s: list(reader.logits(s)))
    text = b"aa"
    expected = {c: oracle.probability(c) / oracle.mass(text) for c in oracle.covers(text)}
    [covers] = walk.read([covers_of(walk, reader, text)], reader)
    rng = np.random.default_rng(0)
    n_draws = 20_000
    counts = dict.fromkeys(expected, 0)
    for _ in range(n_draws):
        cover = walk.sample(covers, rng)
        counts[cover.tokens] += 1
        assert text + cover.past == b"".join(tokens[token] for token in cover.tokens)
        assert cover.path.tokens == cover.tokens[: len(cover.path.tokens)]
        assert len(cover.tokens) - len(cover.path.tokens) == bool(cover.past)
        assert math.exp(cover.log_weight) == pytest.approx(oracle.probability(cover.tokens))

    chi = sum((counts[c] - n_draws * p) ** 2 / (n_draws * p) for c, p in expected.items())
    n_free = len(expected) - 1
    assert chi < n_free + 4 * math.sqrt(2 * n_free)


def test_small_masses_keep_their_digits() -> None:
    logs = np.array([0.0, -800.0, -801.0, -1e6, -np.inf, -np.inf, -3.0])

    sums = log_sums(logs, np.array([0, 1, 3, 4, 6]))

    expected = [0.0, -800 + math.log1p(math.exp(-1)), -1e6, -np.inf, -3.0]
    np.testing.assert_allclose(sums, expected, rtol=1e-15)


def test_logits_that_do_not_fit_are_refused() -> None:
    order = ByteOrder.of(Vocabulary.from_tokens([b"a", b"b", b""], [2]))
    with pytest.raises(LogitsError, match="3 ids"):
        make_row(order, np.zeros(2))
    with pytest.raises(LogitsError, match="NaN"):
        make_row(order, np.array([0.0, np.nan, 0.0]))
    with pytest.raises(DeadEndError):
        make_row(order, np.full(3, -np.inf))
