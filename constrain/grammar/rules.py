"""What a grammar is: terminals, productions, and how texts are cut into lexemes.

Everything here is frozen. `constrain.grammar.syntax` makes a `Grammar` from text,
`constrain.grammar.normalize` prepares one for the LR automaton.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from constrain.errors import EmptyLanguageError, UndefinedSymbolError

Lexing = Literal["longest", "any"]
Ties = Literal["priority", "all"]


@dataclass(frozen=True)
class Terminal:
    """A leaf of the grammar: a regular language over bytes.

    Attributes:
        name: unique among all symbols of the grammar.
        pattern: a Python `re` pattern (str syntax, matched on Unicode characters,
            encoded as UTF-8). Flags are inline: `(?i:...)`.
        priority: the higher wins a tie of equally long matches.
        is_literal: a fixed string, which wins a tie against a pattern.
    """

    name: str
    pattern: str
    priority: int = 0
    is_literal: bool = False


@dataclass(frozen=True)
class Production:
    """`lhs → rhs`; a symbol of `rhs` is a terminal iff the grammar defines it as one."""

    lhs: str
    rhs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.lhs} → {' '.join(self.rhs) or 'ε'}"


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
        ties: among equally long matches, "priority" keeps the terminals of the highest
            priority, literals before patterns; "all" keeps every one.
        name: for messages only; no part of the fingerprint.
    """

    terminals: tuple[Terminal, ...]
    productions: tuple[Production, ...]
    start: str
    ignore: tuple[str, ...] = ()
    lexing: Lexing = "longest"
    ties: Ties = "priority"
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

    @property
    def terminal_names(self) -> frozenset[str]:
        """The names of all terminals."""
        return frozenset(terminal.name for terminal in self.terminals)

    @property
    def fingerprint(self) -> str:
        """sha256 of everything that decides which texts belong to the grammar."""
        content = [
            [[t.name, t.pattern, t.priority, t.is_literal] for t in self.terminals],
            [[p.lhs, *p.rhs] for p in self.productions],
            [self.start, list(self.ignore), self.lexing, self.ties],
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
        for name in self.ignore:
            if name not in self.terminal_names:
                raise UndefinedSymbolError(f"{name!r} is ignored and is no terminal; define it")
        if self.start not in {p.lhs for p in self.productions}:
            raise EmptyLanguageError(f"the start rule {self.start!r} has no production")
        return self
