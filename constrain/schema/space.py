"""Expressions: conjunctions of subschemas and of their complements, and their values.

An expression is a number; equal ones are one. Its values are found when they are first asked
for, shape by shape, so that a recursive schema is as finite as its text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from constrain.errors import GrammarLimitError, SchemaError
from constrain.schema import algebra, numbers, strings
from constrain.schema.document import Documents, Node
from constrain.schema.keywords import values_of
from constrain.schema.languages import (
    ALL_VALUES,
    ANYTHING,
    NO_VALUES,
    NOTHING,
    Arrays,
    Class,
    Expr,
    Numbers,
    Objects,
    Strings,
    Values,
)

MAX_EXPRS = 50_000
"""Expressions of one schema."""

ANNOTATIONS = frozenset(
    (
        "$schema",
        "$id",
        "id",
        "$anchor",
        "$comment",
        "$vocabulary",
        "$defs",
        "definitions",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
    )
)
"""Keywords that say nothing about values."""

MAX_PEEK = 3
"""How deep alternatives are looked at for what excludes them."""

Literal = tuple[int, bool]  # a part, and whether it is meant or its complement


class Space:
    """The expressions of one schema.

    Args:
        documents: the schema and what it refers to.
        lenient: keywords that cannot be enforced are ignored and listed in `warnings`.

    Attributes:
        root: the expression of the whole schema.
        warnings: what was ignored.
    """

    def __init__(self, documents: Documents, *, lenient: bool = False) -> None:
        self.documents = documents
        self.lenient = lenient
        self.warnings: list[SchemaError] = []
        self._unread: dict[int, Callable[[], Values]] = {}  # by part, until its values are known
        self._places: list[str] = []
        self._part_values: list[Values | None] = []
        self._open: set[int] = set()
        self._by_node: dict[int, Expr] = {}
        self._kept: list[Node] = []
        self._by_value: dict[str, Expr] = {}
        self._by_choice: dict[tuple[Expr, ...], Expr] = {}
        true = self._part(lambda: ALL_VALUES)
        self._members: list[frozenset[Literal]] = [frozenset(), frozenset([(true, False)])]
        self._ids = {members: i for i, members in enumerate(self._members)}
        self._values: list[Values | None] = [ALL_VALUES, NO_VALUES]
        self._both: dict[tuple[Expr, Expr], Expr] = {}
        self.root = self.of_node(documents.root)

    # --- expressions ------------------------------------------------------------------

    def _part(self, values: Callable[[], Values], place: str = "#") -> int:
        self._unread[len(self._places)] = values
        self._places.append(place)
        self._part_values.append(None)
        return len(self._places) - 1

    def _expr(self, members: frozenset[Literal]) -> Expr:
        expr = self._ids.get(members)
        if expr is None:
            if any((part, not meant) in members for part, meant in members):
                return NOTHING
            expr = self._ids[members] = len(self._members)
            if expr > MAX_EXPRS:
                raise GrammarLimitError(
                    f"the schema has more than {MAX_EXPRS} combinations of subschemas; "
                    f"combine fewer of them"
                )
            self._members.append(members)
            self._values.append(None)
        return expr

    def conjunction(self, one: Expr, other: Expr) -> Expr:
        """What is of both."""
        if other in (one, ANYTHING):
            return one
        if one == ANYTHING:
            return other
        if NOTHING in (one, other):
            return NOTHING
        key = (one, other) if one < other else (other, one)
        found = self._both.get(key)
        if found is None:
            found = self._both[key] = self._expr(self._members[one] | self._members[other])
        return found

    def complement(self, expr: Expr) -> Expr:
        """What is not of it."""
        if expr in (ANYTHING, NOTHING):
            return NOTHING if expr == ANYTHING else ANYTHING
        members = [(part, not meant) for part, meant in sorted(self._members[expr])]
        return self.choice(self._expr(frozenset([member])) for member in members)

    def choice(self, exprs: Iterable[Expr]) -> Expr:
        """What is of any."""
        wanted = tuple(dict.fromkeys(e for e in exprs if e != NOTHING))
        if ANYTHING in wanted:
            return ANYTHING
        if len(wanted) < 2:
            return wanted[0] if wanted else NOTHING
        if wanted not in self._by_choice:
            part = self._part(lambda: algebra.disjunction(map(self.values, wanted), self))
            self._by_choice[wanted] = self._expr(frozenset([(part, True)]))
        return self._by_choice[wanted]

    def of_node(self, node: Node) -> Expr:
        """The expression of a subschema."""
        node = self._target(node)
        value = node.value
        if isinstance(value, bool):
            return ANYTHING if value else NOTHING
        expr = self._by_node.get(id(value))
        if expr is None:
            self._kept.append(node)
            if value.keys() <= ANNOTATIONS:
                expr = ANYTHING
            else:
                part = self._part(lambda: values_of(node, self), node.pointer)
                expr = self._expr(frozenset([(part, True)]))
            self._by_node[id(value)] = expr
        return expr

    def _target(self, node: Node) -> Node:
        """Where references lead that say nothing else."""
        passed = set()
        while isinstance(node.value, dict) and "$ref" in node.value:
            if node.draft > 7 and not node.value.keys() <= ANNOTATIONS | {"$ref"}:
                break
            if id(node.value) in passed:
                raise SchemaError(
                    "the reference leads back to itself; let it lead to what says something",
                    pointer=node.at("$ref"),
                    keyword="$ref",
                    is_open=True,
                )
            passed.add(id(node.value))
            try:
                node = self.documents.resolve(node)
            except SchemaError:
                if self.lenient:
                    break  # it is read, and refused, as a keyword
                raise
        return node

    def of_reader(self, node: Node, read: Callable[[], Values]) -> Expr:
        """The expression of some keywords of a subschema."""
        self._kept.append(node)
        return self._expr(frozenset([(self._part(read, node.pointer), True)]))

    def of_value(self, value: Any) -> Expr:
        """The expression of one JSON value."""
        key = json.dumps(value, sort_keys=True)
        if key not in self._by_value:
            part = self._part(lambda: self._only(value))
            self._by_value[key] = self._expr(frozenset([(part, True)]))
        return self._by_value[key]

    # --- values -----------------------------------------------------------------------

    def values(self, expr: Expr) -> Values:
        """The values of an expression; shapes whose parts are empty may be among them.

        Raises:
            SchemaError: a keyword cannot be enforced, or a schema refers to itself at once.
        """
        values = self._values[expr]
        if values is None:
            values = ALL_VALUES
            for part, meant in sorted(self._members[expr]):
                found = self._of_part(part)
                if not meant:
                    found = algebra.complement(found, self)
                values = (
                    algebra.conjunction(values, found, self) if values is not ALL_VALUES else found
                )
            self._values[expr] = values
        return values

    def _of_part(self, part: int) -> Values:
        values = self._part_values[part]
        if values is None:
            if part in self._open:
                raise SchemaError(
                    "the schema is defined by itself, with no value in between; refer to it from "
                    "its items or members only",
                    pointer=self._places[part],
                    keyword="$ref",
                    is_open=True,
                )
            self._open.add(part)
            try:
                values = self._part_values[part] = self._unread[part]()
                del self._unread[part]
            finally:
                self._open.discard(part)
        return values

    def are_disjoint(self, one: Expr, other: Expr) -> bool:
        """Whether surely nothing is of both."""
        return self._is_surely_empty(self.conjunction(one, other), MAX_PEEK)

    def _is_surely_empty(self, expr: Expr, depth: int) -> bool:
        if expr == NOTHING or depth == 0:
            return expr == NOTHING
        try:
            values = self.values(expr)
        except SchemaError as error:
            if error.is_open or error.keyword == "uniqueItems":
                return False  # it is being defined, or cannot be told: not known yet
            raise
        return (
            not values.null
            and not values.booleans
            and values.numbers.is_empty()
            and values.strings.is_empty()
            and all(
                any(self._is_surely_empty(a.item(i), depth - 1) for i in range(a.least)[:8])
                for a in values.arrays
            )
            and all(
                any(self._is_surely_empty(o.names[name], depth - 1) for name in o.required)
                for o in values.objects
            )
        )

    def _only(self, value: Any) -> Values:
        """Exactly one value."""
        if value is None:
            return NO_VALUES._replace(null=True)
        if isinstance(value, bool):
            return NO_VALUES._replace(booleans=frozenset((value,)))
        if isinstance(value, str):
            return NO_VALUES._replace(strings=Strings(strings.literals((value,))))
        if isinstance(value, list):
            items = tuple(self.of_value(item) for item in value)
            array = Arrays(items, NOTHING, len(items), len(items))
            return NO_VALUES._replace(arrays=(array,))
        if isinstance(value, dict):
            names = {name: self.of_value(part) for name, part in value.items()}
            shape = Objects(names, (Class(None, NOTHING),), frozenset(names))
            return NO_VALUES._replace(objects=(shape,))
        return NO_VALUES._replace(numbers=Numbers(numbers.equal_to(numbers.exact(value))))
