"""The lexemes that a value begins with: scalars, strings or their blocks, opening brackets."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np

from constrain.automata.dfa import START
from constrain.schema import numbers, strings
from constrain.schema.costs import Costs
from constrain.schema.counting import SMALL, Characters, characters
from constrain.schema.frame import Awaited, Block, Item, Style
from constrain.schema.items import array_cost
from constrain.schema.keys import REFUSED, listed_keys
from constrain.schema.languages import ALL_STRINGS, Numbers, Strings, Values
from constrain.schema.lexicon import (
    ARRAY,
    BLOCK,
    FIRST_BLOCK,
    OBJECT,
    QUOTE,
    VALUE,
    Lexicon,
    empty_row,
)
from constrain.schema.members import is_possible
from constrain.schema.quoted import counted, counted_text, string
from constrain.schema.shortest import IMPOSSIBLE

BLOCK_LENGTH = 64
"""Characters of a long string that one lexeme has at most, where the schema counts them."""


class ValueStarts:
    """States of a lexicon in which values begin.

    Args:
        costs: of the schema's expressions.
        style: how texts are written.
        lexicon: where lexemes are made.
    """

    def __init__(self, costs: Costs, style: Style, lexicon: Lexicon) -> None:
        self._costs = costs
        self._style = style
        self.lexicon = lexicon
        self._items: dict[Item, int] = {}  # steps ask for these before the frame is there

    def value(self, frame: Awaited) -> int:
        """The state before a value."""
        return self._value(frame, None)

    def item(self, frame: Item) -> int:
        """The state before an item that is none of those seen; DEAD where there is none."""
        known = self._items.get(frame)
        if known is None:
            awaited = self._style.inside(frame.expr, frame.behind.depth, 2)
            known = self._items[frame] = self._value(awaited, frame.behind.seen)
        return known

    def _value(self, frame: Awaited, seen: frozenset[bytes] | None) -> int:
        """The state before a value that is none of those seen; None: values need not differ."""
        lexicon = self.lexicon
        values = _without(self._costs.space.values(frame.expr), seen or frozenset())
        row = empty_row()
        end = lexicon.end(VALUE)
        for text, is_there in (
            (b"null", values.null),
            (b"true", True in values.booleans),
            (b"false", False in values.booleans),
        ):
            if is_there:
                row[text[0]] = lexicon.text(text[1:], end)
        if not values.numbers.is_empty():
            start = lexicon.embed(values.numbers.whole(), VALUE)  # which may move `next`
            row = np.maximum(row, lexicon.next[start])
        if not values.strings.is_empty():
            if seen is not None:
                texts = [(text[1:-1], REFUSED) for text in seen if text[:1] == b'"']
                start = string(lexicon, values.strings.whole(), VALUE, any_escape=False)
                row[QUOTE] = listed_keys(lexicon, texts, start, None)
            else:
                row[QUOTE] = self._string_start(values.strings)
        arrays = self._costs.arrays(frame.expr)
        if any(array_cost(a, 0, 0, self._costs) < IMPOSSIBLE for a in arrays):
            row[ord("[")] = lexicon.end(ARRAY)
        if any(is_possible(self._costs.plain(o), self._costs) for o in values.objects):
            row[ord("{")] = lexicon.end(OBJECT)
        return lexicon.behind(self._before(frame), row)

    def _before(self, frame: Awaited) -> bytes | None:
        """The white space before a value."""
        if self._style.is_flexible:
            return None
        if self._style.indent is None or frame.where == 0:
            return b""
        return b" " if frame.where == 1 else self._style.line(frame.depth)

    def _string_start(self, texts: Strings) -> int:
        if texts == ALL_STRINGS:
            return string(self.lexicon, None, VALUE, any_escape=True)
        block = self.string_block(texts)
        if block is None:
            return string(self.lexicon, texts.whole(), VALUE, any_escape=self._style.any_escape)
        return self.block(block)

    def string_block(self, texts: Strings) -> Block | None:
        """A string whose characters are counted, at its beginning; None: it is one lexeme."""
        if texts.content is None:
            return Block(None, 0, texts.least, texts.most)
        plain = texts.plain()
        longest = max(plain.least, plain.most or 0)
        if longest * plain.content_size() <= SMALL or self._style.any_escape:
            return None
        text = characters(strings.spell(plain.content or strings.ANY, any_escape=False))
        return Block(text, START, plain.least, plain.most)

    def block(self, block: Block) -> int:
        """The state inside a string whose characters are counted."""
        text, state, least, room = block
        length = self._block_length(text)
        is_last = least <= length if room is None else room <= length
        if text is None:
            if is_last:
                return counted(self.lexicon, least, room, None)
            return counted(self.lexicon, min(least, length + 1), None, length)
        return counted_text(self.lexicon, text, state, least, room, None if is_last else length)

    def behind_block(self, block: Block, winner: int) -> Block:
        """What is left of a string behind a block of it."""
        length = self._block_length(block.text)
        return Block(
            block.text,
            0 if winner == BLOCK else winner - FIRST_BLOCK,
            max(0, block.least - length),
            None if block.room is None else block.room - length,
        )

    def _block_length(self, text: Characters | None) -> int:
        if text is None:
            return BLOCK_LENGTH
        return max(4, min(BLOCK_LENGTH, SMALL // text.spelling.n_states))


def _without(values: Values, seen: frozenset[bytes]) -> Values:
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
