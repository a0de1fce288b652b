"""`Tag`s and `TagGrammar`: free text in which some strings open a schema or a pattern.

Input:  tags, each a begin string, a content and an end string; how often they may come.
Output: the rules of an automaton, checked; no vocabulary yet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from constrain.automata.dfa import ByteDFA
from constrain.automata.regex import compile_pattern
from constrain.errors import EmptyLanguageError, GrammarLimitError, SchemaError, TagError
from constrain.grammar.rules import Grammar
from constrain.schema.grammar import SchemaGrammar, from_json_schema
from constrain.schema.tagframes import Island, Regular, Rules, bytes_of

MAX_TAGS = 1_000
"""Tags of one grammar."""

MAX_MARKS = 20_000
"""Bytes of all begin and end strings of a grammar together."""


@dataclass(frozen=True)
class Tag:
    """An island in free text: `begin`, the content, `end`.

    Attributes:
        begin: what opens it; not empty.
        content: a JSON Schema (as `Grammar.from_json_schema` takes it), a grammar made by
            `Grammar.from_json_schema`, `from_regex` or `from_choices`.
        end: what closes it. An end string inside a JSON string ends nothing, since the content
            is read by its own rules. If it is empty, the tag ends where its content may.
    """

    begin: str
    content: Any
    end: str = ""


@dataclass(frozen=True, eq=False)
class TagGrammar:
    """Free text with tags.

    Attributes:
        rules: of its automaton.
        warnings: of the schemas of the contents, see `SchemaGrammar`.
        extra_bytes: that texts may need and JSON does not.
        fingerprint: sha256 of everything that decides which texts belong to the grammar.
        name: for messages only.
    """

    rules: Rules = field(repr=False)
    warnings: tuple[SchemaError, ...]
    extra_bytes: bytes = field(repr=False)
    fingerprint: str
    name: str = "tags"


AnyGrammar = Grammar | SchemaGrammar | TagGrammar


def tags_grammar(
    tags: Sequence[Tag],
    *,
    triggers: Sequence[str] | None = None,
    text: bool = True,
    at_least: int = 0,
    at_most: int | None = None,
) -> TagGrammar:
    """See `Grammar.tags`."""
    if not tags or len(tags) > MAX_TAGS:
        raise TagError(f"a grammar has from 1 to {MAX_TAGS} tags, not {len(tags)}")
    for value in (at_least, 0 if at_most is None else at_most):
        if not isinstance(value, int) or value < 0:
            raise TagError(f"at_least and at_most are whole numbers from 0 on, not {value!r:.60}")
    if at_most is not None and at_most < at_least:
        raise EmptyLanguageError(f"no text has at least {at_least} and at most {at_most} tags")
    for place, tag in enumerate(tags):
        _check_marks(tag, place)
    islands = tuple(Island(t.begin, _content(t, i), t.end) for i, t in enumerate(tags))
    begins = list(dict.fromkeys(tag.begin for tag in tags))
    chosen = begins if triggers is None else list(dict.fromkeys(triggers))
    size = sum(len(mark.encode()) for tag in tags for mark in (tag.begin, tag.end))
    if size > MAX_MARKS:
        raise GrammarLimitError(
            f"the begin and end strings have {size} bytes; at most {MAX_MARKS} are read"
        )
    if text:
        _check_triggers(chosen, begins, given=triggers is not None)
    return _compiled(Rules(islands, tuple(chosen) if text else (), text, at_least, at_most))


def _check_marks(tag: Tag, place: int) -> None:
    """Refuse what is no begin or end string."""
    for name in ("begin", "end"):
        mark = getattr(tag, name)
        if not isinstance(mark, str):
            raise TagError(f"tag {place}: `{name}` is a text, not {mark!r:.60}")
        try:
            mark.encode()
        except UnicodeEncodeError:
            raise TagError(
                f"tag {place}: `{name}` {mark!r:.60} has a surrogate, which is no character"
            ) from None
    if not tag.begin:
        raise TagError(f"tag {place}: `begin` is empty, so that nothing opens the tag")


def _check_triggers(triggers: list[str], begins: list[str], *, given: bool) -> None:
    """Refuse triggers that do not say by themselves where free text ends."""
    for trigger in triggers:
        if not isinstance(trigger, str) or not any(
            b.startswith(trigger) for b in begins if trigger
        ):
            raise TagError(f"the trigger {trigger!r:.60} is the beginning of no tag's `begin`")
    for one in triggers:
        for other in triggers:
            if one != other and one in other:
                advice = "leave one of them out" if given else "pass `triggers` that they share"
                raise TagError(
                    f"{one!r:.60} is inside {other!r:.60}, so that free text ends before the "
                    f"longer one is complete; {advice}"
                )
    for begin in begins:
        if not any(begin.startswith(trigger) for trigger in triggers):
            raise TagError(f"the tag {begin!r:.60} begins with none of the triggers")


def _content(tag: Tag, place: int) -> SchemaGrammar | Regular:
    content = tag.content
    if isinstance(content, SchemaGrammar):
        return content
    if not isinstance(content, Grammar):
        return from_json_schema(content)
    is_regular = (
        len(content.terminals) <= 1
        and not content.ignore
        and content.layout is None
        and all(p.lhs == content.start and len(p.rhs) <= 1 for p in content.check().productions)
        and not any(t.reserved or t.refused for t in content.terminals)
    )
    if not is_regular:
        raise TagError(
            f"tag {place}, {tag.begin!r:.60}: its content, the grammar {content.name}, is not one "
            f"terminal; give a schema, a regex or choices"
        )
    language = None
    if any(p.rhs for p in content.productions):
        (terminal,) = content.terminals
        given = terminal.automaton
        language = given if isinstance(given, ByteDFA) else compile_pattern(terminal.pattern)
        language = None if language.is_empty() else language
    has_empty = not all(p.rhs for p in content.productions)
    if language is None and not has_empty:
        raise EmptyLanguageError(f"tag {place}, {tag.begin!r:.60}: no text is of its content")
    return Regular(language, has_empty)


@lru_cache(maxsize=256)
def _compiled(rules: Rules) -> TagGrammar:
    warnings = tuple(
        warning
        for content in dict.fromkeys(island.content for island in rules.islands)
        if isinstance(content, SchemaGrammar)
        for warning in content.warnings
    )
    told = [[i.begin, i.end, *_told(i.content)] for i in rules.islands]
    content = json.dumps(["tags", told, *rules[1:]])
    fingerprint = hashlib.sha256(content.encode()).hexdigest()
    return TagGrammar(rules, warnings, bytes_of(rules), fingerprint)


def _told(content: SchemaGrammar | Regular) -> list[str | bool]:
    if isinstance(content, SchemaGrammar):
        return ["schema", content.fingerprint]
    language = content.language
    return ["regular", language.content_hash if language else "", content.has_empty]
