"""Stacks in pieces, so that what their top decides is computed once for all that have it.

Input:  stacks.
Output: a *tower*: their top and, piece by piece, what it stands on; and what follows on it.

Each piece but the lowest ends in `underflow` where it stands on the one below (see
`Parser.split`). So a top is a cut stack, and what is computed on it without a
`StackUnderflow` holds whatever it stands on. Where one is raised, the top is made longer.
In a new text nearly all lexemes stand on tops that other texts had.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Optional, TypeVar

from constrain.decode.stacks import Parser, Stacks, StackUnderflow

MAX_DEPTH = 64
"""Of a top that is made longer; beyond it all pieces are joined."""

MAX_TOPS = 1 << 18
"""Tops for which one answer is remembered; beyond it all are computed anew."""

Tower = tuple[Stacks, Optional["Tower"]]
Split = tuple[Stacks, Stacks | None]
Step = tuple[dict[Stacks, Split | None], Callable[[Stacks], Split]]
Answer = TypeVar("Answer")


class Towers:
    """Reads lexemes on towers, and remembers by their tops what came of it."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        # By top; None: it is too short to tell.
        self._acceptable: dict[Stacks, frozenset[int] | None] = {}
        self._steps: dict[tuple[int, ...], list[Step]] = {}

    def build(self, stacks: Stacks) -> Tower:
        """The tower of `stacks`."""
        top, rest = self._parser.split(stacks)
        return top, None if rest is None else (rest, None)

    def join(self, tower: Tower) -> Stacks:
        """The stacks of a tower."""
        stacks, below = tower
        pieces = []
        while below is not None:
            pieces.append(stacks)
            stacks, below = below
        while pieces:
            stacks = self._parser.graft(pieces.pop(), stacks)
        return stacks

    def acceptable(self, tower: Tower) -> frozenset[int]:
        """`Parser.acceptable` of a tower's stacks."""
        return self._answer(tower, self._acceptable, self._parser.acceptable)[0]

    def advance(self, tower: Tower, terminals: tuple[int, ...]) -> Tower:
        """`Parser.advance` of a tower's stacks."""
        steps = self._steps.get(terminals)
        if steps is None:
            steps = self._steps[terminals] = [
                ({}, partial(self._split_after, step)) for step in self._parser.steps(terminals)
            ]
        for known, step in steps:
            (top, rest), below = self._answer(tower, known, step)
            tower = top, below if rest is None else (rest, below)
        return tower

    def _split_after(self, step: Callable[[Stacks], Stacks], stacks: Stacks) -> Split:
        return self._parser.split(step(stacks))

    def _answer(
        self,
        tower: Tower,
        known: dict[Stacks, Answer | None],
        ask: Callable[[Stacks], Answer],
    ) -> tuple[Answer, Tower | None]:
        """What `ask` says of the shortest top that tells, and what that top stands on."""
        top, below = tower
        while True:
            try:
                answer = known[top]
            except KeyError:
                answer = self._ask(top, known, ask)
            if answer is not None:
                return answer, below
            if below is None:
                raise StackUnderflow  # the stacks were cut before they became a tower
            top, below = self._lengthen(top, below)
            if top.depth > MAX_DEPTH:
                top, below = self.join((top, below)), None

    def _ask(
        self,
        top: Stacks,
        known: dict[Stacks, Answer | None],
        ask: Callable[[Stacks], Answer],
    ) -> Answer | None:
        if len(known) >= MAX_TOPS:
            known.clear()
        try:
            known[top] = ask(top)
        except StackUnderflow:
            known[top] = None
        return known[top]

    def _lengthen(self, top: Stacks, below: Tower) -> Tower:
        piece, rest = self._parser.split(below[0])
        return self._parser.graft(top, piece), below[1] if rest is None else (rest, below[1])
