"""Rules over characters → terminals and productions, as few lexemes to a text as there can be.

By `lexing="any"` a lexeme may end wherever its terminal matches. So it changes no text if
parts that are regular are put together into one terminal: neighbours in a sequence, the
alternatives of a choice, and rules that do not recurse, or only at one end. What is left,
recursion, becomes productions. Fewer lexemes mean fewer ways to cut a text and smaller masks.

A terminal matches no empty text: where a regular part does, its terminal is optional. Parts
whose automaton passes the bounds of `determinism` are left apart; that changes no text either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from constrain.grammar.bnf import ProductionWriter
from constrain.grammar.bnf import Sequence as Symbols
from constrain.grammar.determinism import MAX_DEPTH, MAX_SIZE, MAX_STATES, STATES_PER_RANGE, Budget
from constrain.grammar.expression import (
    EMPTY,
    Alt,
    Cat,
    Chars,
    Expression,
    Name,
    Repeat,
    Text,
    alt,
    cat,
    children,
    is_nullable,
    loosened,
    names,
    pattern,
    show,
    without_empty,
)
from constrain.grammar.rules import Production, Terminal

MAX_RANGES = MAX_STATES // STATES_PER_RANGE  # of a set of characters, in one terminal


def write_rules(
    rules: Mapping[str, Expression], start: str, budget: Budget
) -> tuple[tuple[Terminal, ...], tuple[Production, ...]]:
    """The terminals and productions of the texts of a rule.

    Args:
        rules: by name; every name in them is defined.
        start: the rule that derives a whole text.
        budget: the steps that may be spent on putting parts together.

    Raises:
        GrammarLimitError: there are too many productions.
    """
    writer = _Writer(rules, budget)
    writer.write(start)
    return tuple(writer.terminals.values()), writer.productions.productions


class Regular:
    """Which rules are regular, and regular expressions without names.

    Args:
        rules: by name.
        budget: the steps that may be spent.
    """

    def __init__(self, rules: Mapping[str, Expression], budget: Budget) -> None:
        self._budget = budget
        self._expanded: dict[str, Expression] = {}
        self._size: dict[str, int] = {}
        self._depth: dict[str, int] = {}
        for name in _referred_first(rules, self._expanded):
            self._try_rule(name, rules[name])

    def covers(self, expression: Expression) -> bool:
        """Whether every name in an expression is of a regular rule."""
        return all(name.name in self._expanded for name in names(expression))

    def expand(self, expression: Expression) -> Expression | None:
        """A covered expression without names; None if it is too large for one terminal."""
        size = self._size_of(expression)
        if size > MAX_SIZE or self._depth_of(expression) > MAX_DEPTH:
            return None
        if isinstance(expression, Text) or _is_small_set(expression):
            return expression
        if not self._budget.spend(size):
            return None
        expanded = self._replaced(expression)
        lexeme = without_empty(expanded)
        if lexeme is None or self._budget.fits(lexeme):
            return expanded
        other = loosened(expanded)
        lexeme = without_empty(other)
        return other if other != expanded and lexeme and self._budget.fits(lexeme) else None

    def _try_rule(self, name: str, body: Expression) -> None:
        if any(used.name == name for used in names(body)):
            loop = _without_recursion(name, body)
            if loop is None or not self.covers(loop):
                return
            body = loop
        expanded = self.expand(body)
        if expanded is not None:
            self._size[name] = self._size_of(body)
            self._depth[name] = self._depth_of(body)
            self._expanded[name] = expanded

    def _replaced(self, expression: Expression) -> Expression:
        if isinstance(expression, Name):
            return self._expanded[expression.name]
        if isinstance(expression, Cat):
            return cat(self._replaced(part) for part in expression.parts)
        if isinstance(expression, Alt):
            return alt(self._replaced(part) for part in expression.parts)
        if isinstance(expression, Repeat):
            return Repeat(self._replaced(expression.part), expression.low, expression.high)
        return expression

    def _size_of(self, expression: Expression) -> int:
        """Characters and operators, repetitions written out."""
        if isinstance(expression, Name):
            return self._size[expression.name]
        if isinstance(expression, Text):
            return len(expression.value)
        if isinstance(expression, Repeat):
            high = expression.low + 1 if expression.high is None else expression.high
            return 1 + high * self._size_of(expression.part)
        return 1 + sum(self._size_of(part) for part in children(expression))

    def _depth_of(self, expression: Expression) -> int:
        if isinstance(expression, Name):
            return self._depth[expression.name]
        return 1 + max((self._depth_of(part) for part in children(expression)), default=0)


def _is_small_set(expression: Expression) -> bool:
    return isinstance(expression, Chars) and len(expression.ranges) <= MAX_RANGES


def _referred_first(rules: Mapping[str, Expression], done: Mapping[str, object]) -> Iterable[str]:
    """Rules, each one after all others that it uses are `done`; those that never are, are not."""
    waiting = {name: {used.name for used in names(body)} - {name} for name, body in rules.items()}
    users: dict[str, list[str]] = {name: [] for name in rules}
    for name, used in waiting.items():
        for other in used:
            users[other].append(name)
    ready = [name for name, used in waiting.items() if not used]
    for name in ready:
        yield name
        if name in done:
            for user in users[name]:
                waiting[user].discard(name)
                if not waiting[user]:
                    ready.append(user)


# --- recursion at one end -------------------------------------------------------------

Pair = tuple[list[Expression], list[Expression]]  # what goes on with the rule, and what ends


def _without_recursion(name: str, body: Expression) -> Expression | None:
    """A rule that uses itself at its end only, or its beginning only, as a repetition.

    Where `A = R A | S`, A is `R* S` (D. Arden, Delayed-logic and finite-state machines, 1961).
    """
    for at_end in (True, False):
        pair = _parted(name, body, at_end=at_end)
        if pair is not None and pair[1]:
            again = Repeat(alt(pair[0]), 0, None)
            return cat([again, alt(pair[1])] if at_end else [alt(pair[1]), again])
    return None


def _parted(name: str, body: Expression, *, at_end: bool) -> Pair | None:
    """R and S as alternatives, if the body is `R name | S`, or `name R | S`."""
    if all(used.name != name for used in names(body)):
        return [], [body]
    if isinstance(body, Name):
        return [EMPTY], []
    if isinstance(body, Alt):
        pair: Pair | None = ([], [])
        for part in body.parts:
            pair = _both(pair, _parted(name, part, at_end=at_end))
        return pair
    if isinstance(body, Repeat):
        is_option = (body.low, body.high) == (0, 1)
        return _both(_parted(name, body.part, at_end=at_end), ([], [EMPTY])) if is_option else None
    assert isinstance(body, Cat)
    end, others = (body.parts[-1], body.parts[:-1]) if at_end else (body.parts[0], body.parts[1:])
    pair = _parted(name, end, at_end=at_end)
    if pair is None or any(used.name == name for part in others for used in names(part)):
        return None
    again, ends = (
        [cat([*others, part] if at_end else [part, *others]) for part in parts] for parts in pair
    )
    return again, ends


def _both(left: Pair | None, right: Pair | None) -> Pair | None:
    if left is None or right is None:
        return None
    return left[0] + right[0], left[1] + right[1]


# --- productions ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Lexeme:
    """A regular part: its terminal, or () if it is the empty text alone."""

    symbols: Symbols
    is_optional: bool


class _Writer:
    def __init__(self, rules: Mapping[str, Expression], budget: Budget) -> None:
        self.terminals: dict[str, Terminal] = {}  # by pattern
        self.productions = ProductionWriter()
        self._rules = rules
        self._regular = Regular(rules, budget)
        self._known: dict[Expression, _Lexeme | None] = {}
        self._waiting: list[str] = []

    def write(self, start: str) -> None:
        self._ask_for(start)
        while self._waiting:
            rule = self._waiting.pop()
            for symbols in self._alternatives(self._rules[rule], rule):
                self.productions.add(rule, symbols)

    def _ask_for(self, rule: str) -> None:
        if self.productions.declare(rule):
            self._waiting.append(rule)

    def _alternatives(self, expression: Expression, rule: str) -> list[Symbols]:
        if not isinstance(expression, Alt) or self._lexeme(expression, rule):
            return [self._symbols(expression, rule)]
        regular = [part for part in expression.parts if self._regular.covers(part)]
        others = [part for part in expression.parts if not self._regular.covers(part)]
        parts = [*self._put_together(regular, alt, rule), *others]
        return [self._symbols(part, rule) for part in parts]

    def _symbols(self, expression: Expression, rule: str) -> Symbols:
        lexeme = self._lexeme(expression, rule)
        if lexeme is not None:
            is_optional = lexeme.is_optional and lexeme.symbols
            return (
                self.productions.optional([lexeme.symbols], rule) if is_optional else lexeme.symbols
            )
        if isinstance(expression, Name):
            self._ask_for(expression.name)
            return (expression.name,)
        if isinstance(expression, Alt):
            return self.productions.group(self._alternatives(expression, rule), rule)
        if isinstance(expression, Repeat):
            return self._repetition(expression, rule)
        parts = expression.parts if isinstance(expression, Cat) else _halves(expression)
        if isinstance(expression, Chars):
            return self.productions.group([self._symbols(part, rule) for part in parts], rule)
        found: Symbols = ()
        for is_regular, run in groupby(parts, self._regular.covers):
            together = list(run)
            if is_regular:
                together = self._put_together(together, cat, rule)
            for part in together:
                found += self._symbols(part, rule)
        return found

    def _repetition(self, expression: Repeat, rule: str) -> Symbols:
        low, high = expression.low, expression.high
        lexeme = self._lexeme(expression.part, rule)
        if lexeme is not None and lexeme.is_optional:
            alternatives, low = [lexeme.symbols], 0  # each count in one way
        else:
            alternatives = self._alternatives(expression.part, rule)
        if (low, high) == (0, 1):
            return self.productions.optional(alternatives, rule)
        if high is None and low <= 1:
            return self.productions.loop(alternatives, "+" if low else "*", rule)
        item = self.productions.group(alternatives, rule)
        if high is not None:
            return self.productions.repeat(item, low, high, rule)
        fixed = self.productions.repeat(item, low, low, rule)
        return fixed + self.productions.loop([item], "*", rule)

    def _put_together(
        self,
        parts: Sequence[Expression],
        join: Callable[[Iterable[Expression]], Expression],
        rule: str,
    ) -> list[Expression]:
        """Join regular parts to as few terminals as halving finds."""
        if len(parts) <= 1:
            return list(parts)
        whole = join(parts)
        if self._lexeme(whole, rule):
            return [whole]
        middle = len(parts) // 2
        left, right = parts[:middle], parts[middle:]
        return self._put_together(left, join, rule) + self._put_together(right, join, rule)

    def _lexeme(self, expression: Expression, rule: str) -> _Lexeme | None:
        """The terminal of a regular expression; None if there is none, or it is too large."""
        if expression not in self._known:
            covered = self._regular.covers(expression)
            expanded = self._regular.expand(expression) if covered else None
            known = None if expanded is None else self._terminal(expression, expanded, rule)
            self._known[expression] = known
        return self._known[expression]

    def _terminal(self, expression: Expression, expanded: Expression, rule: str) -> _Lexeme:
        lexeme = without_empty(expanded)
        if lexeme is None:
            return _Lexeme((), is_optional=True)
        written = pattern(lexeme)
        if written not in self.terminals:
            name = self.productions.declare_like(show(expression), f"{rule}#")
            self.terminals[written] = Terminal(name, written, is_literal=isinstance(lexeme, Text))
        return _Lexeme((self.terminals[written].name,), is_nullable(expanded))


def _halves(expression: Text | Chars) -> tuple[Expression, ...]:
    if isinstance(expression, Text):
        middle = len(expression.value) // 2
        return Text(expression.value[:middle]), Text(expression.value[middle:])
    middle = len(expression.ranges) // 2
    return Chars(expression.ranges[:middle]), Chars(expression.ranges[middle:])
