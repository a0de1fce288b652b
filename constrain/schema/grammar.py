"""`SchemaGrammar`: a JSON Schema as a grammar, whatever it was written as.

Input:  a schema as a dict, JSON text, or a type that pydantic describes; how texts are written.
Output: the schema's expressions with their costs, checked; no vocabulary yet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from constrain.errors import EmptyLanguageError, SchemaError
from constrain.grammar.rules import Grammar
from constrain.schema.costs import Costs
from constrain.schema.document import Documents
from constrain.schema.frame import Style
from constrain.schema.space import Space

MAX_SCHEMA = 20_000_000
"""Characters of a schema's JSON."""

Order = Literal["schema", "any"]
Whitespace = Literal["flexible", "compact"]
Escapes = Literal["canonical", "any"]


@dataclass(frozen=True, eq=False)
class SchemaGrammar:
    """The JSON texts whose value fits a schema.

    Attributes:
        schema: its JSON.
        style: how texts are written.
        name: for messages only.
        warnings: keywords that are not enforced; empty unless asked for by `lenient`.
        fingerprint: sha256 of everything that decides which texts belong to the grammar.
    """

    schema: str
    style: Style
    costs: Costs = field(repr=False)
    warnings: tuple[SchemaError, ...]
    fingerprint: str
    name: str = "schema"

    def as_grammar(self) -> Grammar:
        """The same texts as a plain context-free grammar, to be put into another or on disk.

        Raises:
            SchemaError: items or keys must differ, which no context-free grammar says.
            GrammarLimitError: there are too many productions. With `indent` a schema of any
                depth has no end of them.
        """
        from constrain.schema import context_free  # noqa: PLC0415 - it builds on this module

        return context_free.as_grammar(self)


def from_json_schema(
    schema: Any,
    *,
    order: Order = "schema",
    whitespace: Whitespace = "flexible",
    indent: int | None = None,
    escapes: Escapes = "canonical",
    registry: Mapping[str, Any] | None = None,
    lenient: bool = False,
    name: str = "schema",
) -> SchemaGrammar:
    """See `Grammar.from_json_schema`."""
    document = _json_text(_as_json(schema), "the schema")
    if len(document) > MAX_SCHEMA:
        raise SchemaError(
            f"the schema has {len(document)} characters; at most {MAX_SCHEMA} are read", pointer="#"
        )
    if order not in ("schema", "any") or whitespace not in ("flexible", "compact"):
        raise ValueError("order is 'schema' or 'any', whitespace is 'flexible' or 'compact'")
    if escapes not in ("canonical", "any") or (indent is not None and not 0 <= indent <= 16):
        raise ValueError("escapes is 'canonical' or 'any', indent is None or from 0 to 16")
    style = Style(
        indent, whitespace == "flexible" and indent is None, order == "schema", escapes == "any"
    )
    others = _json_text(dict(registry or {}), "the registry")
    return _compiled(document, style, others, lenient, name)


@lru_cache(maxsize=256)
def _compiled(document: str, style: Style, others: str, lenient: bool, name: str) -> SchemaGrammar:
    space = Space(Documents(json.loads(document), json.loads(others)), lenient=lenient)
    costs = Costs(space)
    if costs.is_empty(space.root):
        raise EmptyLanguageError("no JSON value fits the schema")
    warnings = {(warning.pointer, warning.keyword): warning for warning in space.warnings}
    content = json.dumps([document, style, others, lenient])
    fingerprint = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
    return SchemaGrammar(document, style, costs, tuple(warnings.values()), fingerprint, name)


def _json_text(value: Any, what: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SchemaError(f"{what} cannot be written as JSON: {error}", pointer="#") from None


def _as_json(schema: Any) -> Any:
    """A schema as `json.loads` would give it."""
    if isinstance(schema, str | bytes):
        try:
            return json.loads(schema)
        except (ValueError, RecursionError) as error:
            raise SchemaError(f"the schema is no JSON: {error}", pointer="#") from None
    if isinstance(schema, dict | bool):
        return schema
    if hasattr(schema, "model_json_schema"):
        return schema.model_json_schema()
    try:
        from pydantic import PydanticUserError, TypeAdapter  # noqa: PLC0415 - only where asked for
    except ImportError:
        raise SchemaError(
            f"{schema!r:.60} is no JSON Schema; to read a type as one, install pydantic 2",
            pointer="#",
        ) from None
    try:
        return TypeAdapter(schema).json_schema()
    except PydanticUserError as error:
        raise SchemaError(
            f"{schema!r:.60} is no JSON Schema, and no type that pydantic tells: {error.message}",
            pointer="#",
        ) from None
