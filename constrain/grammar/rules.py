"""What a grammar is: terminals, productions, and how texts are cut into lexemes.

Everything here is frozen. `constrain.grammar.syntax` makes a `Grammar` from text,
`constrain.grammar.normalize` prepares one for the LR automaton.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from constrain.errors import EmptyLanguageError, UndefinedSymbolError

if TYPE_CHECKING:
    from constrain.schema.grammar import SchemaGrammar
    from constrain.schema.tags import Tag, TagGrammar

Lexing = Literal["longest", "any"]
Ties = Literal["priority", "all"]


class Automaton(Protocol):
    """What a terminal may be given as besides a pattern, a `constrain.automata.dfa.ByteDFA`."""

    @property
    def content_hash(self) -> str:
        """Of its language."""


@dataclass(frozen=True)
class Terminal:
    """A leaf of the grammar: a regular language over bytes.

    Attributes:
        name: unique among all symbols of the grammar.
        pattern: a Python `re` pattern (str syntax, matched on Unicode characters,
            encoded as UTF-8). Flags are inline: `(?i:...)`.
        priority: the higher wins a tie of equally long matches.
        is_literal: a fixed string, which wins a tie against a pattern.
        reserved: a pattern of texts that it does not match though `pattern` does, such as
            a language's keywords; nor is a beginning of one a lexeme of it. Empty if there
            is none.
        refused: a pattern; where it matches from the beginning of a lexeme, that is no
            lexeme of this terminal nor of any other, such as a number that runs into a
            word. Empty if there is none.
        automaton: the language itself, in the place of `pattern`, which then is `NEVER`.
    """

    name: str
    pattern: str
    priority: int = 0
    is_literal: bool = False
    reserved: str = ""
    refused: str = ""
    automaton: Automaton | None = None


@dataclass(frozen=True)
class Production:
    """`lhs → rhs`; a symbol of `rhs` is a terminal iff the grammar defines it as one."""

    lhs: str
    rhs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.lhs} → {' '.join(self.rhs) or 'ε'}"


@dataclass(frozen=True)
class Mode:
    """Another set of ignored terminals, between two terminals; names.

    Attributes:
        opening: begin it.
        switching: turn the innermost mode into this one.
        closing: end the innermost mode or bracket.
        ignore: what is ignored in it. Line ends are not, nor is anything else.
    """

    opening: tuple[str, ...] = ()
    switching: tuple[str, ...] = ()
    closing: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class Indentation:
    r"""Layout by indentation, as in Python; names of terminals.

    The text is read as if one line end stood before it and one behind it.

    Attributes:
        newline: a line end outside brackets, with the blank and comment lines behind it and
            the indentation of the next line. Its pattern is `LINE_END`.
        indent: comes behind a `newline` after which the indentation is deeper than before.
        dedent: comes once for each block that a `newline` ends. At the end of the text
            all blocks end.
        opening: brackets, between which and the `closing` ones line ends are ignored; inside
            a mode they change nothing.
        closing: see `opening`.
        continuation: an ignored terminal, a line end that ends no line. No text ends with it.
        modes: for what is written inside strings.
    """

    newline: str
    indent: str
    dedent: str
    opening: tuple[str, ...] = ()
    closing: tuple[str, ...] = ()
    continuation: str = ""
    modes: tuple[Mode, ...] = ()


@dataclass(frozen=True)
class Semicolons:
    """Layout by automatic semicolons, as in Go; names of terminals.

    The text is read as if one more line end stood behind it.

    Attributes:
        newlines: lexemes with a line end in them. Behind a lexeme of `after` they are a
            `semicolon`, elsewhere ignored.
        semicolon: the terminal that the rules use.
        after: terminals behind which a line end ends a statement.
    """

    newlines: tuple[str, ...]
    semicolon: str
    after: tuple[str, ...]


Layout = Indentation | Semicolons

NEVER = "(?!)"
"""A pattern that matches nothing: of the terminals that a layout makes of no bytes."""

LINE_END = (
    r"(?:#[^\r\n\0]*)?(?:\r\n?|\n)"
    r"(?:(?:[ \t\f]|\\(?:\r\n?|\n))*(?:#[^\r\n\0]*)?(?:\r\n?|\n))*"
    r"(?:[ \t\f]|\\(?:\r\n?|\n))*"
)
"""A comment, a line end, blank and comment lines, and the next line's indentation."""


@dataclass(frozen=True)
class Grammar:
    """A context-free grammar over terminals, with its lexing rule.

    Attributes:
        terminals: in the order of their definition.
        productions: BNF; `rhs` may be empty.
        start: the nonterminal that derives a whole text.
        ignore: terminals that may stand between any two lexemes, and at both ends.
        lexing: "longest": a lexeme ends where no longer match is possible;
            "any": it may end wherever its terminal accepts.
        guards: terminals that lexemes must not be the beginning of, though the parser could
            not use them: where one matches more than the lexeme, the lexeme is none.
        ties: among equally long matches, "priority" keeps the terminals of the highest
            priority, literals before patterns; "all" keeps every one.
        layout: what line ends and indentation mean; None: no more than the terminals say.
        name: for messages only; no part of the fingerprint.
    """

    terminals: tuple[Terminal, ...]
    productions: tuple[Production, ...]
    start: str
    ignore: tuple[str, ...] = ()
    lexing: Lexing = "longest"
    ties: Ties = "priority"
    guards: tuple[str, ...] = ()
    layout: Layout | None = None
    name: str = field(default="grammar", compare=False)

    @classmethod
    def builtin(cls, name: str) -> Grammar:
        """A grammar that ships with the library, such as "json".

        Raises:
            GrammarError: there is none of that name; the message lists those there are.
        """
        from constrain.grammar import syntax  # noqa: PLC0415 - it builds on this module

        return syntax.builtin(name)

    @classmethod
    def from_lark(
        cls,
        text: str,
        *,
        start: str = "start",
        lexing: Lexing = "longest",
        ties: Ties = "priority",
        base_path: Path | None = None,
    ) -> Grammar:
        """A grammar in the language of Lark.

        Args:
            text: the grammar.
            start: the rule that derives a whole text.
            lexing: see `Grammar`.
            ties: see `Grammar`.
            base_path: the folder that relative `%import`s are read from.

        Raises:
            GrammarError: the text is no grammar, or one that cannot be supported; the
                message has line, column and a caret.
        """
        from constrain.grammar import syntax  # noqa: PLC0415 - it builds on this module

        return syntax.from_lark(text, start=start, lexing=lexing, ties=ties, base_path=base_path)

    @classmethod
    def from_ebnf(cls, text: str) -> Grammar:
        """A grammar in GBNF, the grammar language of llama.cpp; `root` is a whole text.

        Rules are over characters, with no lexer: `lexing` is "any", and nothing is ignored.

        Args:
            text: the grammar.

        Raises:
            GrammarError: the text is no grammar, or one that cannot be supported; the
                message has line, column and a caret.
        """
        from constrain.grammar import syntax  # noqa: PLC0415 - it builds on this module

        return syntax.from_ebnf(text)

    @classmethod
    def from_regex(cls, pattern: str) -> Grammar:
        """The texts that a Python `re` pattern matches from end to end.

        Raises:
            PatternError: the pattern is malformed or not regular.
        """
        from constrain.grammar import syntax  # noqa: PLC0415 - it builds on this module

        return syntax.from_regex(pattern)

    @classmethod
    def from_choices(cls, choices: Sequence[str]) -> Grammar:
        """Exactly the texts listed.

        Raises:
            EmptyLanguageError: there are none.
        """
        from constrain.grammar import syntax  # noqa: PLC0415 - it builds on this module

        return syntax.from_choices(choices)

    @classmethod
    def from_json_schema(
        cls,
        schema: Any,
        *,
        order: Literal["schema", "any"] = "schema",
        whitespace: Literal["flexible", "compact"] = "flexible",
        indent: int | None = None,
        escapes: Literal["canonical", "any"] = "canonical",
        registry: Mapping[str, Any] | None = None,
        lenient: bool = False,
    ) -> SchemaGrammar:
        """The JSON texts whose value fits a JSON Schema of draft 4 to 2020-12.

        Args:
            schema: a dict, JSON text, a pydantic model, or a type that pydantic describes
                (dataclass, TypedDict, list[int], …).
            order: "schema": members come in the order of `properties`, others behind them;
                "any": in any order.
            whitespace: "flexible": as JSON allows it; "compact": none.
            indent: exactly the white space of `json.dumps(…, indent=indent)`.
            escapes: "canonical": keys and strings of an `enum`, `pattern` or `format` are
                spelled as `json.dumps(…, ensure_ascii=False)` does; "any": with any escapes.
            registry: documents that the schema refers to, by URI. Nothing is fetched.
            lenient: ignore what cannot be enforced, and list it in `warnings`.

        Raises:
            SchemaError: a keyword cannot be enforced exactly, or the schema is malformed;
                `pointer` and `keyword` say where.
            EmptyLanguageError: no value fits the schema.
        """
        from constrain.schema import grammar  # noqa: PLC0415 - it builds on this module

        return grammar.from_json_schema(
            schema,
            order=order,
            whitespace=whitespace,
            indent=indent,
            escapes=escapes,
            registry=registry,
            lenient=lenient,
        )

    @classmethod
    def from_response_format(
        cls, response_format: Mapping[str, Any], **options: Any
    ) -> SchemaGrammar | None:
        """The grammar that a `response_format` of OpenAI's API asks for.

        `{"type": "json_schema", "json_schema": {"name": …, "strict": …, "schema": …}}`; the same
        without the inner object, as the Responses API has it; `{"type": "json_object"}`: any
        JSON object; `{"type": "text"}`: any text.

        Where `strict` is not true, which is OpenAI's default, keywords that cannot be enforced
        are ignored and listed in `warnings`, as with `lenient=True`.

        Args:
            response_format: the object as it is.
            **options: for `from_json_schema`; `lenient` goes before `strict`.

        Returns:
            None for any text: nothing is to be constrained.

        Raises:
            SchemaError: it is no such object, or its schema cannot be enforced; `pointer` leads
                from the whole object.
            EmptyLanguageError: no value fits the schema.
        """
        from constrain.schema.response import (  # noqa: PLC0415 - it builds on this module
            from_response_format,
        )

        return from_response_format(response_format, **options)

    @classmethod
    def tags(
        cls,
        tags: Sequence[Tag],
        *,
        triggers: Sequence[str] | None = None,
        text: bool = True,
        at_least: int = 0,
        at_most: int | None = None,
    ) -> TagGrammar:
        """Free text in which begin strings open tags, as models write calls of tools.

        A text is free text, then any number of times a tag and free text. A tag is its `begin`,
        a text of its `content` and its `end`. Free text is any text of Unicode; the first trigger
        in it ends it, and is the beginning of a tag. The whole text may end anywhere outside tags.

        Args:
            tags: with what opens, fills and closes them. Several may begin alike.
            triggers: beginnings of the tags' `begin` that free text must not hold elsewhere, such
                as `<function=` of `<function=get_time>`; None: each `begin`. None may be inside
                another.
            text: there may be free text; else tags stand side by side.
            at_least: how many tags a text has.
            at_most: the same; None: any number.

        Raises:
            TagError: a tag or a trigger is malformed, or does not say where free text ends; or a
                content is a grammar of more than one terminal.
            SchemaError: see `from_json_schema`.
            EmptyLanguageError: no text is of a content, or `at_most` is less than `at_least`.
            GrammarLimitError: there are too many characters in `begin` and `end` strings.
        """
        from constrain.schema.tags import tags_grammar  # noqa: PLC0415 - it builds on this module

        return tags_grammar(tags, triggers=triggers, text=text, at_least=at_least, at_most=at_most)

    @staticmethod
    def compose(outer: Grammar, parts: Mapping[str, Grammar]) -> Grammar:
        """`outer` with whole texts of other grammars in the places of some symbols.

        By `lexing="longest"` one lexer reads the whole: at a seam a lexeme is the longest that
        any terminal of either grammar matches which could stand there. The last lexeme of a
        part may so go on over what the outer grammar has behind it; see `grammar.compose`.

        Args:
            outer: the whole.
            parts: by a terminal of `outer`, or a symbol that it uses and does not define.

        Raises:
            UndefinedSymbolError: a name is no such symbol.
            GrammarError: a layout or guards, or the grammars differ in lexing or ties.
        """
        from constrain.grammar import syntax  # noqa: PLC0415 - it builds on this module

        return syntax.compose(outer, parts)

    @property
    def terminal_names(self) -> frozenset[str]:
        """The names of all terminals."""
        return frozenset(terminal.name for terminal in self.terminals)

    @property
    def layout_names(self) -> tuple[str, ...]:
        """The terminals that the layout speaks of."""
        layouts = [self.layout, *getattr(self.layout, "modes", ())] if self.layout else []
        parts = [value for layout in layouts for value in vars(layout).values()]
        names = [[part] if isinstance(part, str) else list(part) for part in parts]
        return tuple(name for part in names for name in part if isinstance(name, str) and name)

    @property
    def fingerprint(self) -> str:
        """sha256 of everything that decides which texts belong to the grammar."""
        content = [
            [
                [t.name, t.pattern, t.priority, t.is_literal, t.reserved, t.refused]
                + ([t.automaton.content_hash] if t.automaton else [])
                for t in self.terminals
            ],
            [[p.lhs, *p.rhs] for p in self.productions],
            [self.start, list(self.ignore), self.lexing, self.ties, list(self.guards)],
            [type(self.layout).__name__, asdict(self.layout)] if self.layout else [],
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def check(self) -> Self:
        """Return `self` if every symbol is defined and `start` has a production.

        Raises:
            UndefinedSymbolError: a symbol is used and not defined.
            EmptyLanguageError: `start` has no production.
        """
        defined = self.terminal_names | {p.lhs for p in self.productions}
        for production in self.productions:
            for symbol in production.rhs:
                if symbol not in defined:
                    raise UndefinedSymbolError(
                        f"{symbol!r} is used in `{production}` and not defined; define it"
                    )
        for name in (*self.ignore, *self.guards, *self.layout_names):
            if name not in self.terminal_names:
                raise UndefinedSymbolError(
                    f"{name!r} is ignored, a guard or of the layout, and no terminal; define it"
                )
        if self.start not in {p.lhs for p in self.productions}:
            raise EmptyLanguageError(f"the start rule {self.start!r} has no production")
        return self
