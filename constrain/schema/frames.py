"""A schema as a pushdown automaton: frames, and how a lexeme changes the topmost one.

A frame is what is open at one depth of a text: a value that is awaited, an object with the names
that may still come, an array with its next index. A lexeme replaces the topmost frame, pushes one
more or takes it away. Frames are made as they are met: a schema that could count to a million
has as many as its text uses.

Every frame can be completed, and leads only to frames that can: so whatever is alive is viable.

The kinds of frames are in `frame.py`; `starts.py` says with which lexemes they go on (`awaited.py`
for values), `steps.py` what a lexeme makes of them. `numbered.py` numbers and remembers them.
"""

from __future__ import annotations

from collections.abc import Iterator

from constrain.schema.awaited import ValueStarts
from constrain.schema.costs import Costs
from constrain.schema.frame import FIRST, Awaited, Block, End, Frame, InArray, InObject, Item, Style
from constrain.schema.items import array_cost
from constrain.schema.languages import Expr, Values
from constrain.schema.lexicon import Lexicon
from constrain.schema.numbered import Numbered, Result
from constrain.schema.starts import Starts
from constrain.schema.steps import Steps, members_left


class Frames(Numbered[Frame]):
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
        super().__init__()
        self._costs = costs
        self.lexicon = lexicon
        values = ValueStarts(costs, style, lexicon)
        self._follows = Steps(costs, style, values)
        self._begins = Starts(style, values, self._follows)
        self.tracks = costs.tracks()
        self.end = self.number(End())
        self.first = self.number(Awaited(root, 0, 0))

    def _find_start(self, number: int) -> int:
        bare = self.bare(number)
        return self._begins.of(self.frames[number]) if bare == number else self.start(bare)

    def _find_results(self, frame: Frame, winner: int) -> Iterator[Result]:
        for result in self._follows.results(frame, winner):
            yield tuple(map(self.number, result))

    def values(self, frame: Awaited | Item) -> Values:
        """What the value may be."""
        return self._costs.space.values(frame.expr)

    def accepts(self, number: int) -> bool:
        """Whether the text may end where this frame is the topmost one."""
        return number == self.end

    def cost(self, number: int) -> int:  # noqa: PLR0911 - one for each kind of frame
        """At least so many bytes take the frame away."""
        frame = self.frames[number]
        if isinstance(frame, Awaited):
            return self._costs.of(frame.expr)
        if isinstance(frame, Block):
            return 1 + frame.fewest()
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
        members = members_left(frame, self._costs)
        return 1 + members - (frame.is_first and members > 0)

    def measure(self, number: int, added: bytes) -> int:
        """A frame once some bytes of its lexeme are read."""
        frame = self.frames[number]
        if not isinstance(frame, Item | InObject) or not self.is_tracked(number):
            return number
        return number if frame.text is None else self._with_text(frame, frame.text + added)

    def _with_text(self, frame: Item | InObject, text: bytes) -> int:
        return self.number(frame._replace(text=text))

    def bare(self, number: int) -> int:
        """A frame of which is not known what was read of its lexeme."""
        frame = self.frames[number]
        if isinstance(frame, Item | InObject) and self.is_tracked(number):
            return self.number(frame._replace(text=None))
        return number

    def is_tracked(self, number: int) -> bool:
        """Whether what may come depends on what was read of lexemes."""
        frame = self.frames[number]
        if isinstance(frame, InArray):
            return frame.seen is not None
        return isinstance(frame, Item) or (isinstance(frame, InObject) and frame.keys is not None)
