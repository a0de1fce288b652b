"""Languages of strings and their spellings, with `json` and sets of texts as the truth."""

from __future__ import annotations

import json
import random
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from constrain.automata.dfa import ByteDFA, from_table
from constrain.automata.regex import compile_pattern
from constrain.errors import GrammarError, GrammarLimitError
from constrain.schema.spelling import MAX_ESCAPED_STATES
from constrain.schema.strings import ANY, MAX_LENGTH, complement, length, literals, spell
from tests.automata.dfas import accepted_characters, accepted_text, all_characters, assert_canonical
from tests.automata.patterns import plain_patterns
from tests.timing import share

_text = st.text(
    st.one_of(
        st.sampled_from('ab"\\/\b\f\n\r\t\0\x0b\x1f\x7fé\u2028😀\uffff'),
        st.characters(codec="utf-8"),
    )
)
_texts = st.lists(_text, max_size=6)


def written(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode()


@st.composite
def spellings(draw: st.DrawFn, text: str) -> bytes:
    """Some JSON spelling of a text."""
    parts = []
    for character in text:
        units = character.encode("utf-16-be").hex()
        escaped = "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
        cases = [escaped, escaped.upper().replace("\\U", "\\u"), json.dumps(character)[1:-1]]
        if character == "/":
            cases.append("\\/")
        if character >= " " and character not in '"\\':
            cases.append(character)
        parts.append(draw(st.sampled_from(cases)))
    return "".join(parts).encode()


# --- languages ------------------------------------------------------------------------------


def test_any_holds_every_character() -> None:
    assert len(accepted_characters(ANY)) == len(all_characters())
    assert ANY.matches(b"")
    assert not ANY.matches(b"\xed\xa0\x80")  # half a surrogate pair
    assert_canonical(ANY)


@given(plain_patterns(), _texts)
def test_a_complement_holds_all_other_texts(pattern: str, texts: list[str]) -> None:
    content = compile_pattern(pattern)
    other = complement(content)
    assert_canonical(other)
    for text in texts + [
        accepted_text(dfa, random.Random(0), 8).decode() for dfa in (content, other)
    ]:
        assert content.matches(text.encode()) != other.matches(text.encode())
    assert not other.matches(b"\xff")


@given(st.integers(0, 6), st.none() | st.integers(0, 6), _texts)
@example(0, 0, [])
@example(3, 2, [])
@example(2, None, [])
def test_a_length_counts_code_points(minimum: int, maximum: int | None, texts: list[str]) -> None:
    content = length(minimum, maximum)
    assert_canonical(content)
    for text in [*texts, *("é" * n for n in range(9))]:
        expected = minimum <= len(text) and (maximum is None or len(text) <= maximum)
        assert content.matches(text.encode()) == expected


@pytest.mark.parametrize("maximum", [0, 1])
def test_a_length_counts_every_character_and_no_other_bytes(maximum: int) -> None:
    bound = compile_pattern(rf"[\s\S]{{0,{maximum}}}")
    assert length(0, maximum) == bound
    assert length(maximum, None) == compile_pattern(rf"[\s\S]{{{maximum},}}")


def test_long_lengths_are_counted_or_refused() -> None:
    content = length(MAX_LENGTH, MAX_LENGTH)
    assert content.matches("é".encode() * MAX_LENGTH)
    assert not content.matches("é".encode() * (MAX_LENGTH - 1))
    for minimum, maximum in ((0, MAX_LENGTH + 1), (MAX_LENGTH + 1, None), (MAX_LENGTH + 1, 0)):
        with pytest.raises(GrammarLimitError, match=str(MAX_LENGTH)):
            length(minimum, maximum)


@given(_texts, _texts)
def test_literals_are_exactly_the_given_texts(texts: list[str], others: list[str]) -> None:
    content = literals(iter(texts))
    assert_canonical(content)
    for text in texts + others:
        assert content.matches(text.encode()) == (text in texts)


def test_half_a_surrogate_pair_is_no_literal() -> None:
    with pytest.raises(GrammarError, match="half a surrogate pair at 1"):
        literals(["a\ud800"])


# --- spellings ------------------------------------------------------------------------------


@pytest.mark.parametrize("any_escape", [False, True])
def test_every_character_is_spelled_as_json_writes_it(any_escape: bool) -> None:
    one = spell(length(1, 1), any_escape=any_escape)
    assert_canonical(one)
    text = all_characters()
    for character in [
        *text[:0x900:1],
        *text[0x900::997],
        *"\ud7ff\ue000\uffff\U00010000\U0010ffff",
    ]:
        assert one.matches(written(character)), character
        escaped = json.dumps(character)[1:-1].encode()
        assert one.matches(escaped) == (any_escape or escaped == written(character)), character
        upper = escaped.upper().replace(b"\\U", b"\\u")
        if escaped.startswith(b"\\u"):
            assert one.matches(upper) == (any_escape or upper == written(character)), character


@given(_text.flatmap(lambda text: st.tuples(st.just(text), spellings(text))))
def test_each_spelling_is_of_its_text_alone(given: tuple[str, bytes]) -> None:
    text, spelled = given
    assert json.loads(b'"' + spelled + b'"') == text
    content = literals([text, text + "a", "b"])
    without = literals([text + "a", text + "b", "b"])
    assert spell(content, any_escape=True).matches(spelled)
    assert spell(content, any_escape=False).matches(spelled) == (spelled == written(text))
    assert spell(without, any_escape=True).matches(spelled) == (text == "b")
    assert not spell(complement(content), any_escape=True).matches(spelled)


_ESCAPED = 'abfnrtu01234589cdeABCDEF/"\\'


@given(
    st.one_of(
        plain_patterns().map(compile_pattern),
        _texts.map(literals),
        st.text(_ESCAPED + "\n\x0b", max_size=5).map(
            lambda text: literals([text, "\n", "x\nu", "\x0bb"])
        ),
        st.sampled_from(
            [r'[\n"]u*', r"(?:\\|\n)*n", r"(?:\x0b|\x08x)b", r"[^\n]*", r"(?:x\n|n)*"]
        ).map(compile_pattern),
    ),
    st.booleans(),
    st.integers(0, 9),
)
@example(literals(["\n", "xn"]), False, 0)
@example(literals(["\n", "xu000a"]), False, 0)
@example(literals(["\\", "\x08", "xu00"]), True, 0)
@example(literals(["x\x08", "\x0b", "\x0b"]), False, 0)
@example(compile_pattern(r"\x08|u000\x0b"), False, 0)
@example(literals(["x\x08q", "xy", "\x0bq"]), False, 0)
@example(literals([]), True, 0)
def test_spellings_are_of_the_content_and_minimal(
    content: ByteDFA, any_escape: bool, seed: int
) -> None:
    spelled = spell(content, any_escape=any_escape)
    assert spelled == from_table(spelled.next[:, spelled.byte_class], spelled.accepting)
    assert spelled.is_empty() == content.is_empty()
    if content.is_empty():
        return
    for n in range(6):
        inner = accepted_text(spelled, random.Random(seed + n), 12)
        text = json.loads(b'"' + inner + b'"')
        assert content.matches(text.encode()), (inner, text)  # never half a surrogate pair
        if not any_escape:
            assert inner == written(text)
        outer = accepted_text(content, random.Random(seed + n), 12).decode()
        assert spelled.matches(written(outer))


@share(2)
@given(
    st.lists(
        st.sampled_from(
            ["\\", "u", "d8", "3d", "de", "00", "D", "8", "0", "a", "é", '"', "n", "/"]
        ),
        max_size=12,
    )
)
@example(["\\", "u", "d8", "3d", "\\", "u", "de", "00"])
@example(["\\", "u", "d8", "3d", "\\", "u", "d8", "3d"])
@example(["\\", "u", "d8", "3d", "a"])
@example(["\\", "u", "de", "00"])
def test_what_json_reads_is_a_spelling(parts: list[str]) -> None:
    inner = "".join(parts)
    try:
        text: str = json.loads(f'"{inner}"')
        text.encode()
    except ValueError:
        text = "\ud800"
    is_text = not re.search("[\ud800-\udfff]", text)
    assert spell(ANY, any_escape=True).matches(inner.encode()) == is_text


def test_all_spellings_of_a_large_content_are_refused() -> None:
    content = length(0, MAX_ESCAPED_STATES // 8 + 1)
    with pytest.raises(GrammarLimitError, match=str(MAX_ESCAPED_STATES)):
        spell(content, any_escape=True)
    assert spell(content, any_escape=False).matches(b"\\n" * 100)
