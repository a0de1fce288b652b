"""The lexemes that a frame goes on with, as the state of a lexicon in which they begin.

Those of arrays, objects and their keys are here; those that a value begins with in `awaited.py`.
"""

from __future__ import annotations

import json

from constrain.automata.dfa import ByteDFA
from constrain.automata.lexer import DEAD
from constrain.schema import strings
from constrain.schema.awaited import ValueStarts
from constrain.schema.frame import FIRST, Awaited, Block, Frame, InArray, InObject, Item, Style
from constrain.schema.keys import REFUSED, Entry, key_class, listed_keys
from constrain.schema.lexicon import (
    CLOSE,
    COMMA,
    FIRST_CLASS,
    QUOTE,
    TRAIL,
    WS,
    empty_row,
    row_to,
)
from constrain.schema.sets import subtract
from constrain.schema.shortest import spelled
from constrain.schema.steps import Steps, may_close_array, may_close_object


class Starts:
    """States of a lexicon in which the next lexemes of frames begin.

    Args:
        style: how texts are written.
        values: the states in which values begin.
        steps: what lexemes make of frames: one that makes nothing must not come.
    """

    def __init__(self, style: Style, values: ValueStarts, steps: Steps) -> None:
        self._style = style
        self._values = values
        self._steps = steps
        self._lexicon = values.lexicon

    def of(self, frame: Frame) -> int:  # noqa: PLR0911 - one for each kind of frame
        """The state; DEAD where no lexeme can come."""
        if isinstance(frame, Awaited):
            return self._values.value(frame)
        if isinstance(frame, Item):
            return self._values.item(frame)
        if isinstance(frame, Block):
            return self._values.block(frame)
        if isinstance(frame, InArray):
            return self._array(frame)
        if isinstance(frame, InObject):
            return self._object(frame)
        if self._style.is_flexible:
            row = empty_row()
            row[list(WS)] = self._lexicon.end(TRAIL)
            return self._lexicon.behind(b"", row)
        return DEAD

    def _array(self, frame: InArray) -> int:
        lexicon, style = self._lexicon, self._style
        closing = lexicon.end(CLOSE)
        row = empty_row()
        if frame.kind == FIRST:  # nothing written: only its end is read here
            row[ord("]")] = closing
            return lexicon.behind(style.gap, row)
        may_close = may_close_array(frame)
        may_go_on = any(True for _ in self._steps.next_items(frame))
        if style.indent is None:
            row[ord("]")] = closing if may_close else 0
            row[ord(",")] = lexicon.end(COMMA) if may_go_on else 0
            return lexicon.behind(style.gap, row)
        if may_close:
            before = style.line(frame.depth) + b"]"
            row[before[0]] = lexicon.text(before[1:], closing)
        row[ord(",")] = lexicon.end(COMMA) if may_go_on else 0
        return lexicon.behind(b"", row)

    def _object(self, frame: InObject) -> int:
        lexicon, style = self._lexicon, self._style
        closing = lexicon.end(CLOSE)
        may_close = may_close_object(frame)
        inside = self._key(frame)
        row = empty_row()
        if style.indent is not None:
            key = lexicon.text(style.line(frame.depth + 1) + b'"', inside) if inside else 0
            if frame.is_first:
                if inside:
                    row = lexicon.next[key].copy()
                row[ord("}")] = closing if may_close else 0
                return lexicon.behind(b"", row)
            row[ord(",")] = key
            if may_close:
                before = style.line(frame.depth) + b"}"
                row[before[0]] = lexicon.text(before[1:], closing)
            return lexicon.behind(b"", row)
        if may_close:
            row[ord("}")] = closing
        if frame.is_first:
            row[QUOTE] = inside
        elif inside:
            row[ord(",")] = lexicon.behind(style.gap, row_to({QUOTE: inside}))
        return lexicon.behind(style.gap, row)

    def _key(self, frame: InObject) -> int:
        """The state behind the opening quote of a key."""
        lexicon, style = self._lexicon, self._style
        shape = frame.shape
        classes = {
            FIRST_CLASS + i: keys
            for i, (keys, _) in enumerate(shape.classes)
            if any(True for _ in self._steps.class_members(frame, i))
        }
        if style.any_escape:
            return self._any_key(frame, classes)
        others = key_class(lexicon, classes, style.gap, any_escape=False)
        entries: list[Entry] = []
        is_free = self._steps.is_free(frame)
        for name in shape.names:
            may_come = name in frame.left
            if may_come and not is_free:
                may_come = any(True for _ in self._steps.named_members(frame, name))
            if may_come:
                entries.append((spelled(name), lexicon.name(name)))
            elif others:
                entries.append((spelled(name), REFUSED))
        entries += [(key, REFUSED) for key in frame.keys or ()]
        return listed_keys(lexicon, entries, others, style.gap)

    def _any_key(self, frame: InObject, classes: dict[int, ByteDFA | None]) -> int:
        """The same for keys that may be spelled with any escapes."""
        names = list(frame.shape.names)
        taken = [*names, *(json.loads(b'"%b"' % key) for key in frame.keys or ())]
        listed = strings.literals(tuple(taken))
        languages: dict[int, ByteDFA | None] = {
            winner: subtract(strings.ANY if keys is None else keys, listed)
            for winner, keys in classes.items()
        }
        for name in names:
            if any(True for _ in self._steps.named_members(frame, name)):
                languages[self._lexicon.name(name)] = strings.literals((name,))
        return key_class(self._lexicon, languages, self._style.gap, any_escape=True)
