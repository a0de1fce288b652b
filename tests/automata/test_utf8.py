"""Characters → UTF-8: every encoding of a character is accepted, and nothing malformed."""

from __future__ import annotations

import random
import re
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from constrain.automata.dfa import ByteDFA
from constrain.automata.regex import compile_pattern
from tests.automata.dfas import (
    SURROGATES,
    accepted_characters,
    all_characters,
    count_accepted,
    run,
)
from tests.timing import share

LAST = 0x10FFFF
# Where the encoding changes its length or its shape, and their neighbours.
EDGES = sorted({
    min(max(edge + step, 0), LAST)
    for edge in (0, 0x40, 0x80, 0xC0, 0x800, 0x840, 0x1000, 0xD7FF, 0xE000, 0xFFFF, 0x10000,
                 0x1003F, 0x3FFFF, 0x40000, 0xFFFFF, 0x100000, LAST)
    for step in (-1, 0, 1)
})  # fmt: skip
N_CHARACTERS = len(all_characters())


third = share(3)


def escaped(code_point: int) -> str:
    return f"\\U{code_point:08x}"


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.fixture(scope="module", params=[r"(?s).*", r"[\s\S]*", r"(?:[^a]|a)*"])
def every_text(request: pytest.FixtureRequest) -> ByteDFA:
    """The DFA of all texts of characters, written in several ways."""
    return compile_pattern(str(request.param))


def test_one_character_is_any_of_the_1112064_and_nothing_else() -> None:
    dfa = compile_pattern(r"[\s\S]")
    assert len(accepted_characters(dfa)) == N_CHARACTERS == 0x110000 - len(SURROGATES)
    assert count_accepted(dfa, 6) == [0, 0x80, 0x780, 0xF800 - 0x800, 0x100000, 0, 0]


def test_all_sequences_of_one_and_two_bytes(every_text: ByteDFA) -> None:
    for length in (1, 2):
        for letters in product(range(256), repeat=length):
            text = bytes(letters)
            assert every_text.matches(text) == is_utf8(text), text


def test_all_sequences_of_three_bytes(every_text: ByteDFA) -> None:
    well_formed = np.zeros((256, 256, 256), np.bool_)
    ascii_or_two = [t for t in map(bytes, product(range(256), repeat=2)) if is_utf8(t)]
    for first, second in ascii_or_two:
        well_formed[first, second, :0x80] = True
        well_formed[:0x80, first, second] = True
    for code_point in range(0x800, 0x10000):
        if code_point not in SURROGATES:
            well_formed[tuple(chr(code_point).encode())] = True
    rest = np.array(list(product(range(256), repeat=2)), np.uint8)
    for first in range(256):
        rows = np.insert(rest, 0, first, axis=1)
        accepted = every_text.accepting[run(every_text, rows)].reshape(256, 256)
        assert np.array_equal(accepted, well_formed[first]), f"after {first:#x}"


def test_sequences_of_four_bytes_with_every_lead_and_edge(every_text: ByteDFA) -> None:
    edges = (0x7F, 0x80, 0x8F, 0xBF, 0xC0, 0xC2)
    for first in range(0x80, 256):
        for letters in product(range(0x7E, 0xC4), edges, edges):
            text = bytes((first, *letters))
            assert every_text.matches(text) == is_utf8(text), text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a lone continuation", b"\x80"),
        ("a lone lead", b"\xc3"),
        ("a cut character of three bytes", b"\xe2\x82"),
        ("a cut character of four bytes", b"\xf0\x9f\x98"),
        ("a lead and a letter", b"\xc3a"),
        ("overlong NUL", b"\xc0\x80"),
        ("overlong slash of two bytes", b"\xc0\xaf"),
        ("overlong of two bytes, the last", b"\xc1\xbf"),
        ("overlong slash of three bytes", b"\xe0\x80\xaf"),
        ("overlong of three bytes, the last", b"\xe0\x9f\xbf"),
        ("overlong of four bytes, the last", b"\xf0\x8f\xbf\xbf"),
        ("the first surrogate", b"\xed\xa0\x80"),
        ("the last surrogate", b"\xed\xbf\xbf"),
        ("a pair of surrogates", b"\xed\xa0\xbd\xed\xb8\x80"),
        ("past the last character", b"\xf4\x90\x80\x80"),
        ("a lead of no character", b"\xf5\x80\x80\x80"),
        ("five bytes", b"\xf8\x88\x80\x80\x80"),
        ("six bytes", b"\xfc\x84\x80\x80\x80\x80"),
        ("FE", b"\xfe"),
        ("FF", b"\xff"),
    ],
)
def test_malformed_text_is_never_matched(name: str, text: bytes) -> None:
    for pattern in (r"(?s).*", r"[^a]*", r"\W*", r"(?:(?!a)[\s\S])*", r"[\ud800-\udfff]*|[^b]*"):
        dfa = compile_pattern(pattern)
        for whole in (text, text + b"\x80", b"\xc3\xa9" + text, text + "é".encode()):
            if not is_utf8(whole):
                assert not dfa.matches(whole), f"{name}: {pattern}"


@pytest.mark.parametrize("surrogate", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_a_surrogate_is_no_character(surrogate: int) -> None:
    written = escaped(surrogate)
    for pattern in (written, f"[{written}]", f"{written}+", f"a{written}", f"(?i){written}"):
        assert compile_pattern(pattern).is_empty(), pattern
    without = compile_pattern(f"[^{written}]")
    assert len(accepted_characters(without)) == N_CHARACTERS


_points = st.one_of(st.sampled_from(EDGES), st.integers(0, LAST), st.integers(0, 0x900))


@third
@given(st.lists(st.tuples(_points, _points).map(sorted), min_size=1, max_size=3), st.booleans())
@example([[0xD7FF, 0xE000]], False)
@example([[0, LAST]], False)
@example([[0, LAST]], True)
@example([[0x80, 0x7FF], [0x10000, 0x10FFFF]], True)
def test_ranges_hold_just_their_characters(ranges: list[list[int]], negated: bool) -> None:
    members = "".join(f"{escaped(low)}-{escaped(high)}" for low, high in ranges)
    dfa = compile_pattern(f"[{'^' * negated}{members}]")
    inside = np.zeros(LAST + 1, np.bool_)
    for low, high in ranges:
        inside[low : high + 1] = True
    inside ^= negated
    inside[SURROGATES.start : SURROGATES.stop] = False
    wanted = np.flatnonzero(inside)
    lengths = np.histogram(wanted, [0, 0x80, 0x800, 0x10000, 0x110000])[0].tolist()
    assert count_accepted(dfa, 5) == [0, *lengths, 0]
    near = {p + step for pair in ranges for p in pair for step in (-1, 0, 1)} | {*EDGES}
    chosen = random.Random(len(wanted)).sample(range(LAST + 1), 50)
    for point in near | {*chosen}:
        if point in SURROGATES or not 0 <= point <= LAST:
            continue
        assert dfa.matches(chr(point).encode()) == bool(inside[point]), hex(point)


@third
@given(st.text(max_size=6), st.binary(max_size=4))
def test_a_literal_is_its_own_encoding_and_no_other_bytes(text: str, other: bytes) -> None:
    dfa = compile_pattern(re.escape(text))
    assert count_accepted(dfa, len(text.encode()) + 2)[-3:] == [1, 0, 0]
    assert dfa.matches(text.encode())
    assert dfa.matches(other) == (other == text.encode())
