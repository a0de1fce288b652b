"""Frames and lexemes in words, for messages. No hot path comes here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from constrain.automata.lexer import DEAD, FINAL
from constrain.automata.words import count_words, iterate_words
from constrain.schema.document import escape
from constrain.schema.frame import Awaited, Block, InArray, InObject, Item
from constrain.schema.frames import Frames
from constrain.schema.lexicon import (
    ARRAY,
    CLOSE,
    COMMA,
    FIRST_CLASS,
    OBJECT,
    TRAIL,
    WS,
    Lexicon,
)
from constrain.schema.tagframes import AnyFrames, Free, Inside, TagFrames, Tail, Whole

MAX_LISTED = 8
"""Texts of a string that are told one by one."""

FIRST_BYTES = {
    "null": b"n",
    "boolean": b"tf",
    "number": b"-0123456789",
    "string": b'"',
    "array": b"[",
    "object": b"{",
}
ALL_TYPES = frozenset(FIRST_BYTES)

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)


class Value(NamedTuple):
    """What is known of a value that may be open.

    types: that it may be of
    start: the state in which it began, and the one where it is; None where it is whole
    text:  what was read before, if that is known
    """

    types: frozenset[str]
    start: tuple[int, int] | None = None
    text: bytes = b""


def open_value(lexicon: Lexicon, start: int, state: int, text: bytes = b"") -> Value:
    """A value that began in `start` and is in `state` behind a text."""
    return Value(_types_at(lexicon, start, state), (start, state), text)


def _types_at(lexicon: Lexicon, start: int, state: int) -> frozenset[str]:
    """The types of a value that is open in `state` and began in `start`; all where none did."""
    before = _behind_space(lexicon, start)
    if state in before:
        return ALL_TYPES
    found = set()
    for name, target in _entries(lexicon, before):
        if name not in found and any(state in level for level in _levels(lexicon, target)):
            found.add(name)
    return frozenset(found)


def whole_value(last: bytes) -> Value:
    """A value that ends with a byte; empty where the byte is not known."""
    if not last:
        return Value(ALL_TYPES)
    if last == b'"':
        return Value(frozenset(["string"]))
    if last.isdigit():
        return Value(frozenset(["number"]))
    return Value(ALL_TYPES - {"string", "number"})


def _behind_space(lexicon: Lexicon, start: int) -> list[int]:
    """The states that white space leads to, `start` among them."""
    found = [start]
    for state in found:
        targets = {int(lexicon.next[state, byte]) for byte in WS} - {DEAD, *found}
        found += sorted(targets)
    return found


def _entries(lexicon: Lexicon, states: Iterable[int]) -> Iterator[tuple[str, int]]:
    for state in states:
        for name, first in FIRST_BYTES.items():
            for byte in first:
                if lexicon.next[state, byte] != DEAD:
                    yield name, int(lexicon.next[state, byte])


def _levels(lexicon: Lexicon, start: int) -> Iterator[list[int]]:
    return lexicon.levels(start, lexicon.every_byte)


def lexeme_names(
    frames: AnyFrames, number: int, winners: Iterable[int], value: Value
) -> Iterator[str]:
    """What lexemes are called on a frame.

    Args:
        frames: of the automaton.
        number: of the frame.
        winners: what the lexeme may be; those that the frame has no use for are left out.
        value: what is known of it, should it be one.
    """
    frame = frames.frames[number]
    if isinstance(frame, Inside):
        assert isinstance(frames, TagFrames)
        yield from lexeme_names(frames.schemas[frame.schema], frame.number, winners, value)
        return
    for winner in winners:
        if frames.step(number, winner):
            yield from _names(frames, number, winner, value)


def _names(frames: AnyFrames, number: int, winner: int, value: Value) -> Iterator[str]:
    frame = frames.frames[number]
    if isinstance(frame, Awaited | Item):
        assert isinstance(frames, Frames)
        if winner in (ARRAY, OBJECT):
            yield "array" if winner == ARRAY else "object"
        else:
            yield from _scalars(frames, number, value)
    elif isinstance(frame, Block):
        yield "string"
    elif isinstance(frame, InArray):
        yield '"]"' if winner == CLOSE else '","'
    elif isinstance(frame, InObject):
        yield '"}"' if winner == CLOSE else _key(frames.lexicon, frame, winner)
    elif isinstance(frame, Free):
        begin = frames.lexicon.name_of(winner)
        yield "free text" if winner == FINAL[0] else f"{_quoted(begin or '')}"
    elif isinstance(frame, Tail):
        yield _quoted(frame.end) if frame.end else "white space"
    elif isinstance(frame, Whole):
        yield "a text of the tag"
    elif winner in (TRAIL, COMMA):
        yield "white space"


def _scalars(frames: Frames, number: int, value: Value) -> Iterator[str]:
    """The types of a scalar that a value may be; its values where they are few."""
    frame = frames.frames[number]
    assert isinstance(frame, Awaited | Item)
    lexicon, values = frames.lexicon, frames.values(frame)
    own = {name for name, _ in _entries(lexicon, _behind_space(lexicon, frames.start(number)))}
    own &= value.types - {"array", "object"}
    if "boolean" in own and len(values.booleans) == 1:
        own.remove("boolean")
        yield json.dumps(next(iter(values.booleans)))
    if "string" in own and value.start is not None and values.strings.content is not None:
        texts = values.strings.whole()
        if count_words(texts, MAX_LISTED + 1) <= MAX_LISTED:
            own.remove("string")
            spelled = (_quoted(text.decode()) for text in iterate_words(texts, MAX_LISTED))
            yield from (text for text in spelled if _passes(lexicon, value, text))
    yield from own


def _passes(lexicon: Lexicon, value: Value, spelling: str) -> bool:
    """Whether a value that is open may be written so."""
    assert value.start is not None
    start, state = value.start
    before = _behind_space(lexicon, start)
    if state in before:
        return True
    spelled = spelling.encode()
    for here in before:
        for length, byte in enumerate(spelled, 1):
            here = int(lexicon.next[here, byte])  # noqa: PLW2901
            if here == state and (not value.text or value.text.endswith(spelled[:length])):
                return True
    return False


def _key(lexicon: Lexicon, frame: InObject, winner: int) -> str:
    name = lexicon.name_of(winner)
    if name is not None:
        return f"{_quoted(name)}:"
    keys = frame.shape.classes[winner - FIRST_CLASS].keys
    is_any = keys is None and not frame.shape.names
    return "any key" if is_any else "another key" if keys is None else "a key of a pattern"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def frame_in_words(frames: AnyFrames, number: int) -> str:
    """What is open at one depth of a text; empty where nothing is."""
    frame = frames.frames[number]
    if isinstance(frame, Inside):
        assert isinstance(frames, TagFrames)
        return frame_in_words(frames.schemas[frame.schema], frame.number)
    if isinstance(frame, InObject):
        return f"object: members that must come: {_missing(frame)}"
    if isinstance(frame, InArray):
        words = f"array: items that must come: {max(0, frame.array.least - frame.place) or 'none'}"
    elif isinstance(frame, Free):
        words = "free text" + ("" if frames.accepts(number) else ", before a tag that must come")
    elif isinstance(frame, Tail):
        words = f"tag, until {_quoted(frame.end)}" if frame.end else ""
    else:
        kinds = {Whole: "text of a tag", Block: "string", Awaited: "value", Item: "value"}
        words = kinds.get(type(frame), "")
    return words


def _missing(frame: InObject) -> str:
    names = [_quoted(name) for name in frame.shape.names if name in frame.missing]
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more if names else "none"


def pointer_of(text: str) -> str:
    """Where in a JSON value its beginning `text` ends: a JSON pointer behind `#`."""
    steps: list[str | int | None] = []  # one for each open bracket; None before a key
    key = ""
    for token in _TOKEN.findall(text):
        last = steps[-1] if steps else None
        if token in ("{", "["):
            steps.append(None if token == "{" else 0)
        elif token in ("}", "]"):
            del steps[-1:]
        elif token == ",":
            steps[-1:] = [last + 1 if isinstance(last, int) else None]
        elif token == ":":
            steps[-1:] = [str(json.loads(key))]
        elif steps and last is None:
            key = token
    return "#" + "".join(f"/{escape(str(step))}" for step in steps if step is not None)
