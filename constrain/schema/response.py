"""`response_format` objects of OpenAI's API as grammars.

The object of Chat Completions has the schema one level deeper than that of the Responses API;
both are read. Where nothing is to be constrained there is no grammar.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from constrain.errors import SchemaError
from constrain.schema.document import escape
from constrain.schema.grammar import SchemaGrammar, from_json_schema

TYPES = ("json_schema", "json_object", "text")
INNER = frozenset(["name", "description", "strict", "schema"])


def from_response_format(
    response_format: Mapping[str, Any], **options: Any
) -> SchemaGrammar | None:
    """See `Grammar.from_response_format`."""
    if not isinstance(response_format, Mapping):
        raise SchemaError(
            f"a response_format is an object with a `type`, not {response_format!r:.60}",
            pointer="#",
        )
    kind = response_format.get("type")
    if kind not in TYPES:
        raise SchemaError(
            f"the type of a response_format is one of {', '.join(TYPES)}, not {kind!r:.60}",
            pointer="#/type",
            keyword="type",
        )
    if kind != "json_schema":
        _check_members(response_format, frozenset(["type"]), "#")
        if kind == "text":
            return None
        return from_json_schema({"type": "object"}, **{"name": "json_object", **options})
    if "json_schema" not in response_format:
        return _of_schema(response_format, INNER | {"type"}, "#", options)
    _check_members(response_format, frozenset(["type", "json_schema"]), "#")
    return _of_schema(response_format["json_schema"], INNER, "#/json_schema", options)


def _of_schema(
    described: Any, known: frozenset[str], pointer: str, options: dict[str, Any]
) -> SchemaGrammar:
    """The grammar of the object that has a `schema` and what goes with it."""
    if not isinstance(described, Mapping):
        raise SchemaError(
            f"`json_schema` is an object with a `schema`, not {described!r:.60}",
            pointer=pointer,
            keyword="json_schema",
        )
    _check_members(described, known, pointer)
    schema = described.get("schema")
    if not isinstance(schema, Mapping | bool):
        raise SchemaError(
            f"`schema` is a JSON Schema, not {schema!r:.60}",
            pointer=f"{pointer}/schema",
            keyword="schema",
        )
    name, strict = described.get("name", "schema"), described.get("strict")
    if not isinstance(name, str):
        raise SchemaError(
            f"`name` is a text, not {name!r:.60}", pointer=f"{pointer}/name", keyword="name"
        )
    if strict is not None and not isinstance(strict, bool):
        raise SchemaError(
            f"`strict` is true or false, not {strict!r:.60}",
            pointer=f"{pointer}/strict",
            keyword="strict",
        )
    try:
        return from_json_schema(schema, **{"lenient": not strict, "name": name, **options})
    except SchemaError as error:
        raise error.within(f"{pointer}/schema") from error


def _check_members(described: Mapping[str, Any], known: frozenset[str], pointer: str) -> None:
    """Refuse what has no meaning here: it would be ignored in silence."""
    for name in described:
        if name not in known:
            raise SchemaError(
                f"{name!r:.60} is no member of this object; it has {', '.join(sorted(known))}",
                pointer=f"{pointer}/{escape(str(name))}",
                keyword=str(name),
            )
