"""Random JSON Schemas of all keywords that are enforced, and values near one.

Few names, few strings and small numbers, so that keywords meet on the same values. Schemas are
drawn by Hypothesis; values of one schema by a `random.Random`, since many are wanted of each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

from hypothesis import strategies as st

DRAFTS = {
    4: "http://json-schema.org/draft-04/schema#",
    6: "http://json-schema.org/draft-06/schema#",
    7: "http://json-schema.org/draft-07/schema#",
    2019: "https://json-schema.org/draft/2019-09/schema",
    2020: "https://json-schema.org/draft/2020-12/schema",
}
TYPES = ("null", "boolean", "number", "integer", "string", "array", "object")
NAMES = ("a", "b", "c", "ab", "é")
TEXTS = ("", "a", "b", "ab", "aa", "ba", "é", "abc", '"', "1", "a\n")
NUMBERS = (0, 1, -1, 2, 3, 10, 1.5, 0.5, -2.5, 100)
PATTERNS = ("^a", "b$", "^[ab]*$", "a|é", "^a+$", ".", "^.{2}$", "^\\d+$", "^(?!a)", "")
SCALARS = (None, True, False, *NUMBERS, *TEXTS)

Schema = dict[str, Any] | bool

COUNTS = st.integers(0, 3)


def values(depth: int = 2) -> st.SearchStrategy[Any]:
    """Small JSON values."""
    scalars = st.sampled_from(SCALARS)
    if depth == 0:
        return scalars
    below = values(depth - 1)
    return st.one_of(
        scalars,
        scalars,
        st.lists(below, max_size=2),
        st.dictionaries(st.sampled_from(NAMES), below, max_size=2),
    )


@cache
def _draft(number: int, combined: bool) -> _Draft:
    return _Draft(number, combined=combined)


class _Draft:
    """The keywords of one draft, as strategies of the subschemas that hold them."""

    def __init__(self, draft: int, *, combined: bool) -> None:
        self.draft = draft
        self.combined = combined
        self.definitions = "$defs" if draft >= 2019 else "definitions"

    @cache  # noqa: B019 - there are ten
    def schemas(self, depth: int) -> st.SearchStrategy[Schema]:
        """Any subschema."""
        if depth == 0:
            return st.one_of(self._leaves(), self.typed(0))
        kinds = [self.typed(depth), self.typed(depth), self._leaves()]
        if self.combined:
            kinds += [self.combinations(depth), self.combinations(depth), self.references()]
        return st.one_of(*kinds)

    @cache  # noqa: B019
    def roots(self, depth: int) -> st.SearchStrategy[dict[str, Any]]:
        """What a whole schema is."""
        some = [self.typed(depth)] * 2 + [self.combinations(depth)] * self.combined
        return st.one_of(*some)

    def _leaves(self) -> st.SearchStrategy[Schema]:
        some: list[st.SearchStrategy[Any]] = [
            st.just({}),
            st.fixed_dictionaries({"enum": st.lists(values(1), min_size=1, max_size=3)}),
            st.fixed_dictionaries({"type": st.sampled_from(TYPES)}),
        ]
        if self.draft >= 6:
            some += [st.booleans(), st.fixed_dictionaries({"const": values(1)})]
        return st.one_of(*some)

    def references(self) -> st.SearchStrategy[Schema]:
        return st.sampled_from(["#", f"#/{self.definitions}/x", f"#/{self.definitions}/y"]).map(
            lambda target: {"$ref": target}
        )

    def typed(self, depth: int) -> st.SearchStrategy[Schema]:
        """Keywords of one type, mostly with the type."""
        kinds = [self.strings(), self.numbers()]
        if depth:
            kinds += [self.arrays(depth - 1), self.objects(depth - 1), self.objects(depth - 1)]
        return st.one_of(*kinds)

    def _of_type(
        self, names: list[Any], keywords: dict[str, st.SearchStrategy[Any]]
    ) -> st.SearchStrategy[Any]:
        return st.builds(
            lambda of_type, chosen: {**of_type, **chosen},
            st.sampled_from([{"type": name} for name in names] * 3 + [{}]),
            _some_of(keywords),
        )

    def strings(self) -> st.SearchStrategy[Any]:
        return self._of_type(
            ["string"],
            {
                "minLength": COUNTS,
                "maxLength": COUNTS,
                "pattern": st.sampled_from(PATTERNS),
                "format": st.just("of-no-draft"),
            },
        )

    def numbers(self) -> st.SearchStrategy[Any]:
        number = st.sampled_from(NUMBERS)
        exclusive = st.booleans() if self.draft == 4 else number
        found = self._of_type(
            ["number", "integer", ["integer", "string"]],
            {
                "minimum": number,
                "maximum": number,
                "exclusiveMinimum": exclusive,
                "exclusiveMaximum": exclusive,
                "multipleOf": st.sampled_from([1, 2, 3, 0.5, 1.5]),
            },
        )
        return found.map(_with_bounds) if self.draft == 4 else found

    def arrays(self, depth: int) -> st.SearchStrategy[Any]:
        below = self.schemas(depth)
        some = st.lists(below, min_size=1, max_size=2)
        keywords: dict[str, st.SearchStrategy[Any]] = {"minItems": COUNTS, "maxItems": COUNTS}
        if self.draft == 2020:
            keywords |= {"prefixItems": some, "items": below}
        else:
            keywords |= {"items": st.one_of(below, some), "additionalItems": below}
        if self.draft >= 6:
            keywords |= {"contains": below}
        if self.draft >= 2019:
            keywords |= {"minContains": COUNTS, "maxContains": COUNTS}
        keywords["uniqueItems"] = st.booleans()
        return self._of_type(["array"], keywords).map(_without_idle_items)

    def objects(self, depth: int) -> st.SearchStrategy[Any]:
        below, name = self.schemas(depth), st.sampled_from(NAMES)
        some_names = st.lists(name, max_size=2, unique=True)
        properties = st.dictionaries(name, below, min_size=1, max_size=3)
        keywords: dict[str, st.SearchStrategy[Any]] = {
            "properties": properties,
            "required": st.lists(name, min_size=1, max_size=2, unique=True),
            "additionalProperties": st.one_of(below, st.just(False)),
            "minProperties": COUNTS,
            "maxProperties": COUNTS,
        }
        if self.combined:
            patterns = st.sampled_from(PATTERNS)
            keywords["patternProperties"] = st.dictionaries(patterns, below, max_size=2)
            names_at_least = st.lists(name, min_size=self.draft == 4, max_size=2, unique=True)
            either = st.one_of(names_at_least, below)
            keywords["dependencies"] = st.dictionaries(name, either, max_size=2)
            if self.draft >= 6:
                keywords["propertyNames"] = self.strings()
            if self.draft >= 2019:
                del keywords["dependencies"]
                keywords["dependentRequired"] = st.dictionaries(name, some_names, max_size=2)
                keywords["dependentSchemas"] = st.dictionaries(name, below, max_size=2)
        return self._of_type(["object"], keywords)

    def combinations(self, depth: int) -> st.SearchStrategy[Any]:
        below = self.schemas(depth - 1)
        some = st.lists(below, min_size=1, max_size=3)
        keywords = {"allOf": some, "anyOf": some, "oneOf": some, "not": below}
        if self.draft >= 7:
            keywords |= {"if": below, "then": below, "else": below}
        return st.builds(
            lambda base, chosen: {**(base if isinstance(base, dict) else {}), **chosen},
            st.one_of(st.just({}), self.typed(depth - 1)),
            _some_of(keywords, least=1),
        )


@st.composite
def schemas(draw: st.DrawFn, *, depth: int = 2, combined: bool = True) -> dict[str, Any]:
    """Any schema of a random draft.

    Args:
        draw: Hypothesis'.
        depth: of the subschemas.
        combined: with all keywords; else with those under which the order of members is that
            of `properties` alone.
    """
    number = draw(st.sampled_from(list(DRAFTS)))
    draft = _draft(number, combined)
    root = draw(draft.roots(depth))
    found = {"$schema": DRAFTS[number], **root}
    if "$ref" in json.dumps(root):
        found[draft.definitions] = {name: draw(draft.schemas(1)) for name in "xy"}
    return found


def _some_of(
    keywords: dict[str, st.SearchStrategy[Any]], least: int = 0
) -> st.SearchStrategy[dict[str, Any]]:
    """One to three of the keywords, in the order drawn."""
    chosen = st.lists(st.sampled_from(sorted(keywords)), min_size=least, max_size=3, unique=True)
    return chosen.flatmap(
        lambda names: st.fixed_dictionaries({name: keywords[name] for name in names})
    )


def _without_idle_items(schema: dict[str, Any]) -> dict[str, Any]:
    """Beside `items: false` jsonschema stumbles over `additionalItems`, which says nothing."""
    if not isinstance(schema.get("items"), list):
        schema.pop("additionalItems", None)
    return schema


def _with_bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """Draft 4's `exclusiveMinimum` stands beside `minimum`."""
    for side in ("Minimum", "Maximum"):
        if f"exclusive{side}" in schema:
            schema.setdefault(side.lower(), 1)
    return schema


# --- values near a schema -----------------------------------------------------------------


class Near:
    """Draws values, many of which are valid by a schema.

    Args:
        schema: see `schemas`.
        seed: of the draws.
    """

    def __init__(self, schema: dict[str, Any], seed: int) -> None:
        self._root = schema
        self._random = Random(seed)
        self._constants = list(_constants(schema))

    def value(self) -> Any:
        """One value; about every third has a part replaced by another."""
        found = self._of(self._root, 5)
        return self._mutated(found) if self._random.random() < 0.35 else found

    def _of(self, schema: Schema, depth: int) -> Any:
        random = self._random
        if not isinstance(schema, dict) or depth == 0:
            return self._any(1)
        if "$ref" in schema:
            return self._of(self._target(schema["$ref"]), depth - 1)
        parts: list[Schema] = [schema]
        for keyword in ("allOf", "anyOf", "oneOf"):
            parts += [part for part in schema.get(keyword, []) if isinstance(part, dict)]
        parts += [schema[k] for k in ("if", "then", "else") if isinstance(schema.get(k), dict)]
        part = random.choice(parts)
        if part is not schema:
            found = self._of(part, depth - 1)
            if isinstance(found, dict):
                own = self._own(schema, depth)
                if isinstance(own, dict) and random.random() < 0.7:
                    found = {**own, **found}
            return found
        return self._own(schema, depth)

    def _own(self, schema: dict[str, Any], depth: int) -> Any:
        random = self._random
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return random.choice(schema["enum"])
        types = schema.get("type", TYPES)
        kind = types if isinstance(types, str) else random.choice(_likely(schema, types))
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind == "string":
            return random.choice([t for t in (*TEXTS, *self._constants) if isinstance(t, str)])
        if kind in ("number", "integer"):
            return random.choice([n for n in (*NUMBERS, *self._constants) if is_number(n)])
        return random.choice([None, True, False])

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        random = self._random
        properties = schema.get("properties", {})
        names = [n for n in properties if n in schema.get("required", []) or random.random() < 0.6]
        names += [n for n in schema.get("required", []) if n not in names]
        names += [n for n in NAMES if n not in names and random.random() < 0.15]
        if random.random() < 0.3:
            random.shuffle(names)
        found = {}
        for name in names:
            rest = schema.get("additionalProperties", {})
            part = properties.get(name, random.choice([rest, *_maps(schema, "patternProperties")]))
            found[name] = self._of(part, depth - 1)
        return found

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        random = self._random
        items = schema.get("items", {})
        prefix = items if isinstance(items, list) else schema.get("prefixItems", [])
        rest = schema.get("additionalItems", {}) if isinstance(items, list) else items
        n_items = random.choice([0, 1, 2, 3, len(prefix), schema.get("minItems", 1)])
        found = []
        for i in range(n_items):
            part = prefix[i] if i < len(prefix) else rest
            if "contains" in schema and random.random() < 0.5:
                part = schema["contains"]
            found.append(self._of(part, depth - 1))
        return found

    def _any(self, depth: int) -> Any:
        random = self._random
        kind = random.random()
        if depth and kind < 0.15:
            return [self._any(depth - 1) for _ in range(random.randrange(3))]
        if depth and kind < 0.3:
            return {name: self._any(depth - 1) for name in random.sample(NAMES, 2)}
        return random.choice(self._constants if kind < 0.6 and self._constants else SCALARS)

    def _mutated(self, value: Any) -> Any:
        random = self._random
        if isinstance(value, list) and value and random.random() < 0.8:
            i = random.randrange(len(value))
            changed = [self._mutated(value[i])] if random.random() < 0.7 else []
            return value[:i] + changed + value[i + 1 :]
        if isinstance(value, dict) and value and random.random() < 0.8:
            name = random.choice(list(value))
            found = dict(value)
            found[random.choice(NAMES)] = self._mutated(found.pop(name))
            return found
        return self._any(1)

    def _target(self, reference: str) -> Schema:
        found: Any = self._root
        for step in reference.split("/")[1:]:
            found = found[step]
        return found  # type: ignore[no-any-return]


def is_number(value: Any) -> bool:
    """Whether a value is a number of JSON."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def spelled(value: Any, random: Random, *, escapes: bool = False) -> str:
    """One of the common ways to write a value; with `escapes` also beyond ASCII."""
    separators, indent = random.choice([(None, None), ((",", ":"), None), (None, 2)])
    is_ascii = escapes and random.random() < 0.5
    return json.dumps(value, separators=separators, indent=indent, ensure_ascii=is_ascii)


def _likely(schema: dict[str, Any], types: Any) -> list[str]:
    """The types that the keywords of a schema speak of, if they do."""
    of_type = {"properties": "object", "required": "object", "items": "array", "contains": "array"}
    of_type |= {"minLength": "string", "pattern": "string", "minimum": "number"}
    found = [kind for keyword, kind in of_type.items() if keyword in schema and kind in types]
    return found * 3 + list(types)


def _maps(schema: dict[str, Any], keyword: str) -> list[Schema]:
    return list(schema.get(keyword, {}).values())


def _constants(schema: Any) -> Iterator[Any]:
    """What a schema says of values, and numbers beside."""
    if isinstance(schema, list):
        for part in schema:
            yield from _constants(part)
        return
    if not isinstance(schema, dict):
        return
    for keyword, content in schema.items():
        if keyword == "const":
            yield content
        elif keyword == "enum":
            yield from content
        elif keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            if is_number(content):
                yield from (content, content + 1, content - 1)
        else:
            yield from _constants(content)
