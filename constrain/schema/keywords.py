"""What each keyword says: a subschema → its `Values`.

A keyword whose value is none that the specifications allow is refused, as is one that cannot be
enforced; each by a `SchemaError` at its place, or ignored and listed where the caller is lenient.
Keywords that no draft defines say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, TypeVar

from constrain.automata.dfa import ByteDFA
from constrain.errors import GrammarError, SchemaError
from constrain.schema import algebra, numbers, strings
from constrain.schema.document import Node
from constrain.schema.ecma import compile_ecma
from constrain.schema.formats import MAX_HOSTNAME, format_language, hostname_labels
from constrain.schema.languages import (
    ALL_NUMBERS,
    ALL_STRINGS,
    ALL_VALUES,
    ANYTHING,
    BOTH,
    NEITHER,
    NO_NUMBERS,
    NO_STRINGS,
    NO_VALUES,
    NOTHING,
    Arrays,
    Class,
    Contains,
    Expr,
    Numbers,
    Objects,
    Strings,
    Values,
    encode,
)
from constrain.schema.sets import intersect, subtract

if TYPE_CHECKING:
    from constrain.schema.space import Space

T = TypeVar("T")

MAX_CLASSES = 64
"""Languages of keys that the patterns of one subschema cut each other into."""

MAX_ENUM = 100_000
"""Values of one `enum`."""

MAX_REQUIRED = 2_000
"""Names of one `required`."""

TYPES = frozenset(["null", "boolean", "number", "integer", "string", "array", "object"])

UNSUPPORTED = {
    "unevaluatedProperties": "write `additionalProperties` in each alternative instead",
    "unevaluatedItems": "write `items` in each alternative instead",
    "$dynamicRef": "write `$ref` instead",
    "$recursiveRef": "write `$ref` instead",
}


def values_of(node: Node, space: Space) -> Values:
    """All values that a subschema allows.

    Raises:
        SchemaError: see the module.
    """
    return _Reader(node, space).values()


class _Reader:
    """Reads the keywords of one subschema, an object."""

    def __init__(self, node: Node, space: Space) -> None:
        assert isinstance(node.value, dict)
        self._node = node
        self._space = space
        self._schema: dict[str, Any] = node.value

    def values(self) -> Values:
        """The conjunction of all keywords."""
        space, schema = self._space, self._schema
        if "$ref" in schema and self._node.draft <= 7:
            return self._enforced("$ref", self._reference, ALL_VALUES)
        for keyword, advice in UNSUPPORTED.items():
            if keyword in schema:
                self._enforced(keyword, lambda: self._refuse(keyword, advice), None)  # noqa: B023
        found = self._of_types()
        for keyword, read in _COMBINATORS.items():
            if keyword in schema:
                part = self._enforced(keyword, lambda: read(self), ALL_VALUES)  # noqa: B023
                found = self._enforced(
                    keyword,
                    lambda: algebra.conjunction(found, part, space),  # noqa: B023
                    found,
                )
        return found

    def _enforced(self, keyword: str, read: Callable[[], T], otherwise: T) -> T:
        """What a keyword says, or `otherwise` where it is refused and the caller is lenient."""
        try:
            return read()
        except SchemaError as error:
            if error.is_open or not self._space.lenient:
                raise
            self._space.warnings.append(error)
        except GrammarError as error:
            refused = self._node.error(f"`{keyword}` cannot be enforced: {error.problem}", keyword)
            if not self._space.lenient:
                raise refused from error
            self._space.warnings.append(refused)
        return otherwise

    def _refuse(self, keyword: str, advice: str) -> None:
        raise self._node.error(f"`{keyword}` cannot be enforced; {advice}", keyword)

    # --- types ------------------------------------------------------------------------

    def _of_types(self) -> Values:
        types = self._enforced("type", self._types, TYPES)
        return Values(
            "null" in types,
            BOTH if "boolean" in types else NEITHER,
            self._numbers(types),
            self._strings() if "string" in types else NO_STRINGS,
            self._arrays() if "array" in types else (),
            self._objects() if "object" in types else (),
        )

    def _types(self) -> frozenset[str]:
        if "type" not in self._schema:
            return TYPES
        types = self._schema["type"]
        wanted = [types] if isinstance(types, str) else types
        if not isinstance(wanted, list) or not all(t in TYPES for t in wanted if self._is_text(t)):
            raise self._node.error(
                f"`type` is one of {', '.join(sorted(TYPES))}, or a list of these; it is "
                f"{types!r:.60}",
                "type",
            )
        return frozenset(wanted)

    def _is_text(self, value: Any) -> bool:
        if not isinstance(value, str):
            raise self._node.error(
                f"`type` is a name or a list of names, not {value!r:.60}", "type"
            )
        return True

    def _numbers(self, types: frozenset[str]) -> Numbers:
        if types.isdisjoint(("number", "integer")):
            return NO_NUMBERS
        found = ALL_NUMBERS
        if "number" not in types:
            by_value = self._node.draft >= 6
            found = Numbers(numbers.any_integer(by_value=by_value), is_short=by_value)
        least, most = self._number("minimum"), self._number("maximum")
        above, below = self._exclusive("exclusiveMinimum"), self._exclusive("exclusiveMaximum")
        if above is True:
            least, above = None, least
        if below is True:
            most, below = None, most
        above, below = (None if b is False else b for b in (above, below))
        if any(bound is not None for bound in (least, most, above, below)):
            in_range = self._enforced(
                "minimum",
                lambda: Numbers(numbers.in_range(least, most, above, below)),
                ALL_NUMBERS,
            )
            found = found & in_range
        divisor = self._number("multipleOf")
        if divisor is not None:
            found = found & self._enforced(
                "multipleOf", lambda: self._multiples(divisor), ALL_NUMBERS
            )
        return found

    def _multiples(self, divisor: Fraction) -> Numbers:
        if divisor <= 0:
            raise self._node.error("`multipleOf` is a number above 0", "multipleOf")
        return Numbers(numbers.multiple_of(divisor), is_short=True)

    def _number(self, keyword: str) -> Fraction | None:
        if keyword not in self._schema:
            return None
        return self._enforced(keyword, lambda: self._read_number(keyword), None)

    def _read_number(self, keyword: str) -> Fraction:
        value = self._schema[keyword]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._node.error(f"`{keyword}` is a number, not {value!r:.60}", keyword)
        return numbers.exact(value)

    def _exclusive(self, keyword: str) -> Fraction | bool | None:
        """A bound; in draft 4, whether `minimum` or `maximum` is exclusive."""
        value = self._schema.get(keyword)
        return value if isinstance(value, bool) else self._number(keyword)

    def _strings(self) -> Strings:
        found = Strings(None, self._count("minLength") or 0, self._count("maxLength"))
        for keyword, read in (("pattern", self._pattern), ("format", self._format)):
            if keyword in self._schema:
                found = found & self._enforced(keyword, read, ALL_STRINGS)
        return found

    def _pattern(self) -> Strings:
        pattern = self._schema["pattern"]
        if not isinstance(pattern, str):
            raise self._node.error(f"`pattern` is a string, not {pattern!r:.60}", "pattern")
        return Strings(compile_ecma(pattern))

    def _format(self) -> Strings:
        name = self._schema["format"]
        if not isinstance(name, str):
            raise self._node.error(f"`format` is a name, not {name!r:.60}", "format")
        if name == "hostname":
            return Strings(hostname_labels(), 0, MAX_HOSTNAME)
        return Strings(format_language(name))

    def _count(self, keyword: str) -> int | None:
        if keyword not in self._schema:
            return None
        return self._enforced(keyword, lambda: self._read_count(keyword), None)

    def _read_count(self, keyword: str) -> int:
        value = self._read_number(keyword)
        if value.denominator != 1 or value < 0:
            raise self._node.error(f"`{keyword}` is a whole number from 0 on", keyword)
        return int(value)

    # --- arrays and objects -----------------------------------------------------------

    def _arrays(self) -> tuple[Arrays, ...]:
        schema = self._schema
        prefix: tuple[Expr, ...] = ()
        further = "items"
        if "prefixItems" in schema:
            prefix = self._enforced("prefixItems", lambda: self._listed("prefixItems"), ())
        elif isinstance(schema.get("items"), list):
            prefix, further = self._listed("items"), "additionalItems"
        rest = self._part(further) if further in schema else ANYTHING
        least, most = self._count("minItems") or 0, self._count("maxItems")
        if most is not None and most < least:
            return ()
        place = self._node.at("uniqueItems") if self._is_unique() else ""
        contains: tuple[Contains, ...] = self._enforced("contains", self._contains, ())
        return (Arrays(prefix, rest, least, most, contains, place),)

    def _listed(self, keyword: str) -> tuple[Expr, ...]:
        items = self._schema[keyword]
        if not isinstance(items, list):
            raise self._node.error(f"`{keyword}` is a list of schemas, not {items!r:.60}", keyword)
        return tuple(self._part(keyword, i) for i in range(len(items)))

    def _is_unique(self) -> bool:
        return self._enforced("uniqueItems", lambda: self._flag("uniqueItems"), False)

    def _flag(self, keyword: str) -> bool:
        value = self._schema.get(keyword, False)
        if not isinstance(value, bool):
            raise self._node.error(f"`{keyword}` is true or false, not {value!r:.60}", keyword)
        return value

    def _contains(self) -> tuple[Contains, ...]:
        if "contains" not in self._schema or self._node.draft < 6:
            return ()
        is_counted = self._node.draft >= 2019
        least = self._count("minContains") if is_counted else None
        most = self._count("maxContains") if is_counted else None
        least = 1 if least is None else least
        wanted = Contains(0, self._child("contains"), least, most, self._node.at("contains"))
        return () if (least, most) == (0, None) else (wanted,)

    def _objects(self) -> tuple[Objects, ...]:
        names = {name: self._part("properties", name) for name in self._names("properties")}
        classes: tuple[Class, ...] = (Class(None, self._rest()),)
        patterns = self._names("patternProperties")
        if patterns:
            uncut: tuple[dict[str, Expr], tuple[Class, ...]] = names, (Class(None, ANYTHING),)
            rest = classes[0].expr
            names, classes = self._enforced(
                "patternProperties", lambda: self._cut_by(patterns, uncut[0], rest), uncut
            )
        required: list[str] = self._enforced("required", self._required, [])
        shape = Objects(names, classes)
        names.update({name: shape.of(name) for name in required if name not in names})
        shape = Objects(
            names,
            classes,
            frozenset(required),
            self._count("minProperties") or 0,
            self._count("maxProperties"),
        )
        if "propertyNames" in self._schema and self._node.draft >= 6:
            whole = shape
            shape = self._enforced("propertyNames", lambda: self._with_names(whole), whole)
        if any(names[name] == NOTHING for name in required):
            return ()
        if shape.most is not None and shape.most < max(shape.least, len(required)):
            return ()
        return (shape,)

    def _required(self) -> list[str]:
        names = self._schema.get("required", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self._node.error(f"`required` is a list of names, not {names!r:.60}", "required")
        if len(names) > MAX_REQUIRED:
            raise self._node.error(
                f"`required` has {len(names)} names; at most {MAX_REQUIRED} are enforced",
                "required",
            )
        return names

    def _with_names(self, shape: Objects) -> Objects:
        allowed = self._space.values(self._child("propertyNames")).strings
        return algebra.restrict_keys(shape, allowed)

    def _rest(self) -> Expr:
        if "additionalProperties" not in self._schema:
            return ANYTHING
        return self._part("additionalProperties")

    def _cut_by(
        self, patterns: list[str], names: dict[str, Expr], rest: Expr
    ) -> tuple[dict[str, Expr], tuple[Class, ...]]:
        """The members once patterns speak of their keys: disjoint classes of keys."""
        space = self._space
        classes: list[tuple[ByteDFA, Expr, bool]] = [(strings.ANY, ANYTHING, False)]
        names = dict(names)
        for pattern in patterns:
            keys = compile_ecma(pattern)
            expr = self._child("patternProperties", pattern)
            cut = [
                part
                for old, of_old, is_matched in classes
                for part in (
                    (intersect(old, keys), space.conjunction(of_old, expr), True),
                    (subtract(old, keys), of_old, is_matched),
                )
                if not part[0].is_empty()
            ]
            if len(cut) > MAX_CLASSES:
                raise self._node.error(
                    f"the patterns cut the keys into more than {MAX_CLASSES} languages",
                    "patternProperties",
                )
            classes = cut
            for name, of_name in names.items():
                if keys.matches(encode(name)):
                    names[name] = space.conjunction(of_name, expr)
        return names, tuple(
            Class(keys, expr if is_matched else rest) for keys, expr, is_matched in classes
        )

    def _map(self, keyword: str) -> list[str]:
        value = self._schema.get(keyword, {})
        if not isinstance(value, dict):
            raise self._node.error(f"`{keyword}` is an object, not {value!r:.60}", keyword)
        return list(value)

    def _names(self, keyword: str) -> list[str]:
        names: list[str] = self._enforced(keyword, lambda: self._map(keyword), [])
        return names

    def _part(self, *steps: str | int) -> Expr:
        """What an item or a member is; anything where that is refused and the caller lenient."""
        return self._enforced(str(steps[0]), lambda: self._child(*steps), ANYTHING)

    def _child(self, *steps: str | int) -> Expr:
        return self._space.of_node(self._space.documents.child(self._node, *steps))

    # --- combinators ------------------------------------------------------------------

    def _reference(self) -> Values:
        target = self._space.documents.resolve(self._node)
        return self._space.values(self._space.of_node(target))

    def _enum(self) -> Values:
        wanted = self._schema["enum"]
        if not isinstance(wanted, list):
            raise self._node.error(f"`enum` is a list of values, not {wanted!r:.60}", "enum")
        if len(wanted) > MAX_ENUM:
            raise self._node.error(f"an `enum` has at most {MAX_ENUM} values", "enum")
        texts = [value for value in wanted if isinstance(value, str)]
        others = [value for value in wanted if not isinstance(value, str)]
        exprs = dict.fromkeys(self._space.of_value(value) for value in others)
        found = [self._space.values(expr) for expr in exprs]
        spellings = [v.numbers for v in found if v.numbers != NO_NUMBERS]
        rest = algebra.disjunction((v._replace(numbers=NO_NUMBERS) for v in found), self._space)
        if spellings:
            rest = rest._replace(numbers=_joined(spellings))
        return rest._replace(strings=Strings(strings.literals(tuple(texts)))) if texts else rest

    def _const(self) -> Values:
        return self._space.values(self._space.of_value(self._schema["const"]))

    def _all_of(self) -> Values:
        found = ALL_VALUES
        for expr in self._branches("allOf"):
            found = algebra.conjunction(found, self._space.values(expr), self._space)
        return found

    def _any_of(self) -> Values:
        return algebra.disjunction(map(self._space.values, self._branches("anyOf")), self._space)

    def _one_of(self) -> Values:
        space = self._space
        branches = list(self._branches("oneOf"))
        beside = space.of_reader(self._node, self._without_one_of)
        parts = []
        for i, expr in enumerate(branches):
            only = expr
            here = space.conjunction(beside, expr)
            for j, other in enumerate(branches):
                if j != i and not space.are_disjoint(here, other):
                    only = space.conjunction(only, space.complement(other))
            parts.append(only)
        return algebra.disjunction((space.values(part) for part in parts if part != NOTHING), space)

    def _without_one_of(self) -> Values:
        """What all other keywords say."""
        reader = _Reader(self._node, self._space)
        reader._schema = {name: part for name, part in self._schema.items() if name != "oneOf"}
        return reader.values()

    def _branches(self, keyword: str) -> Iterator[Expr]:
        branches = self._schema[keyword]
        if not isinstance(branches, list):
            raise self._node.error(f"`{keyword}` is a list of schemas", keyword)
        for i in range(len(branches)):
            yield self._child(keyword, i)

    def _not(self) -> Values:
        return self._space.values(self._space.complement(self._child("not")))

    def _if(self) -> Values:
        space = self._space
        condition = self._child("if")
        then = self._child("then") if "then" in self._schema else ANYTHING
        otherwise = self._child("else") if "else" in self._schema else ANYTHING
        return space.values(
            space.choice(
                (
                    space.conjunction(condition, then),
                    space.conjunction(space.complement(condition), otherwise),
                )
            )
        )

    def _dependencies(self, keyword: str) -> Values:
        found = ALL_VALUES
        for name in self._map(keyword):
            wanted = self._schema[keyword][name]
            absent = ALL_VALUES._replace(objects=(Objects({name: NOTHING}),))
            if isinstance(wanted, list):
                if not all(isinstance(needed, str) for needed in wanted):
                    raise self._node.error(f"{name!r:.60} asks for what is no name", keyword)
                names = dict.fromkeys((name, *wanted), ANYTHING)
                present = NO_VALUES._replace(objects=(Objects(names, required=frozenset(names)),))
            else:
                has = NO_VALUES._replace(
                    objects=(Objects({name: ANYTHING}, required=frozenset((name,))),)
                )
                of_schema = self._space.values(self._child(keyword, name))
                present = algebra.conjunction(has, of_schema, self._space)
            either = algebra.disjunction((absent, present), self._space)
            found = algebra.conjunction(found, either, self._space)
        return found


def _joined(spellings: list[Numbers]) -> Numbers:
    """The union, by halves, so that automata stay small for long."""
    while len(spellings) > 1:
        pairs = zip(spellings[::2], spellings[1::2], strict=False)
        spellings = [reduce(or_, pair) for pair in pairs] + spellings[len(spellings) & ~1 :]
    return spellings[0]


_COMBINATORS: dict[str, Callable[[_Reader], Values]] = {
    "$ref": _Reader._reference,
    "const": _Reader._const,
    "enum": _Reader._enum,
    "allOf": _Reader._all_of,
    "anyOf": _Reader._any_of,
    "oneOf": _Reader._one_of,
    "not": _Reader._not,
    "if": _Reader._if,
    "dependencies": lambda reader: reader._dependencies("dependencies"),
    "dependentRequired": lambda reader: reader._dependencies("dependentRequired"),
    "dependentSchemas": lambda reader: reader._dependencies("dependentSchemas"),
}
