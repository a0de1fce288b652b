"""A schema as a pushdown automaton: frames, and how a lexeme changes the topmost one.

A frame is what is open at one depth of a text: a value that is awaited, an object with the names
that may still come, an array with its next index. A lexeme replaces the topmost frame, pushes one
more or takes it away. Frames are made as they are met: a schema that could count to a million
has as many as its text uses.

Every frame can be completed, and leads only to frames that can: so whatever is alive is viable.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from constrain.automata.dfa import START, ByteDFA
from constrain.schema import numbers, strings
from constrain.schema.costs import Costs
from constrain.schema.counting import SMALL, Characters, characters
from constrain.schema.items import array_cost, clipped, items, may_close
from constrain.schema.languages import (
    ALL_STRINGS,
    NOTHING,
    Arrays,
    Expr,
    Numbers,
    Objects,
    Strings,
    Values,
)
from constrain.schema.lexicon import (
    ARRAY,
    BLOCK,
    CLOSE,
    COMMA,
    FIRST_BLOCK,
    FIRST_CLASS,
    OBJECT,
    QUOTE,
    REFUSED,
    TRAIL,
    VALUE,
    WS,
    Entry,
    Lexicon,
)
from constrain.schema.members import is_possible, members_cost
from constrain.schema.sets import subtract
from constrain.schema.shortest import IMPOSSIBLE, spelled

BLOCK_LENGTH = 64
"""Characters of a long string that one lexeme has at most, where the schema counts them."""


class Style(NamedTuple):
    """How texts are written.

    indent:     white space is exactly that of an indented text; None: see `is_flexible`
    is_flexible: white space is as JSON allows; else there is none
    in_order:   members come in the order of `properties`
    any_escape: keys and enumerated strings may be spelled with any escapes
    """

    indent: int | None = None
    is_flexible: bool = True
    in_order: bool = True
    any_escape: bool = False


class Awaited(NamedTuple):
    """A value that is to come.

    where: 0 at the beginning of the text, 1 behind a colon, 2 as an item
    """

    expr: Expr
    depth: int
    where: int


class Block(NamedTuple):
    """A string of which a block was read.

    text:  the spellings of the whole string; None: any
    state: of these, where it stands
    least: characters that must come
    room:  characters that may come; None: any number
    """

    text: Characters | None
    state: int
    least: int
    room: int | None


class InArray(NamedTuple):
    """An array.

    place: of the item that comes next, if any
    n_found: items so far that are of `contains`
    kind: `FIRST`: nothing is written, and nothing will be; `NEXT`: an item was written
    seen: the items so far, spelled canonically, where they must differ
    """

    array: Arrays
    place: int
    n_found: int
    depth: int
    kind: int
    seen: frozenset[bytes] | None = None


class Item(NamedTuple):
    """An item that must differ from those before, all scalars; `behind` is the array then.

    text: what is read of it; empty: not known
    """

    expr: Expr
    behind: InArray
    text: bytes


class InObject(NamedTuple):
    """An object.

    left: names that may come
    missing: those of them that must
    n_members: so far
    met: witnesses so far, as bits
    keys: those not listed by name so far, spelled, where none may come twice
    text: what is read of the next lexeme there; empty: not known
    """

    shape: Objects
    left: frozenset[str]
    missing: frozenset[str]
    n_members: int
    met: int
    is_first: bool
    depth: int
    keys: frozenset[bytes] | None = None
    text: bytes = b""


class End(NamedTuple):
    """Behind the text."""


Frame = Awaited | Block | InArray | Item | InObject | End
Result = tuple[int, ...]  # frames in the place of the topmost one, from below

FIRST, NEXT = range(2)


class Frames:
    """The frames of one schema, numbered, and the steps between them.

    Args:
        costs: of the schema's expressions.
        root: the expression of the whole text.
        style: how it is written.
        lexicon: where lexemes are made.

    Attributes:
        end: the frame behind the text.
        first: the frame of the whole text.
        tracks: for some frame it matters what lexemes say, not only what they are.
    """

    def __init__(self, costs: Costs, root: Expr, style: Style, lexicon: Lexicon) -> None:
        self._costs = costs
        self._space = costs.space
        self._style = style
        self.lexicon = lexicon
        self.frames: list[Frame] = []
        self._ids: dict[Frame, int] = {}
        self._starts: list[int | None] = []
        self._steps: dict[tuple[int, int], tuple[Result, ...]] = {}
        self.tracks = costs.tracks()
        self.end = self.number(End())
        self.first = self.number(Awaited(root, 0, 0))

    def number(self, frame: Frame) -> int:
        """The number of a frame."""
        number = self._ids.get(frame)
        if number is None:
            number = self._ids[frame] = len(self.frames)
            self.frames.append(frame)
            self._starts.append(None)
        return number

    def start(self, number: int) -> int:
        """The lexicon's state in which the next lexeme begins; DEAD where none can come."""
        start = self._starts[number]
        if start is None:
            bare = self.bare(number)
            start = self._make_start(self.frames[number]) if bare == number else self.start(bare)
            self._starts[number] = start
        return start

    def step(self, number: int, winner: int) -> tuple[Result, ...]:
        """What may be in the place of a frame behind a lexeme."""
        key = (number, winner)
        results = self._steps.get(key)
        if results is None:
            found = dict.fromkeys(self._results(self.frames[number], winner))
            results = self._steps[key] = tuple(found)
        return results

    def values(self, frame: Awaited | Item) -> Values:
        """What the value may be."""
        return self._space.values(frame.expr)

    def accepts(self, number: int) -> bool:
        """Whether the text may end where this frame is the topmost one."""
        return number == self.end

    def cost(self, number: int) -> int:  # noqa: PLR0911 - one for each kind of frame
        """At least so many bytes take the frame away."""
        frame = self.frames[number]
        if isinstance(frame, Awaited):
            return self._costs.of(frame.expr)
        if isinstance(frame, Block):
            return frame.least + 1
        if isinstance(frame, InArray):
            if frame.kind == FIRST:
                return 1
            return array_cost(frame.array, frame.place, frame.n_found, self._costs)
        if isinstance(frame, Item):
            behind = frame.behind
            rest = array_cost(behind.array, behind.place, behind.n_found, self._costs)
            return self._costs.of(frame.expr) + rest
        if isinstance(frame, End):
            return 0
        members = self._members_cost(frame)
        return 1 + members - (frame.is_first and members > 0)

    def _awaited(self, expr: Expr, depth: int, where: int) -> Awaited:
        """A value inside something; how deep makes a difference only where lines are indented."""
        if self._style.indent is None:
            return Awaited(expr, 0, 0)
        return Awaited(expr, depth + 1, where)

    # --- lexemes ----------------------------------------------------------------------

    def _make_start(self, frame: Frame) -> int:  # noqa: PLR0911 - one for each kind of frame
        if isinstance(frame, Awaited):
            return self._value_start(frame, None)
        if isinstance(frame, Item):
            awaited = self._awaited(frame.expr, frame.behind.depth, 2)
            return self._value_start(awaited, frame.behind.seen)
        if isinstance(frame, Block):
            return self._block(frame)
        if isinstance(frame, InArray):
            return self._array_start(frame)
        if isinstance(frame, InObject):
            return self._object_start(frame)
        if self._style.is_flexible:
            row = np.zeros(256, np.int32)
            trail = self.lexicon.end(TRAIL)
            row[list(WS)] = trail
            return self.lexicon.behind(b"", row)
        return 0

    def _before(self, frame: Awaited) -> bytes | None:
        """The white space before a value."""
        if self._style.is_flexible:
            return None
        if self._style.indent is None or frame.where == 0:
            return b""
        return b" " if frame.where == 1 else self._line(frame.depth)

    def _line(self, depth: int) -> bytes:
        assert self._style.indent is not None
        return b"\n" + b" " * (self._style.indent * depth)

    def _value_start(self, frame: Awaited, seen: frozenset[bytes] | None) -> int:
        """The state before a value; where values must differ, it is none of those seen."""
        lexicon = self.lexicon
        values = without(self._space.values(frame.expr), seen or frozenset())
        row = np.zeros(256, np.int32)
        end = lexicon.end(VALUE)
        for text, is_there in (
            (b"null", values.null),
            (b"true", True in values.booleans),
            (b"false", False in values.booleans),
        ):
            if is_there:
                row[text[0]] = lexicon.text(text[1:], end)
        if not values.numbers.is_empty():
            row = np.maximum(row, lexicon.next[lexicon.embed(values.numbers.whole(), VALUE)])
        if not values.strings.is_empty():
            if seen is not None:
                texts = [(text[1:-1], REFUSED) for text in seen if text[:1] == b'"']
                start = lexicon.string(values.strings.whole(), VALUE, any_escape=False)
                row[QUOTE] = lexicon.keys(texts, start, None)
            else:
                row[QUOTE] = self._string_start(values.strings)
        arrays = self._costs.arrays(frame.expr)
        if any(array_cost(a, 0, 0, self._costs) < IMPOSSIBLE for a in arrays):
            row[ord("[")] = lexicon.end(ARRAY)
        if any(self._is_possible(o) for o in values.objects):
            row[ord("{")] = lexicon.end(OBJECT)
        return lexicon.behind(self._before(frame), row)

    def _string_start(self, texts: Strings) -> int:
        if texts == ALL_STRINGS:
            return self.lexicon.string(None, VALUE, any_escape=True)
        block = self._string_block(texts)
        if block is None:
            return self.lexicon.string(texts.whole(), VALUE, any_escape=self._style.any_escape)
        return self._block(block)

    def _string_block(self, texts: Strings) -> Block | None:
        """A string whose characters are counted, at its beginning; None: it is one lexeme."""
        if texts.content is None:
            return Block(None, 0, texts.least, texts.most)
        plain = texts.plain()
        longest = max(plain.least, plain.most or 0)
        if longest * plain.content_size() <= SMALL or self._style.any_escape:
            return None
        text = characters(strings.spell(plain.content or strings.ANY, any_escape=False))
        return Block(text, START, plain.least, plain.most)

    def _block(self, block: Block) -> int:
        """The state inside a string whose characters are counted."""
        text, state, least, room = block
        length = self._block_length(text)
        is_last = least <= length if room is None else room <= length
        if text is None:
            if is_last:
                return self.lexicon.counted(least, room, None)
            return self.lexicon.counted(min(least, length + 1), None, length)
        return self.lexicon.counted_text(text, state, least, room, None if is_last else length)

    def _block_length(self, text: Characters | None) -> int:
        if text is None:
            return BLOCK_LENGTH
        return max(4, min(BLOCK_LENGTH, SMALL // text.spelling.n_states))

    def _array_start(self, frame: InArray) -> int:
        lexicon, style = self.lexicon, self._style
        closing = lexicon.end(CLOSE)
        row = np.zeros(256, np.int32)
        if frame.kind == FIRST:  # nothing written: only its end is read here
            row[ord("]")] = closing
            return lexicon.behind(None if style.is_flexible else b"", row)
        may_close, may_go_on = self._may_close(frame), any(True for _ in self._next_items(frame))
        if style.indent is None:
            row[ord("]")] = closing if may_close else 0
            row[ord(",")] = lexicon.end(COMMA) if may_go_on else 0
            return lexicon.behind(None if style.is_flexible else b"", row)
        if may_close:
            before = self._line(frame.depth) + b"]"
            row[before[0]] = lexicon.text(before[1:], closing)
        row[ord(",")] = lexicon.end(COMMA) if may_go_on else 0
        return lexicon.behind(b"", row)

    def _object_start(self, frame: InObject) -> int:
        lexicon, style = self.lexicon, self._style
        closing = lexicon.end(CLOSE)
        may_close = self._may_close_object(frame)
        inside = self._key_start(frame)
        row = np.zeros(256, np.int32)
        if style.indent is not None:
            key = lexicon.text(self._line(frame.depth + 1) + b'"', inside) if inside else 0
            if frame.is_first:
                if inside:
                    row = lexicon.next[key].copy()
                row[ord("}")] = closing if may_close else 0
                return lexicon.behind(b"", row)
            row[ord(",")] = key
            if may_close:
                before = self._line(frame.depth) + b"}"
                row[before[0]] = lexicon.text(before[1:], closing)
            return lexicon.behind(b"", row)
        before_key = None if style.is_flexible else b""
        if may_close:
            row[ord("}")] = closing
        if frame.is_first:
            row[QUOTE] = inside
        elif inside:
            quote = np.zeros(256, np.int32)
            quote[QUOTE] = inside
            row[ord(",")] = lexicon.behind(before_key, quote)
        return lexicon.behind(before_key, row)

    def _key_start(self, frame: InObject) -> int:
        """The state behind the opening quote of a key."""
        lexicon, style = self.lexicon, self._style
        shape = frame.shape
        colon = None if style.is_flexible else b""
        classes = {
            FIRST_CLASS + i: keys
            for i, (keys, _) in enumerate(shape.classes)
            if any(True for _ in self._class_members(frame, i))
        }
        if style.any_escape:
            return self._any_key_start(frame, classes)
        others = lexicon.key_class(classes, colon, any_escape=False)
        entries: list[Entry] = []
        for name in shape.names:
            if any(True for _ in self._named_members(frame, name)):
                entries.append((spelled(name), lexicon.name(name)))
            elif others:
                entries.append((spelled(name), REFUSED))
        entries += [(key, REFUSED) for key in frame.keys or ()]
        return lexicon.keys(entries, others, colon)

    def _any_key_start(self, frame: InObject, classes: dict[int, ByteDFA | None]) -> int:
        """The same for keys that may be spelled with any escapes."""
        names = list(frame.shape.names)
        taken = [*names, *(json.loads(b'"%b"' % key) for key in frame.keys or ())]
        listed = strings.literals(tuple(taken))
        languages: dict[int, ByteDFA | None] = {
            winner: subtract(strings.ANY if keys is None else keys, listed)
            for winner, keys in classes.items()
        }
        for name in names:
            if any(True for _ in self._named_members(frame, name)):
                languages[self.lexicon.name(name)] = strings.literals((name,))
        return self.lexicon.key_class(
            languages, None if self._style.is_flexible else b"", any_escape=True
        )

    # --- steps ------------------------------------------------------------------------

    def _results(self, frame: Frame, winner: int) -> Iterator[Result]:
        if isinstance(frame, Awaited):
            yield from self._value_results(frame, winner)
        elif isinstance(frame, Block):
            if winner == VALUE:
                yield ()
            else:
                yield (self._behind_block(frame, winner),)
        elif isinstance(frame, InArray):
            yield from self._array_results(frame, winner)
        elif isinstance(frame, Item):
            if winner == VALUE:
                yield (self.number(self._behind_item(frame)),)
        elif isinstance(frame, InObject):
            yield from self._object_results(frame, winner)
        elif winner == TRAIL:
            yield (self.end,)

    def _value_results(self, frame: Awaited, winner: int) -> Iterator[Result]:
        if winner == VALUE:
            yield ()
            return
        values = self._space.values(frame.expr)
        if winner == BLOCK or winner >= FIRST_BLOCK:
            block = self._string_block(values.strings)
            assert block is not None
            yield (self._behind_block(block, winner),)
        elif winner == ARRAY:
            for array in self._costs.arrays(frame.expr):
                yield from self._open_array(array, frame.depth)
        elif winner == OBJECT:
            for shape in values.objects:
                if self._is_possible(shape):
                    plain = self._costs.plain(shape)
                    names = frozenset(
                        n for n, e in plain.names.items() if not self._costs.is_empty(e)
                    )
                    keys: frozenset[bytes] | None = frozenset() if plain.is_distinct else None
                    opened = InObject(plain, names, plain.required, 0, 0, True, frame.depth, keys)
                    yield (self.number(opened),)

    def _behind_block(self, block: Block, winner: int) -> int:
        length = self._block_length(block.text)
        return self.number(
            Block(
                block.text,
                0 if winner == BLOCK else winner - FIRST_BLOCK,
                max(0, block.least - length),
                None if block.room is None else block.room - length,
            )
        )

    def _open_array(self, array: Arrays, depth: int) -> Iterator[Result]:
        first = InArray(array, 0, 0, depth, FIRST, frozenset() if array.unique else None)
        if self._may_close(first):
            yield (self.number(first),)
        yield from self._next_items(first)

    def _next_items(self, frame: InArray) -> Iterator[Result]:
        """The next item, and the array behind it."""
        array, index = frame.array, frame.place
        if array.most is not None and index >= array.most:
            return
        for expr, added in items(array, index, self._space):
            behind = clipped(array, index + 1, frame.n_found + added)
            if self._costs.is_empty(expr):
                continue
            if array_cost(array, *behind, self._costs) < IMPOSSIBLE:
                then = InArray(array, *behind, frame.depth, NEXT, frame.seen)
                if frame.seen is not None:
                    item = self.number(Item(expr, then, b""))
                    if self.start(item):
                        yield (item,)
                else:
                    yield self.number(then), self.number(self._awaited(expr, frame.depth, 2))

    def _behind_item(self, frame: Item) -> InArray:
        """The array behind an item; if that is not known, it is not among those seen."""
        seen = frame.behind.seen
        assert seen is not None
        text = frame.text.strip(WS)
        return frame.behind._replace(seen=seen | {text} if text else seen)

    def measure(self, number: int, added: bytes) -> int:
        """A frame once some bytes of its lexeme are read."""
        frame = self.frames[number]
        if isinstance(frame, Item) or (isinstance(frame, InObject) and frame.keys is not None):
            return self.number(frame._replace(text=frame.text + added))
        return number

    def bare(self, number: int) -> int:
        """A frame without what was read of its lexeme."""
        frame = self.frames[number]
        if isinstance(frame, Item | InObject) and frame.text:
            return self.number(frame._replace(text=b""))
        return number

    def is_tracked(self, number: int) -> bool:
        """Whether what may come depends on what was read of lexemes."""
        frame = self.frames[number]
        if isinstance(frame, InArray):
            return frame.seen is not None
        return isinstance(frame, Item) or (isinstance(frame, InObject) and frame.keys is not None)

    def _may_close(self, frame: InArray) -> bool:
        return may_close(frame.array, frame.place, frame.n_found)

    def _array_results(self, frame: InArray, winner: int) -> Iterator[Result]:
        if winner == CLOSE:
            if self._may_close(frame):
                yield ()
        elif winner == COMMA and frame.kind == NEXT:
            yield from self._next_items(frame)

    def _is_possible(self, shape: Objects) -> bool:
        return is_possible(self._costs.plain(shape), self._costs)

    def _members_cost(self, frame: InObject) -> int:
        return members_cost(
            frame.shape,
            frame.left,
            frame.missing,
            frame.n_members,
            frame.met,
            self._costs,
            frame.keys or frozenset(),
        )

    def _may_close_object(self, frame: InObject) -> bool:
        shape = frame.shape
        everything = (1 << len(shape.witnesses)) - 1
        return not frame.missing and frame.n_members >= shape.least and frame.met == everything

    def _object_results(self, frame: InObject, winner: int) -> Iterator[Result]:
        if winner == CLOSE:
            if self._may_close_object(frame):
                yield ()
        elif FIRST_CLASS <= winner < FIRST_CLASS + len(frame.shape.classes):
            yield from self._class_members(frame, winner - FIRST_CLASS)
        else:
            name = self.lexicon.name_of(winner)
            if name in frame.left:
                yield from self._named_members(frame, name)

    def _named_members(self, frame: InObject, name: str) -> Iterator[Result]:
        """The object behind a key of `names`, and its value."""
        if name not in frame.left:
            return
        left = frame.left - {name}
        if self._style.in_order:
            left = frame.shape.behind[name] & left
        relevant = [i for i, w in enumerate(frame.shape.witnesses) if w.has(name)]
        yield from self._member(frame, frame.shape.names[name], left, relevant, name)

    def _class_members(self, frame: InObject, number: int) -> Iterator[Result]:
        """The object behind a key of a class, and its value."""
        left: frozenset[str] = frozenset() if self._style.in_order else frame.left
        relevant = sorted(frame.shape.relevant[number])
        yield from self._member(frame, frame.shape.classes[number].expr, left, relevant, None)

    def _member(
        self,
        frame: InObject,
        expr: Expr,
        left: frozenset[str],
        relevant: list[int],
        name: str | None,
    ) -> Iterator[Result]:
        shape = frame.shape
        keys = frame.keys
        if name is None and keys is not None:
            first, last = frame.text.find(b'"'), frame.text.rfind(b'"')
            if first < last:  # else the key is not read yet: it is asked what it could be
                keys |= {spelled(json.loads(frame.text[first : last + 1]))}
        if expr == NOTHING or (shape.most is not None and frame.n_members >= shape.most):
            return
        missing = frame.missing - {name} if name is not None else frame.missing
        count = frame.n_members + 1
        if shape.most is None:
            count = min(count, shape.least)
        for chosen in _subsets([i for i in relevant if not frame.met >> i & 1]):
            own, met = expr, frame.met
            for i in chosen:
                own = self._space.conjunction(own, shape.witnesses[i].expr)
                met |= 1 << i
            if self._costs.is_empty(own):
                continue
            behind = InObject(shape, left, missing, count, met, False, frame.depth, keys)
            if self._members_cost(behind) < IMPOSSIBLE:
                yield self.number(behind), self.number(self._awaited(own, frame.depth, 1))


def _subsets(numbers: list[int]) -> Iterator[list[int]]:
    for bits in range(1 << len(numbers)):
        yield [number for i, number in enumerate(numbers) if bits >> i & 1]


def without(values: Values, seen: frozenset[bytes]) -> Values:
    """The values but for scalars that were seen; strings are left as they are."""
    if not seen:
        return values
    spelling = values.numbers
    for text in seen:
        if text[0] in b"-0123456789":
            number = numbers.equal_to(numbers.exact(json.loads(text, parse_float=Decimal)))
            spelling = spelling & Numbers(number).complement()
    return values._replace(
        null=values.null and b"null" not in seen,
        booleans=frozenset(b for b in values.booleans if json.dumps(b).encode() not in seen),
        numbers=spelling,
    )
