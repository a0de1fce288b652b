"""Frames by numbers, and what was found of each: the part that all automata of frames share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

F = TypeVar("F", bound=Hashable)

Result = tuple[int, ...]  # numbers of frames in the place of the topmost one, from below


class Numbered(ABC, Generic[F]):
    """Frames in the order in which they were met; their starts and steps are found once.

    Attributes:
        frames: by number.
    """

    def __init__(self) -> None:
        self.frames: list[F] = []
        self._ids: dict[tuple[type, F], int] = {}
        self._starts: list[int | None] = []
        self._steps: dict[tuple[int, int], tuple[Result, ...]] = {}

    def number(self, frame: F) -> int:
        """The number of a frame; frames of two kinds differ though they hold the same."""
        key = (type(frame), frame)
        number = self._ids.get(key)
        if number is None:
            number = self._ids[key] = len(self.frames)
            self.frames.append(frame)
            self._starts.append(None)
        return number

    def start(self, number: int) -> int:
        """The lexicon's state in which the next lexeme begins; DEAD where none can come."""
        start = self._starts[number]
        if start is None:
            start = self._starts[number] = self._find_start(number)
        return start

    def step(self, number: int, winner: int) -> tuple[Result, ...]:
        """What may be in the place of a frame behind a lexeme."""
        key = (number, winner)
        results = self._steps.get(key)
        if results is None:
            found = dict.fromkeys(self._find_results(self.frames[number], winner))
            results = self._steps[key] = tuple(found)
        return results

    @abstractmethod
    def _find_start(self, number: int) -> int:
        """See `start`."""

    @abstractmethod
    def _find_results(self, frame: F, winner: int) -> Iterable[Result]:
        """See `step`; one may come twice."""
