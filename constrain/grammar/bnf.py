"""Groups, options and repetitions of symbols → productions.

Each becomes one nonterminal, named by what it says, such as `("," value)*`; equal ones are
shared. The size of the result is linear in the grammar's: parts are never multiplied out, and
`x~n..m` takes O(log m) productions.
"""

from __future__ import annotations

from itertools import count

from constrain.errors import GrammarLimitError
from constrain.grammar.rules import Production

MAX_PRODUCTIONS = 100_000
MAX_SHOWN = 60  # characters of a name made from what it says
BLOCK = 4  # how often a block of a repetition repeats the next smaller block

Sequence = tuple[str, ...]


class ProductionWriter:
    """Collects productions; `rule`, in each call, names the rule that the part stands in."""

    def __init__(self) -> None:
        self._alternatives: dict[str, dict[Sequence, None]] = {}
        self._groups: dict[tuple[object, ...], str] = {}
        self._n_productions = 0

    @property
    def productions(self) -> tuple[Production, ...]:
        """The productions written so far."""
        return tuple(
            Production(lhs, rhs) for lhs, rules in self._alternatives.items() for rhs in rules
        )

    def declare(self, name: str) -> bool:
        """Take a name, of a nonterminal or so that none gets it; whether it was free."""
        is_new = name not in self._alternatives
        self._alternatives.setdefault(name, {})
        return is_new

    def declare_like(self, shown: str, otherwise: str) -> str:
        """Take `shown` for a name; if it is long or not free, `otherwise` with a number."""
        if len(shown) <= MAX_SHOWN and self.declare(shown):
            return shown
        numbers = count(len(self._groups))
        return next(name for i in numbers if self.declare(name := f"{otherwise}{i}"))

    def add(self, lhs: str, rhs: Sequence) -> None:
        """Add an alternative of a declared nonterminal.

        Raises:
            GrammarLimitError: there are MAX_PRODUCTIONS already.
        """
        self._alternatives[lhs].setdefault(rhs)
        self._n_productions += 1
        if self._n_productions > MAX_PRODUCTIONS:
            raise GrammarLimitError(f"the grammar has more than {MAX_PRODUCTIONS} productions")

    def group(self, alternatives: list[Sequence], rule: str) -> Sequence:
        """Return what stands for one of the alternatives."""
        if len(alternatives) == 1:
            return alternatives[0]
        return self._nonterminal(f"({_show(alternatives)})", alternatives, rule)

    def optional(self, alternatives: list[Sequence], rule: str) -> Sequence:
        """Return what stands for one of the alternatives, or nothing."""
        return self._nonterminal(f"[{_show(alternatives)}]", [(), *alternatives], rule)

    def loop(self, alternatives: list[Sequence], operator: str, rule: str) -> Sequence:
        """Return what stands for any number of the alternatives; with "+" at least one."""
        atomic = len(alternatives) == 1 and len(alternatives[0]) == 1
        shown = _show(alternatives) if atomic else f"({_show(alternatives)})"
        first: list[Sequence] = [()] if operator == "*" else alternatives
        return self._nonterminal(shown + operator, first, rule, then=alternatives)

    def repeat(self, item: Sequence, low: int, high: int, rule: str) -> Sequence:
        """Return `item` low to high times: the fixed part, then the optional rest."""
        if len(item) > 1 and high > BLOCK:
            item = self._nonterminal(f"({' '.join(item)})", [item], rule)
        return self._times(item, low, rule) + self._up_to(item, high - low, rule)

    def _times(self, item: Sequence, n: int, rule: str) -> Sequence:
        """Return `item` n times, as blocks of blocks."""
        if n <= BLOCK:
            return item * n
        block = self._block(item, n // BLOCK, rule)
        return block * BLOCK + item * (n % BLOCK)

    def _block(self, item: Sequence, n: int, rule: str) -> Sequence:
        if n == 1:
            return item
        return self._nonterminal(f"{_atom(item)}~{n}", [self._times(item, n, rule)], rule)

    def _up_to(self, item: Sequence, n: int, rule: str) -> Sequence:
        """Return `item` 0 to n times, each count in exactly one way.

        With blocks of q = (n + 1) // BLOCK items, 0…n are i blocks and up to q − 1 items
        (i < BLOCK), or BLOCK blocks and j items (j < (n + 1) % BLOCK).
        """
        if n == 0:
            return ()
        if n < BLOCK:
            alternatives = [item * i for i in range(n + 1)]
        else:
            size, n_left = divmod(n + 1, BLOCK)
            block = self._block(item, size, rule)
            rest = self._up_to(item, size - 1, rule)
            alternatives = [block * i + rest for i in range(BLOCK)]
            alternatives += [block * BLOCK + item * j for j in range(n_left)]
        return self._nonterminal(f"{_atom(item)}~0..{n}", alternatives, rule)

    def _nonterminal(
        self,
        shown: str,
        alternatives: list[Sequence],
        rule: str,
        then: list[Sequence] | None = None,
    ) -> Sequence:
        """Return the nonterminal of some alternatives; those of `then` go on after itself."""
        key = (tuple(alternatives), None if then is None else tuple(then))
        if key not in self._groups:
            shown = self.declare_like(shown, f"{rule}#")
            self._groups[key] = shown
            for alternative in alternatives:
                self.add(shown, alternative)
            for alternative in then or ():
                self.add(shown, (shown, *alternative))
        return (self._groups[key],)


def _show(alternatives: list[Sequence]) -> str:
    return " | ".join(" ".join(alternative) for alternative in alternatives)


def _atom(item: Sequence) -> str:
    return item[0] if len(item) == 1 else f"({' '.join(item)})"
