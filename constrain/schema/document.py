"""Schema documents: drafts, identifiers and references.

Input:  a schema, as `json.loads` gives it, and other documents that it may refer to.
Output: `Node`s, each a subschema with its place, its draft and the base of its references.

Nothing is fetched: a reference leads into the documents given, or is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from constrain.errors import SchemaError

MAX_DEPTH = 200
"""How deep a schema's JSON may be nested."""

LATEST = 2020
DRAFTS = {
    "draft-04": 4,
    "draft-06": 6,
    "draft-07": 7,
    "2019-09": 2019,
    "2020-12": 2020,
}
REFUSED_DRAFTS = ("draft-01", "draft-02", "draft-03")

SUBSCHEMA = frozenset(
    (
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    )
)
SUBSCHEMA_LISTS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems", "items"))
SUBSCHEMA_MAPS = frozenset(
    (
        "$defs",
        "definitions",
        "dependencies",
        "dependentSchemas",
        "patternProperties",
        "properties",
    )
)


@dataclass(frozen=True, eq=False)
class Node:
    """One subschema.

    Attributes:
        value: a dict or a bool.
        pointer: where it is in its document, a JSON pointer (RFC 6901) behind `#`.
        base: the URI that its references are relative to.
        draft: 4, 6, 7, 2019 or 2020.
    """

    value: dict[str, Any] | bool
    pointer: str
    base: str
    draft: int

    def at(self, *steps: str | int) -> str:
        """The pointer of something inside."""
        return self.pointer + "".join(f"/{escape(str(step))}" for step in steps)

    def error(self, problem: str, keyword: str) -> SchemaError:
        """An error about a keyword of this subschema."""
        return SchemaError(problem, pointer=self.at(keyword), keyword=keyword)


class Documents:
    """The documents that a schema may refer to, and their subschemas by place and by name.

    Args:
        schema: the main document.
        registry: other documents, by URI.

    Raises:
        SchemaError: the schema is nested deeper than `MAX_DEPTH`, or is no schema.
    """

    def __init__(self, schema: Any, registry: Mapping[str, Any]) -> None:
        self._nodes: dict[int, Node] = {}  # by the identity of the value
        self._by_uri: dict[str, Any] = {}  # documents, embedded ones and anchors
        self._kept: list[Any] = []
        for uri, document in registry.items():
            base = urldefrag(uri)[0]
            self._by_uri[base] = document
            self._index(document, "#", base, _draft(document, LATEST), 0)
        self._by_uri.setdefault("", schema)
        self._index(schema, "#", "", _draft(schema, LATEST), 0)
        if isinstance(schema, bool):
            self.root = Node(schema, "#", "", LATEST)
        elif isinstance(schema, dict):
            self.root = self._nodes[id(schema)]
        else:
            raise SchemaError(
                f"a schema is an object or a boolean, not {schema!r:.60}", pointer="#"
            )

    def child(self, node: Node, *steps: str | int) -> Node:
        """The subschema at some steps below a node."""
        value: Any = node.value
        for step in steps:
            value = value[step]
        if isinstance(value, bool):
            return Node(value, node.at(*steps), node.base, node.draft)
        found = self._nodes.get(id(value))
        if found is not None and isinstance(value, dict):
            return found
        raise SchemaError(
            f"a schema is an object or a boolean, not {value!r:.60}",
            pointer=node.at(*steps),
            keyword=str(steps[0]),
        )

    def resolve(self, node: Node, keyword: str = "$ref") -> Node:
        """The node that a reference leads to.

        Raises:
            SchemaError: it leads nowhere, or out of the documents given.
        """
        assert isinstance(node.value, dict)
        reference = node.value[keyword]
        if not isinstance(reference, str):
            raise node.error("a reference is a string", keyword)
        target, fragment = urldefrag(urljoin(node.base, reference))
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            anchor = f"{target}#{fragment}"
            if anchor in self._by_uri:
                return self._found(self._by_uri[anchor], node, keyword)
            raise node.error(f"no subschema is named {fragment!r} by an anchor", keyword)
        document = self._by_uri.get(target)
        if document is None:
            raise node.error(
                f"{reference!r} is in a document that was not given, and nothing is fetched; "
                f"pass it in `registry`",
                keyword,
            )
        value = _at(document, fragment)
        if value is None and reference.startswith("#"):
            # Not what the specification says, and what many that name subschemas mean.
            value = _at(self._by_uri[""], fragment)
        if value is None:
            raise node.error(f"{reference!r} leads nowhere", keyword)
        return self._found(value, node, keyword, pointer=f"#{fragment}")

    def _found(self, value: Any, node: Node, keyword: str, pointer: str = "#") -> Node:
        if isinstance(value, bool):
            return Node(value, pointer, node.base, node.draft)
        if not isinstance(value, dict):
            raise node.error("the reference leads to no schema", keyword)
        if id(value) not in self._nodes:
            # A place that no keyword makes a schema is one because it is referred to.
            self._index(value, pointer, node.base, node.draft, 0)
        return self._nodes[id(value)]

    def _index(self, value: Any, pointer: str, base: str, draft: int, depth: int) -> None:
        """Note the node of a subschema and of all below it."""
        if depth > MAX_DEPTH:
            raise SchemaError(
                f"the schema is nested deeper than {MAX_DEPTH} subschemas", pointer=pointer
            )
        if not isinstance(value, dict) or id(value) in self._nodes:
            return
        base = self._named(value, base, draft)
        self._nodes[id(value)] = Node(value, pointer, base, draft)
        self._kept.append(value)
        for keyword, content in value.items():
            place = f"{pointer}/{escape(keyword)}"
            if isinstance(content, dict):
                if keyword in SUBSCHEMA:
                    self._index(content, place, base, draft, depth + 1)
                elif keyword in SUBSCHEMA_MAPS:
                    for name, part in content.items():
                        self._index(part, f"{place}/{escape(name)}", base, draft, depth + 1)
            elif isinstance(content, list) and keyword in SUBSCHEMA_LISTS:
                for i, part in enumerate(content):
                    self._index(part, f"{place}/{i}", base, draft, depth + 1)

    def _named(self, value: dict[str, Any], base: str, draft: int) -> str:
        """The base of what is below, once the names that a subschema gives itself are noted."""
        if draft <= 7 and "$ref" in value:
            return base  # its siblings say nothing
        name = value.get("id" if draft == 4 else "$id", value.get("$id", value.get("id")))
        if isinstance(name, str) and name:
            if name.startswith("#"):
                self._by_uri.setdefault(f"{base}{name}", value)
            else:
                base = urldefrag(urljoin(base, name))[0]
                self._by_uri.setdefault(base, value)
        for keyword in ("$anchor", "$dynamicAnchor"):
            anchor = value.get(keyword)
            if isinstance(anchor, str):
                self._by_uri.setdefault(f"{base}#{anchor}", value)
        return base


def _at(document: Any, pointer: str) -> Any:
    """What is at a JSON pointer; None if nothing is."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        try:
            document = document[int(name)] if isinstance(document, list) else document[name]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return document


def _draft(document: Any, default: int) -> int:
    """The draft that a document names in `$schema`."""
    name = document.get("$schema") if isinstance(document, dict) else None
    if not isinstance(name, str):
        return default
    for draft in REFUSED_DRAFTS:
        if draft in name:
            raise SchemaError(
                f"{draft} is not supported; write the schema in draft 4 or later",
                pointer="#/$schema",
                keyword="$schema",
            )
    return next((draft for shown, draft in DRAFTS.items() if shown in name), default)


def escape(name: str) -> str:
    """A step of a JSON pointer (RFC 6901, section 3)."""
    return name.replace("~", "~0").replace("/", "~1")
