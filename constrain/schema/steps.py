"""What a lexeme makes of the topmost frame: one more on it, another one in its place, or none.

Frames lead only to frames that can be completed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from constrain.automata.lexer import DEAD
from constrain.schema.awaited import ValueStarts
from constrain.schema.costs import Costs
from constrain.schema.frame import (
    FIRST,
    NEXT,
    Awaited,
    Block,
    Frame,
    InArray,
    InObject,
    Item,
    Style,
)
from constrain.schema.items import array_cost, clipped, items, may_close
from constrain.schema.languages import NOTHING, Arrays, Expr, Objects
from constrain.schema.lexicon import (
    ARRAY,
    BLOCK,
    CLOSE,
    COMMA,
    FIRST_BLOCK,
    FIRST_CLASS,
    OBJECT,
    TRAIL,
    VALUE,
    WS,
)
from constrain.schema.members import is_possible, members_cost
from constrain.schema.shortest import IMPOSSIBLE, spelled

Result = tuple[Frame, ...]  # frames in the place of the topmost one, from below

_WHOLE_KEY = re.compile(rb'[, \t\n\r]*("(?:[^"\\]|\\.)*")[ \t\n\r]*:', re.DOTALL)


class Steps:
    """The steps between the frames of one schema.

    Args:
        costs: of the schema's expressions.
        style: how texts are written.
        values: the lexemes that values begin with.
    """

    def __init__(self, costs: Costs, style: Style, values: ValueStarts) -> None:
        self._costs = costs
        self._style = style
        self._values = values

    def results(self, frame: Frame, winner: int) -> Iterator[Result]:
        """What may be in the place of a frame behind a lexeme; some of it may come twice."""
        if isinstance(frame, Awaited):
            yield from self._value_results(frame, winner)
        elif isinstance(frame, Block):
            if winner == VALUE:
                yield ()
            else:
                yield (self._values.behind_block(frame, winner),)
        elif isinstance(frame, InArray):
            yield from self._array_results(frame, winner)
        elif isinstance(frame, Item):
            if winner == VALUE:
                yield (_behind_item(frame),)
        elif isinstance(frame, InObject):
            yield from self._object_results(frame, winner)
        elif winner == TRAIL:
            yield (frame,)

    def _value_results(self, frame: Awaited, winner: int) -> Iterator[Result]:
        if winner == VALUE:
            yield ()
            return
        values = self._costs.space.values(frame.expr)
        if winner == BLOCK or winner >= FIRST_BLOCK:
            block = self._values.string_block(values.strings)
            assert block is not None
            yield (self._values.behind_block(block, winner),)
        elif winner == ARRAY:
            for array in self._costs.arrays(frame.expr):
                yield from self._open_array(array, frame.depth)
        elif winner == OBJECT:
            for shape in values.objects:
                plain = self._costs.plain(shape)
                if is_possible(plain, self._costs):
                    yield (self._open_object(plain, frame.depth),)

    def _open_object(self, plain: Objects, depth: int) -> InObject:
        names = frozenset(n for n, e in plain.names.items() if not self._costs.is_empty(e))
        keys: frozenset[bytes] | None = frozenset() if plain.is_distinct else None
        return InObject(plain, names, plain.required, 0, 0, True, depth, keys)

    # --- arrays -----------------------------------------------------------------------

    def _open_array(self, array: Arrays, depth: int) -> Iterator[Result]:
        first = InArray(array, 0, 0, depth, FIRST, frozenset() if array.unique else None)
        if may_close_array(first):
            yield (first,)
        yield from self.next_items(first)

    def next_items(self, frame: InArray) -> Iterator[Result]:
        """The next item, and the array behind it."""
        array, index = frame.array, frame.place
        if array.most is not None and index >= array.most:
            return
        for expr, added in items(array, index, self._costs.space):
            behind = clipped(array, index + 1, frame.n_found + added)
            if self._costs.is_empty(expr):
                continue
            if array_cost(array, *behind, self._costs) < IMPOSSIBLE:
                then = InArray(array, *behind, frame.depth, NEXT, frame.seen)
                if frame.seen is not None:
                    item = Item(expr, then, b"")
                    if self._values.item(item) != DEAD:
                        yield (item,)
                else:
                    yield then, self._style.inside(expr, frame.depth, 2)

    def _array_results(self, frame: InArray, winner: int) -> Iterator[Result]:
        if winner == CLOSE:
            if may_close_array(frame):
                yield ()
        elif winner == COMMA and frame.kind == NEXT:
            yield from self.next_items(frame)

    # --- objects ----------------------------------------------------------------------

    def _object_results(self, frame: InObject, winner: int) -> Iterator[Result]:
        if winner == CLOSE:
            if may_close_object(frame):
                yield ()
        elif FIRST_CLASS <= winner < FIRST_CLASS + len(frame.shape.classes):
            yield from self.class_members(frame, winner - FIRST_CLASS)
        else:
            name = self._values.lexicon.name_of(winner)
            if name in frame.left:
                yield from self.named_members(frame, name)

    def named_members(self, frame: InObject, name: str) -> Iterator[Result]:
        """The object behind a key of `names`, and its value."""
        if name not in frame.left:
            return
        left = frame.left - {name}
        if self._style.in_order:
            left = frame.shape.behind(name) & left
        relevant = [i for i, w in enumerate(frame.shape.witnesses) if w.has(name)]
        yield from self._member(frame, frame.shape.names[name], left, relevant, name)

    def is_free(self, frame: InObject) -> bool:
        """Whether each name that is left may come next: no member stands in another one's way."""
        shape = frame.shape
        is_counted = shape.most is not None or shape.least > 0
        return not (self._style.in_order or is_counted or shape.witnesses)

    def class_members(self, frame: InObject, number: int) -> Iterator[Result]:
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
            key = _WHOLE_KEY.fullmatch(frame.text or b"")
            if key is not None:  # else it is not known, or asked what it could be
                keys |= {spelled(json.loads(key[1]))}
        if expr == NOTHING or (shape.most is not None and frame.n_members >= shape.most):
            return
        missing = frame.missing - {name} if name is not None else frame.missing
        count = frame.n_members + 1
        if shape.most is None:
            count = min(count, shape.least)
        for chosen in _subsets([i for i in relevant if not frame.met >> i & 1]):
            own, met = expr, frame.met
            for i in chosen:
                own = self._costs.space.conjunction(own, shape.witnesses[i].expr)
                met |= 1 << i
            if self._costs.is_empty(own):
                continue
            behind = InObject(shape, left, missing, count, met, False, frame.depth, keys)
            if members_left(behind, self._costs) < IMPOSSIBLE:
                yield behind, self._style.inside(own, frame.depth, 1)


def _behind_item(frame: Item) -> InArray:
    """The array behind an item; if that is not known, it is not among those seen."""
    seen = frame.behind.seen
    assert seen is not None
    text = (frame.text or b"").strip(WS)
    return frame.behind._replace(seen=seen | {text} if text else seen)


def may_close_array(frame: InArray) -> bool:
    """Whether an array may end here."""
    return may_close(frame.array, frame.place, frame.n_found)


def may_close_object(frame: InObject) -> bool:
    """Whether an object may end here."""
    shape = frame.shape
    everything = (1 << len(shape.witnesses)) - 1
    return not frame.missing and frame.n_members >= shape.least and frame.met == everything


def members_left(frame: InObject, costs: Costs) -> int:
    """Bytes of the members to come; see `members_cost`."""
    return members_cost(
        frame.shape,
        frame.left,
        frame.missing,
        frame.n_members,
        frame.met,
        costs,
        frame.keys or frozenset(),
    )


def _subsets(numbers: list[int]) -> Iterator[list[int]]:
    for bits in range(1 << len(numbers)):
        yield [number for i, number in enumerate(numbers) if bits >> i & 1]
