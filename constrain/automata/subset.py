r"""An NFA with look-arounds → a DFA over classes of characters, by sets of states.

Without look-arounds this is the subset construction. With them, a state of the DFA is

- *items*: pairs of an NFA state and the promises under which it was reached, and
- *behind*: for each look-behind, the items of its part, begun anew at every position.

A promise is a look-ahead that was taken and is not decided yet: items of its part, and
whether they must match or must not. The sets run along with the text, and at its end each
promise is kept or broken. So every look-around is exact, however they are nested: a DFA state
is a Boolean function of NFA states, in disjunctive form (A. Chandra, D. Kozen, L. Stockmeyer,
Alternation, JACM 28, 1981).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from constrain.automata.dfa import DEAD, START, check_size
from constrain.automata.nfa import Edge, Nfa, Table
from constrain.errors import GrammarLimitError

MAX_ITEMS = 2_000_000
"""NFA states looked at for one pattern, over all DFA states: a bound on time, some seconds."""


@dataclass(frozen=True)
class Promise:
    """That the look-ahead `look` matches from where it was taken, or with `negated` does not.

    Attributes:
        items: of its part, where the text stands now.
    """

    look: int
    negated: bool
    items: Items


Promises = frozenset[Promise]
Item = tuple[int, Promises]
Items = frozenset[Item]
Behind = tuple[Items, ...]  # one for each look of the NFA; empty for those ahead
Position = tuple[Behind, Items]
Classes = tuple[int, ...]

NONE: Promises = frozenset()
NO_ITEMS: Items = frozenset()


def determinise(nfa: Nfa, behind: Behind | None = None, max_items: int = MAX_ITEMS) -> Table:
    """The DFA of the NFA's texts, neither minimal nor trimmed.

    Args:
        nfa: see `Nfa`.
        behind: what the look-behinds saw before the text began; None: nothing, it begins there.
        max_items: see MAX_ITEMS.

    Raises:
        GrammarLimitError: it has more than MAX_DFA_STATES states or `max_items` items.
    """
    walk = Walk(nfa, max_items)
    positions = [walk.start(behind)]
    number = {positions[0]: START}
    rows: list[list[int]] = []
    for position in positions:
        row = [DEAD] * nfa.n_classes
        for classes, after in walk.advance(position):
            if after not in number:
                number[after] = len(positions) + 1
                positions.append(after)
                check_size(len(positions))
            for k in classes:
                row[k] = number[after]
        rows.append(row)
    accepting = [walk.is_match(nfa.final, items) for _, items in positions]
    return (
        np.array([[DEAD] * nfa.n_classes, *rows], np.int32),
        np.array([False, *accepting]),
    )


def before_contexts(nfa: Nfa) -> list[Behind]:
    """What the look-behinds may have seen before a text, the beginning of everything first.

    Raises:
        GrammarLimitError: there are too many possibilities.
    """
    walk = Walk(nfa)
    found = [walk.behind_start()]
    seen = set(found)
    for behind in found:
        for k in range(nfa.n_classes):
            after = walk.behind_after(behind, k)
            if after not in seen:
                seen.add(after)
                found.append(after)
                check_size(len(found))
    return found


def sees_what_follows(nfa: Nfa, behind: Behind) -> bool:
    """Whether some text matches or not, depending on what stands behind it.

    Raises:
        GrammarLimitError: it has too many states to tell.
    """
    walk = Walk(nfa)
    positions = [walk.start(behind)]
    seen = set(positions)
    ends: dict[Position, None] = {}
    for position in positions:
        items = position[1]
        final = frozenset((q, promises) for q, promises in items if q == nfa.final)
        if final and (nfa.final, NONE) not in final:
            ends[position[0], final] = None
        for _, after in walk.advance(position):
            if after not in seen:
                seen.add(after)
                positions.append(after)
                check_size(len(positions))
    return any(_is_undecided(walk, end) for end in ends)


def _is_undecided(walk: Walk, end: Position) -> bool:
    """Whether promises open at a text's end are kept by one continuation and broken by another."""
    kept = walk.is_match(walk.nfa.final, end[1])
    seen = {end}
    queue = [end]
    for behind, items in queue:
        if walk.is_match(walk.nfa.final, items) != kept:
            return True
        for k in range(walk.nfa.n_classes):
            after_behind = walk.behind_after(behind, k)
            after = frozenset(
                (q, promises)
                for q, before in items
                for promises in [walk.keep(before, k, after_behind)]
                if promises is not None
            )
            if (after_behind, after) not in seen:
                seen.add((after_behind, after))
                queue.append((after_behind, after))
                check_size(len(queue))
    return False


class Walk:
    """Positions in a text, as an NFA sees them."""

    def __init__(self, nfa: Nfa, max_items: int = MAX_ITEMS) -> None:
        self.nfa = nfa
        self._closures: dict[tuple[int, Behind], list[Item]] = {}
        self._closed: dict[tuple[Items, Behind], Items] = {}
        self._finals = {nfa.final, *(look.final for look in nfa.looks)}
        number: dict[Classes, int] = {}
        self._moves = [  # as in the NFA, its sets of classes by number
            [(number.setdefault(classes, len(number)), target) for classes, target in moves]
            for moves in nfa.moves
        ]
        self._sets = list(number)
        self._cells: dict[frozenset[int], list[tuple[Classes, list[int]]]] = {}
        self._bare = [(q, NONE) for q in range(len(nfa.moves))]
        self._n_items = 0
        self._max_items = max_items
        self._done = _universal_states(nfa)
        self._has_behind = any(not look.ahead for look in nfa.looks)

    def start(self, behind: Behind | None) -> Position:
        """The position before the first character."""
        if behind is None:
            behind = self.behind_start()
        return behind, self._close({(self.nfa.start, NONE)}, behind)

    def advance(self, position: Position) -> list[tuple[Classes, Position]]:
        """The classes of characters that lead on, together where they lead to one position."""
        behind, items = position
        moved: dict[int, set[Item]] = {}
        for q, promises in items:
            for number, target in self._moves[q]:
                moved.setdefault(number, set()).add((target, promises))
        found: list[tuple[Classes, Position]] = []
        for classes, numbers in self._distinct(frozenset(moved)):
            reached = set().union(*[moved[number] for number in numbers])
            for together in zip(classes) if self.nfa.looks else (classes,):
                after_behind = self.behind_after(behind, together[0])
                after = self._close(self._kept(reached, together[0], after_behind), after_behind)
                self._count((len(together) - 1) * len(after))
                if after:
                    found.append((together, (after_behind, after)))
        return found

    def _distinct(self, numbers: frozenset[int]) -> list[tuple[Classes, list[int]]]:
        """The classes that some of the numbered sets hold, by the sets that hold them."""
        cells = self._cells.get(numbers)
        if cells is None:
            holding: dict[int, list[int]] = {}
            for number in sorted(numbers):
                for k in self._sets[number]:
                    holding.setdefault(k, []).append(number)
            together: dict[tuple[int, ...], list[int]] = {}
            for k in sorted(holding):
                together.setdefault(tuple(holding[k]), []).append(k)
            cells = [(tuple(ks), list(sets)) for sets, ks in together.items()]
            self._cells[numbers] = cells
        return cells

    def is_match(self, final: int, items: Items) -> bool:
        """Whether a part that ends in `final` has matched, if the text ends here."""
        return any(
            q == final and all(self._is_kept(promise) for promise in promises)
            for q, promises in items
        )

    def keep(self, promises: Promises, k: int, behind: Behind) -> Promises | None:
        """What is left of promises after a character of class `k`; None if one is broken."""
        left = set()
        for promise in promises:
            items = self._step(promise.items, k, behind)
            state = self._decided(Promise(promise.look, promise.negated, items))
            if state is False:
                return None
            if isinstance(state, Promise):
                left.add(state)
        return frozenset(left)

    def behind_start(self) -> Behind:
        """What the look-behinds see where everything begins."""
        return self._behind(None, 0)

    def behind_after(self, behind: Behind, k: int) -> Behind:
        """What they see after one more character, of class `k`."""
        return self._behind(behind, k) if self._has_behind else behind

    # --- inside -----------------------------------------------------------------------

    def _behind(self, before: Behind | None, k: int) -> Behind:
        found: list[Items] = []
        for i, look in enumerate(self.nfa.looks):
            if look.ahead:
                found.append(NO_ITEMS)
                continue
            # A look-behind sees only those inside itself, which come before it.
            now = (*found, *[NO_ITEMS] * (len(self.nfa.looks) - i))
            reached = {(look.start, NONE)}
            if before is not None:
                reached |= self._kept(self._targets(before[i], k), k, now)
            found.append(self._close(reached, now))
        return tuple(found)

    def _step(self, items: Items, k: int, behind: Behind) -> Items:
        return self._close(self._kept(self._targets(items, k), k, behind), behind)

    def _targets(self, items: Items, k: int) -> set[Item]:
        moves = self.nfa.moves
        return {(t, promises) for q, promises in items for ks, t in moves[q] if k in ks}

    def _kept(self, reached: set[Item], k: int, behind: Behind) -> set[Item]:
        """Items whose promises are still open or kept after a character of class `k`."""
        if not self.nfa.looks:
            return reached
        found = set()
        for q, promises in reached:
            left = self.keep(promises, k, behind) if promises else NONE
            if left is not None:
                found.add((q, left))
        return found

    def _close(self, reached: set[Item], behind: Behind) -> Items:
        key = (frozenset(reached), behind)
        items = self._closed.get(key)
        if items is None:
            closures = [(promises, self._closure(q, behind)) for q, promises in reached]
            if self.nfa.looks:
                items = _without_weaker(
                    {(q, promises | more) for promises, closed in closures for q, more in closed}
                )
            else:
                items = NO_ITEMS.union(*[closed for _, closed in closures])
            for q in self._done:
                if (q, NONE) in items:
                    items = frozenset({(q, NONE), (self.nfa.final, NONE)})
                    break
            self._closed[key] = items
        self._count(len(items))
        return items

    def _count(self, n_items: int) -> None:
        self._n_items += n_items
        _check_work(self._n_items, self._max_items)

    def _closure(self, start: int, behind: Behind) -> list[Item]:
        """The states that ε-edges lead to, and the promises that it takes; dead ends left out."""
        key = (start, behind)
        closure = self._closures.get(key)
        if closure is None and not self.nfa.looks:
            closure = self._closures[key] = self._plain_closure(start)
        if closure is None:
            seen = {(start, NONE)}
            stack = [(start, NONE)]
            while stack:
                q, promises = stack.pop()
                for edge in self.nfa.edges[q]:
                    for more in self._taken(edge, behind):
                        item = (edge.target, promises | more)
                        if item not in seen:
                            seen.add(item)
                            stack.append(item)
                self._count(len(self.nfa.edges[q]))
            closure = [item for item in seen if self.nfa.moves[item[0]] or item[0] in self._finals]
            self._closures[key] = closure
        return closure

    def _plain_closure(self, start: int) -> list[Item]:
        """The same without look-arounds."""
        seen = {start}
        stack = [start]
        while stack:
            edges = self.nfa.edges[stack.pop()]
            for edge in edges:
                if edge.target not in seen:
                    seen.add(edge.target)
                    stack.append(edge.target)
            self._count(len(edges))
        return [self._bare[q] for q in seen if self.nfa.moves[q] or q in self._finals]

    def _taken(self, edge: Edge, behind: Behind) -> list[Promises]:
        """The sets of promises of which each one allows to take an edge."""
        if edge.look < 0:
            return [NONE]
        look = self.nfa.looks[edge.look]
        if look.ahead:
            items = self._close({(look.start, NONE)}, behind)
            state = self._decided(Promise(edge.look, edge.negated, items))
            if isinstance(state, Promise):
                return [frozenset({state})]
            return [NONE] if state else []
        matched = [promises for q, promises in behind[edge.look] if q == look.final]
        return _contrary(matched) if edge.negated else matched

    def _decided(self, promise: Promise) -> Promise | bool:
        """Whether a promise is kept or broken already; itself if neither."""
        if (self.nfa.looks[promise.look].final, NONE) in promise.items:
            return not promise.negated
        return promise if promise.items else promise.negated

    def _is_kept(self, promise: Promise) -> bool:
        final = self.nfa.looks[promise.look].final
        return self.is_match(final, promise.items) != promise.negated


def _universal_states(nfa: Nfa) -> list[int]:
    """States that match whatever follows: they loop over all characters, and may end."""
    loops = [
        q
        for q, moves in enumerate(nfa.moves)
        if any(
            len(classes) == nfa.n_classes and Edge(q) in nfa.edges[target]
            for classes, target in moves
        )
    ]
    return [q for q in loops if _may_end(nfa, q)]


def _may_end(nfa: Nfa, start: int) -> bool:
    """Whether ε-edges without look-arounds lead from a state to the end."""
    stack, seen = [start], {start}
    while stack:
        q = stack.pop()
        if q == nfa.final:
            return True
        after = {edge.target for edge in nfa.edges[q] if edge.look < 0} - seen
        seen |= after
        stack.extend(after)
    return False


def _contrary(alternatives: list[Promises]) -> list[Promises]:
    """The alternatives of which one holds where none of the given ones does."""
    found: set[Promises] = {NONE}
    for promises in alternatives:
        contraries = [Promise(p.look, not p.negated, p.items) for p in promises]
        found = {before | {contrary} for before in found for contrary in contraries}
        _check_work(len(found) ** 2)
    return list(found)


def _without_weaker(items: set[Item]) -> Items:
    """Items without those that need more promises than another of the same state."""
    if not any(promises for _, promises in items):
        return frozenset(items)
    by_state: dict[int, list[Promises]] = {}
    for q, promises in items:
        by_state.setdefault(q, []).append(promises)
    return frozenset(
        (q, promises) for q, promises in items if not any(other < promises for other in by_state[q])
    )


def _check_work(n_items: int, max_items: int = MAX_ITEMS) -> None:
    if n_items > max_items:
        raise GrammarLimitError(
            f"the automaton of a pattern takes more than {max_items} steps to make; make its "
            f"counted repetitions shorter or its look-arounds simpler"
        )
