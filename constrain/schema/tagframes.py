"""Free text with tags as a pushdown automaton, in which the contents' own automata live.

Below everything lies the end of the text, and on it free text: `Free`. A begin string puts the end
string (`Tail`) and the content on top of it. A content that is a schema is read by the `Frames` of
that schema, whose numbers are renumbered here: so frames of several schemas stand on one stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from constrain.automata.dfa import ByteDFA
from constrain.automata.lexer import DEAD, FINAL
from constrain.automata.regex import compile_pattern
from constrain.grammar.literal import escape
from constrain.schema.frame import Awaited, End
from constrain.schema.frames import Frames
from constrain.schema.freetext import free_text, only_begins
from constrain.schema.grammar import SchemaGrammar
from constrain.schema.lexicon import CLOSE, VALUE, Lexicon
from constrain.schema.numbered import Numbered, Result

WHITE_SPACE = r"[ \t\n\r]"


class Regular(NamedTuple):
    """A content that is a regular language.

    language:  its texts but the empty one; None if there are none
    has_empty: the empty text is of it
    """

    language: ByteDFA | None
    has_empty: bool


class Island(NamedTuple):
    """A tag as the automaton needs it."""

    begin: str
    content: SchemaGrammar | Regular
    end: str


class Rules(NamedTuple):
    """All that says which texts belong to a grammar of tags.

    triggers: end free text, each by the begin of a tag
    has_text: there may be free text around tags
    least, most: how many tags there are; None: any number
    """

    islands: tuple[Island, ...]
    triggers: tuple[str, ...]
    has_text: bool
    least: int
    most: int | None


class Free(NamedTuple):
    """Outside tags, of which `n_tags` were read; no more are counted than make a difference."""

    n_tags: int


class Tail(NamedTuple):
    """An end string is to come. `has_space`: the content allows white space behind it."""

    end: str
    has_space: bool


class Whole(NamedTuple):
    """A regular content is to come."""

    language: ByteDFA


class Inside(NamedTuple):
    """A frame of the schema of a content, by the numbers of both."""

    schema: int
    number: int


TagFrame = Free | Tail | Whole | Inside | End


class TagFrames(Numbered[TagFrame]):
    """The frames of free text with tags; see `constrain.schema.frames.Frames`, of which it is one.

    Args:
        rules: which texts there are.
        lexicon: where lexemes are made.
    """

    def __init__(self, rules: Rules, lexicon: Lexicon) -> None:
        super().__init__()
        self._rules = rules
        self.lexicon = lexicon
        grammars = {i.content: None for i in rules.islands if isinstance(i.content, SchemaGrammar)}
        self._places = {grammar: place for place, grammar in enumerate(grammars)}
        self.schemas = [Frames(g.costs, g.costs.space.root, g.style, lexicon) for g in self._places]
        self._by_begin: dict[str, list[Island]] = {}
        for island in rules.islands:
            self._by_begin.setdefault(island.begin, []).append(island)
        self._least_cost = min(self._island_cost(island) for island in rules.islands)
        self.tracks = any(frames.tracks for frames in self.schemas)
        self.end = self.number(End())
        self.first = self.number(Free(0))

    def accepts(self, number: int) -> bool:
        """Whether the text may end where this frame is the topmost one."""
        frame = self.frames[number]
        return isinstance(frame, End) or (isinstance(frame, Free) and self._may_stop(frame))

    def cost(self, number: int) -> int:
        """At least so many bytes take the frame away."""
        frame = self.frames[number]
        if isinstance(frame, Free):
            return max(0, self._rules.least - frame.n_tags) * self._least_cost
        if isinstance(frame, Tail):
            return len(frame.end.encode()) or 1
        if isinstance(frame, Whole):
            return len(frame.language.shortest() or b"")
        if isinstance(frame, Inside):
            return self.schemas[frame.schema].cost(frame.number)
        return 0

    def measure(self, number: int, added: bytes) -> int:
        """See `Frames.measure`."""
        frame = self.frames[number]
        if not isinstance(frame, Inside):
            return number
        measured = self.schemas[frame.schema].measure(frame.number, added)
        return self.number(Inside(frame.schema, measured))

    def bare(self, number: int) -> int:
        """See `Frames.bare`."""
        frame = self.frames[number]
        if not isinstance(frame, Inside):
            return number
        return self.number(Inside(frame.schema, self.schemas[frame.schema].bare(frame.number)))

    def is_tracked(self, number: int) -> bool:
        """See `Frames.is_tracked`."""
        frame = self.frames[number]
        return isinstance(frame, Inside) and self.schemas[frame.schema].is_tracked(frame.number)

    def _island_cost(self, island: Island) -> int:
        around = len(island.begin.encode()) + len(island.end.encode())
        content = island.content
        if isinstance(content, SchemaGrammar):
            return around + content.costs.of(content.costs.space.root)
        if content.has_empty or content.language is None:
            return around
        return around + len(content.language.shortest() or b"")

    # --- lexemes ----------------------------------------------------------------------

    def _find_start(self, number: int) -> int:
        frame = self.frames[number]
        if isinstance(frame, Free):
            return self._free_start(frame)
        if isinstance(frame, Tail):
            return self._tail_start(frame)
        if isinstance(frame, Whole):
            return self.lexicon.embed(frame.language, VALUE)
        if isinstance(frame, Inside):
            return self.schemas[frame.schema].start(frame.number)
        return DEAD

    def _may_stop(self, frame: Free) -> bool:
        return frame.n_tags >= self._rules.least

    def _may_open(self, frame: Free) -> bool:
        return self._rules.most is None or frame.n_tags < self._rules.most

    def _free_start(self, frame: Free) -> int:
        rules = self._rules
        begins = list(self._by_begin) if self._may_open(frame) else []
        if not rules.has_text:
            return only_begins(self.lexicon, begins)
        may_stop = self._may_stop(frame)
        return free_text(self.lexicon, rules.triggers, begins, may_stop=may_stop)

    def _tail_start(self, frame: Tail) -> int:
        if not frame.has_space:
            return self.lexicon.text(frame.end.encode(), self.lexicon.end(CLOSE))
        pattern = f"{WHITE_SPACE}*{escape(frame.end)}" if frame.end else f"{WHITE_SPACE}+"
        return self.lexicon.embed(compile_pattern(pattern), CLOSE)

    # --- steps ------------------------------------------------------------------------

    def _find_results(self, frame: TagFrame, winner: int) -> Iterator[Result]:
        if isinstance(frame, Free):
            yield from self._free_results(frame, winner)
        elif isinstance(frame, Tail | Whole):
            if winner == (CLOSE if isinstance(frame, Tail) else VALUE):
                yield ()
        elif isinstance(frame, Inside):
            for result in self.schemas[frame.schema].step(frame.number, winner):
                yield tuple(self.number(Inside(frame.schema, one)) for one in result)

    def _free_results(self, frame: Free, winner: int) -> Iterator[Result]:
        if winner == FINAL[0]:
            if self._may_stop(frame):
                yield ()
            return
        begin = self.lexicon.name_of(winner)
        if begin is None or not self._may_open(frame):
            return
        count = frame.n_tags + 1
        if self._rules.most is None:
            count = min(count, self._rules.least)
        behind = self.number(Free(count))
        for island in self._by_begin.get(begin, ()):
            for tail in self._tails(island):
                for content in self._contents(island.content):
                    yield (behind, *tail, *content)

    def _tails(self, island: Island) -> Iterator[Result]:
        """What ends a tag: an end string, or nothing, or white space that the content allows."""
        content = island.content
        has_space = isinstance(content, SchemaGrammar) and content.style.is_flexible
        if not island.end:
            yield ()
        if island.end or has_space:
            yield (self.number(Tail(island.end, has_space)),)

    def _contents(self, content: SchemaGrammar | Regular) -> Iterator[Result]:
        if isinstance(content, SchemaGrammar):
            schema = self._places[content]
            root = self.schemas[schema].number(Awaited(content.costs.space.root, 0, 0))
            yield (self.number(Inside(schema, root)),)
            return
        if content.has_empty:
            yield ()
        if content.language is not None:
            yield (self.number(Whole(content.language)),)


AnyFrames = Frames | TagFrames


def frames_of(content: SchemaGrammar | Rules, lexicon: Lexicon) -> AnyFrames:
    """The automaton of a schema, or of free text with tags."""
    if isinstance(content, Rules):
        return TagFrames(content, lexicon)
    return Frames(content.costs, content.costs.space.root, content.style, lexicon)


def bytes_of(rules: Rules) -> bytes:
    """The bytes that tags may need, besides those of JSON."""
    used: set[int] = set()
    for island in rules.islands:
        used.update(island.begin.encode(), island.end.encode())
        if isinstance(island.content, Regular) and island.content.language is not None:
            language = island.content.language
            alive = (language.next != DEAD).any(axis=0)
            used.update(byte for byte in range(256) if alive[language.byte_class[byte]])
    return bytes(sorted(used))
