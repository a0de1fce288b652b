"""Free text with tags, against a reader that splits texts by hand and uses `json.loads` inside."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import constrain
from constrain import Grammar, Matcher, Vocabulary, bitmask
from constrain.errors import (
    EmptyLanguageError,
    GrammarLimitError,
    SchemaError,
    TagError,
)
from constrain.schema import tags as tags_module
from constrain.schema.tags import Tag, TagGrammar
from tests.timing import within

jsonschema = pytest.importorskip("jsonschema")

BYTES = [bytes([byte]) for byte in range(256)]


class Spec:
    """Tags as a reader by hand and as a grammar.

    A content is a schema, or a text: a pattern.
    """

    def __init__(
        self,
        tags: tuple[tuple[str, Any, str], ...],
        triggers: tuple[str, ...] | None = None,
        text: bool = True,
        at_least: int = 0,
        at_most: int | None = None,
    ) -> None:
        self.tags, self.text, self.at_least, self.at_most = tags, text, at_least, at_most
        self.triggers = triggers or tuple(begin for begin, _, _ in tags)
        self.grammar = Grammar.tags(
            [
                Tag(
                    begin, Grammar.from_regex(content) if isinstance(content, str) else content, end
                )
                for begin, content, end in tags
            ],
            triggers=triggers,
            text=text,
            at_least=at_least,
            at_most=at_most,
        )

    def __repr__(self) -> str:
        return f"Spec({self.tags}, {self.triggers}, {self.text}, {self.at_least}, {self.at_most})"

    def accepts(self, text: bytes) -> bool:
        """Whether some way to split the text is one into free texts and tags."""
        try:
            return self._reads(text.decode(), 0)
        except UnicodeDecodeError:
            return False

    def _reads(self, text: str, n_tags: int) -> bool:
        if n_tags >= self.at_least and self._is_free(text):
            return True
        if self.at_most is not None and n_tags == self.at_most:
            return False
        for start in self._starts(text):
            for begin, content, end in self.tags:
                if not text.startswith(begin, start):
                    continue
                behind = start + len(begin)
                for stop in range(behind, len(text) + 1 - len(end)):
                    rest = text[stop + len(end) :]
                    is_tag = text.startswith(end, stop) and _fits(text[behind:stop], content)
                    if is_tag and self._reads(rest, n_tags + 1):
                        return True
        return False

    def _is_free(self, text: str) -> bool:
        return not any(t in text for t in self.triggers) if self.text else not text

    def _starts(self, text: str) -> list[int]:
        if not self.text:
            return [0]
        ends = [text.find(t) + len(t) for t in self.triggers if t in text]
        if not ends:
            return []
        first = min(ends)
        return [first - len(t) for t in self.triggers if text[:first].endswith(t)]


@cache
def _fits_json(content: str, schema: str) -> bool:
    try:
        value = json.loads(content)
    except ValueError:
        return False
    return bool(jsonschema.Draft202012Validator(json.loads(schema)).is_valid(value))


def _fits(content: str, wanted: Any) -> bool:
    if isinstance(wanted, str):
        return re.fullmatch(wanted, content) is not None
    return _fits_json(content, json.dumps(wanted))


SPECS = {
    "one": Spec((("<a", {"enum": [1]}, ">"),)),
    "two of one trigger": Spec((("<a", {"type": "boolean"}, ">"), ("<b", "a*", ">")), ("<",)),
    "begins in begins": Spec((("<a", "b", ">"), ("<ab", "b*", "<")), ("<",)),
    "the same begin twice": Spec((("<", {"enum": [1, "a"]}, ">"), ("<", "a|1*", ">>"))),
    "overlaps itself": Spec((("aab", "a*", "ab"),)),
    "triggers that overlap": Spec((("ab", "c?", "a"), ("bc", "a", ""))),
    "no end": Spec((("<", {"enum": [1, True]}, ""),)),
    "no end, no text": Spec((("<", {"enum": [1]}, ""), ("b", "b*", "")), text=False),
    "content that may be empty": Spec((("<", "", ">"), ("a", "(a|b)?", ">"))),
    "content with the end in it": Spec((("<", {"enum": ["<", ">"]}, ">"),)),
    "content with anything in it": Spec((("<", "[^1]*", ">"),)),
    "white space at the ends": Spec(((" <", {"enum": [1]}, " >"),)),
    "white space as a trigger, no end": Spec(((" a", {"enum": [1]}, ""),)),
    "letters of several bytes": Spec((("é", "é", "è"), ("€", {"enum": ["é"]}, "é"))),
    "at least": Spec((("<", "a", ">"),), at_least=2),
    "at most": Spec((("<", "a", ">"), ("b", "a", "b")), at_most=1),
    "none at all": Spec((("<", "a", ">"),), at_most=0),
    "items that differ": Spec(
        (("<", {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, ">"),)
    ),
    "exactly": Spec((("<", "a?", ">"),), at_least=1, at_most=2),
    "no text": Spec((("<a", "a", ">"), ("<", "b*", ">")), text=False, at_least=1),
}
LETTERS = {
    "items that differ": ["<[", "1", ",", "]", ">"],
    "at least": ["<a>", "<", "a", ">"],
    "exactly": ["<a", "<", "a", ">"],
    "letters of several bytes": ["é", "è", "€", '"', "a"],
    "overlaps itself": ["a", "b", "c"],
    "triggers that overlap": ["a", "b", "c"],
    "no end": ["<", "1", "true", " ", "b"],
    "no end, no text": ["<", "1", " ", "b"],
    "the same begin twice": ["<", ">", "1", "a", '"'],
    "content with the end in it": ["<", ">", '"', " "],
    "white space at the ends": ["<", ">", "1", " "],
    "white space as a trigger, no end": ["a", "1", " ", "\n"],
    "two of one trigger": ["<a", "<b", ">", "true", "a", "<"],
}


def matcher_of(spec: Spec, tokens: list[bytes] = BYTES) -> Matcher:
    vocabulary = Vocabulary.from_tokens([*tokens, b""], [len(tokens)])
    return constrain.compile(spec.grammar, vocabulary).matcher()


def mask_of(matcher: Matcher, n_tokens: int) -> np.ndarray[Any, Any]:
    row = bitmask.allocate(n_tokens)
    matcher.fill_bitmask(row)
    return bitmask.unpack(row, n_tokens)


@pytest.mark.parametrize("name", SPECS)
def test_the_texts_are_those_that_a_reader_by_hand_splits(name: str) -> None:
    spec, letters = SPECS[name], LETTERS.get(name, ["<", ">", "a", "b", "1"])
    start = matcher_of(spec)
    n_whole = 0
    for length in range(7 if len(letters) < 5 else 6):
        for parts in product(letters, repeat=length):
            text = "".join(parts).encode()
            matcher = start.fork()
            ours = matcher.accept_bytes(text) and matcher.is_accepting()
            assert ours == spec.accepts(text), text
            n_whole += ours
    assert n_whole > 1


@pytest.mark.parametrize("name", SPECS)
def test_masks_are_those_of_each_token_and_all_that_is_allowed_can_be_completed(name: str) -> None:
    spec, letters = SPECS[name], LETTERS.get(name, ["<", ">", "a", "b", "1"])
    tokens = ["".join(p).encode() for n in (1, 2, 3) for p in product(letters, repeat=n)][:400]
    tokens += [b"\xc3", b"\xa9", b"\x82", b"\xe2", b"\xac", b"\xff", *BYTES]
    first, n_tokens = matcher_of(spec, tokens), len(tokens) + 1
    rng = np.random.default_rng(1)
    for _ in range(6):
        matcher = first.fork()
        for _ in range(8):
            mask = mask_of(matcher, n_tokens)
            for token in range(n_tokens):
                ahead = matcher.fork()
                assert ahead.accept_token(token) == mask[token], (matcher.text, token)
            assert mask[-1] == spec.accepts(matcher.text), matcher.text
            allowed = np.flatnonzero(mask[:-1])
            for token in rng.choice(allowed, min(10, len(allowed)), replace=False).tolist():
                ahead = matcher.fork()
                assert ahead.accept_token(token)
                assert spec.accepts(ahead.text + ahead.shortest_completion()), ahead.text
            if not len(allowed):
                break
            assert matcher.accept_token(int(rng.choice(allowed)))


def shortest_by_trying(spec: Spec, text: bytes, below: int) -> bytes | None:
    """The shortest completion of fewer than `below` bytes, of five letters and 4 bytes at most."""
    for length in range(min(below, 5)):
        for parts in product([b"a", b"b", b"<", b"1", b'"'], repeat=length):
            if spec.accepts(text + b"".join(parts)):
                return b"".join(parts)
    return None


@pytest.mark.parametrize("name", SPECS)
def test_what_a_completion_is_said_to_cost_is_never_more_than_it_does(name: str) -> None:
    spec, letters = SPECS[name], LETTERS.get(name, ["<", ">", "a", "b", "1"])
    start = matcher_of(spec)
    engine = start._engine
    for parts in product(letters, repeat=3):
        matcher = start.fork()
        if matcher.accept_bytes("".join(parts).encode()) and not matcher.is_accepting():
            costs = engine.completer.costs
            threads = matcher._now.state.threads
            bound = min(costs.of_thread(thread, engine.machine) for thread in threads)
            assert bound <= len(matcher.shortest_completion()), matcher.text


@settings(max_examples=60)
@given(
    begins=st.lists(st.text("ab<", min_size=1, max_size=3), min_size=1, max_size=3),
    ends=st.lists(st.text("ab<", max_size=2), min_size=3, max_size=3),
    contents=st.lists(
        st.sampled_from(["a", "b*", "(ab)?", "[ab]+", {"enum": [1]}, {"enum": ["a"]}, "a|<"]),
        min_size=3,
        max_size=3,
    ),
    text=st.booleans(),
    bounds=st.sampled_from([(0, None), (1, None), (1, 1), (0, 2)]),
    texts=st.lists(st.text('ab<1"', max_size=9), min_size=20, max_size=20),
)
@example(["ab", "bb"], ["", "a", "b"], ["a", "b*", "a"], True, (0, None), ["abb", "abbb"])
def test_random_tags_are_read_as_by_hand(
    begins: list[str],
    ends: list[str],
    contents: list[Any],
    text: bool,
    bounds: tuple[int, int | None],
    texts: list[str],
) -> None:
    tags = tuple(zip(begins, contents, ends, strict=False))
    try:
        spec = Spec(tags, None, text, *bounds)
    except TagError:
        assert text
        assert any(a != b and a in b for a in begins for b in begins)
        return
    start = matcher_of(spec)
    for one in texts:
        data = one.encode()
        matcher = start.fork()
        if matcher.accept_bytes(data):
            assert matcher.is_accepting() == spec.accepts(data), (spec, data)
            completion = matcher.shortest_completion()
            assert spec.accepts(data + completion), (spec, data)
            found = shortest_by_trying(spec, data, len(completion))
            assert found is None, (spec, data, found, completion)
        else:
            found = shortest_by_trying(spec, data, 5)
            assert found is None, (spec, data, found)


def test_a_budget_is_kept_with_tags_that_must_come() -> None:
    spec = Spec((("<f>", {"type": "object", "required": ["a"]}, "</f>"),), at_least=1)
    matcher = matcher_of(spec)
    n_tokens = matcher.tokens_to_finish()
    assert n_tokens == len(b'<f>{"a":0}</f>') + 1
    rng = np.random.default_rng(2)
    for left in range(n_tokens + 20, 0, -1):
        row = bitmask.allocate(257)
        matcher.fill_bitmask_within(row, left)
        assert matcher.accept_token(int(rng.choice(bitmask.token_ids(row))))
        if matcher.is_terminated():
            break
    assert spec.accepts(matcher.text)


def test_what_a_vocabulary_cannot_spell_is_not_opened() -> None:
    spec = Spec((("<", "\x01", ">"), ("!", "a", ">")))
    lacking = [token for token in BYTES if token != b"\x01"]
    matcher = matcher_of(spec, lacking)
    mask = mask_of(matcher, len(lacking) + 1)
    assert not mask[lacking.index(b"<")]
    assert mask[lacking.index(b"!")]
    assert mask[lacking.index(b"a")]
    assert mask_of(matcher_of(spec), 257)[ord("<")]


def test_schemas_in_one_grammar_do_not_mix() -> None:
    one, other = {"properties": {"a": {"type": "integer"}}}, {"properties": {"a": {"type": "null"}}}
    closed = {"type": "object", "additionalProperties": False}
    spec = Spec((("<1>", {**closed, **one}, "<"), ("<2>", {**closed, **other}, "<")), ("<",))
    for text, expected in [
        (b'<1>{"a": 1}<', True),
        (b'<2>{"a": 1}<', False),
        (b'<1>{"a": null}<', False),
        (b'x<2>{"a": null}<y<1>{"a": 12}<<2>{}<', True),
        (b'<1>{"a": 1}<<3>', False),
    ]:
        matcher = matcher_of(spec)
        assert (
            (matcher.accept_bytes(text) and matcher.is_accepting())
            == expected
            == spec.accepts(text)
        ), text


def test_contents_keep_their_options() -> None:
    compact = Grammar.from_json_schema({"type": "array"}, whitespace="compact")
    grammar = Grammar.tags([Tag("<", compact, ">")])
    for text, expected in [(b"<[1,2]>", True), (b"<[1, 2]>", False), (b"<[1,2] >", False)]:
        store = constrain.compile(grammar, Vocabulary.from_tokens([*BYTES, b""], [256]))
        matcher = store.matcher()
        assert (matcher.accept_bytes(text) and matcher.is_accepting()) == expected


TAG = Tag("<f>", {"type": "object"}, "</f>")


@pytest.mark.parametrize(
    ("tags", "options", "error", "message"),
    [
        ([], {}, TagError, "from 1 to"),
        ([TAG] * 1001, {}, TagError, "from 1 to 1000 tags, not 1001"),
        ([Tag("", {}, "a")], {}, TagError, "tag 0: `begin` is empty"),
        ([Tag("a", {}, 3)], {}, TagError, "tag 0: `end` is a text, not 3"),
        ([Tag("a", {}, "\ud800")], {}, TagError, "surrogate"),
        ([TAG, Tag("<f>x", {})], {}, TagError, "is inside '<f>x'.*pass `triggers`"),
        ([TAG], {"triggers": ["<f", "<"]}, TagError, "is inside '<f'.*leave one of them out"),
        ([TAG], {"triggers": ["x"]}, TagError, "'x' is the beginning of no tag"),
        ([TAG], {"triggers": [""]}, TagError, "'' is the beginning of no tag"),
        ([TAG, Tag("g", {})], {"triggers": ["<f"]}, TagError, "'g' begins with none"),
        ([Tag("a", Grammar.builtin("json"))], {}, TagError, "tag 0, 'a': .* not one terminal"),
        ([Tag("a", {"type": 3})], {}, SchemaError, "#/type"),
        ([Tag("a", {"unevaluatedItems": False})], {}, SchemaError, "unevaluatedItems"),
        ([Tag("a", "no json")], {}, SchemaError, "no JSON"),
        ([Tag("a", False)], {}, EmptyLanguageError, "no JSON value"),
        ([Tag("a", Grammar.from_regex("(?!)"))], {}, EmptyLanguageError, "no text is of its"),
        ([TAG], {"at_least": 2, "at_most": 1}, EmptyLanguageError, "at least 2 and at most 1"),
        ([TAG], {"at_least": -1}, TagError, "whole numbers"),
        ([TAG], {"at_most": 0.5}, TagError, "whole numbers"),
        ([Tag("a" * 20_001, {})], {}, GrammarLimitError, "at most 20000"),
    ],
)
def test_what_is_refused(
    tags: list[Tag], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Grammar.tags(tags, **options)


def test_equal_tags_are_one_grammar() -> None:
    one, other = (Grammar.tags([TAG], at_most=n) for n in (1, 1))
    assert isinstance(one, TagGrammar)
    assert one is other
    assert one.fingerprint != Grammar.tags([TAG]).fingerprint


def test_warnings_of_contents_are_told() -> None:
    content = Grammar.from_json_schema({"unevaluatedItems": False}, lenient=True)
    (warning,) = Grammar.tags([Tag("<", content, ">")]).warnings
    assert warning.keyword == "unevaluatedItems"


def test_many_long_tags_take_little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"<function={'x' * 10}{i:04}>" for i in range(500)]
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    with within(20):
        grammar = Grammar.tags([Tag(n, schema, "</f>") for n in names], triggers=["<function="])
        store = constrain.compile(grammar, Vocabulary.from_tokens([*BYTES, b""], [256]))
        matcher = store.matcher()
        text = f'Hello. {names[499]}{{"a": "b"}}</f> Bye.'.encode()
        assert matcher.accept_bytes(text)
        assert matcher.is_accepting()
    monkeypatch.setattr(tags_module, "MAX_MARKS", 10)
    with pytest.raises(GrammarLimitError, match="at most 10"):
        Grammar.tags([TAG, Tag("<<<<<", {})])
