r"""GBNF, the grammar language of llama.cpp → `Grammar`.

    root  ::= item ("," ws item)*
    item  ::= [a-z]+ | "\"" [^"\n]{1,20} "\""   # a comment
    ws    ::= [ \t\n]*

Rules are over Unicode code points, with no lexer: the grammar has `lexing="any"` and ignores
nothing. `fuse` puts the regular parts together into terminals, which changes no text.

Source: grammars/README.md of llama.cpp. Differs: rules may recurse on the left, and names may
hold `_`; what is an oversight there is an error here (two rules of one name, empty sets and
ranges, surrogates); its syntax for tokens is refused, since grammars here are over texts.
"""

from __future__ import annotations

import re

from constrain.errors import (
    EmptyLanguageError,
    GrammarError,
    GrammarLimitError,
    GrammarSyntaxError,
    UndefinedSymbolError,
)
from constrain.grammar.determinism import Budget
from constrain.grammar.expression import (
    Cat,
    Chars,
    Expression,
    Name,
    Ranges,
    Repeat,
    Text,
    alt,
    cat,
    complement,
    is_only_surrogates,
    names,
    union,
)
from constrain.grammar.fuse import write_rules
from constrain.grammar.normalize import derivable_symbols
from constrain.grammar.rules import Grammar

START = "root"
MAX_TEXT = 1 << 20  # characters of one grammar text
MAX_NESTING = 40  # brackets open at once
MAX_OPERATORS = 3  # of one item, those that do not make one together
MAX_REPEAT = 65_536  # n and m of `{n,m}`

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_INLINE_SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_LINE_END = re.compile(r"\r\n?|\n")
_BOUNDS = re.compile(r"\{[ \t]*([0-9]+)[ \t]*(?:(,)[ \t]*([0-9]+)?[ \t]*)?\}")
_ESCAPE = re.compile(
    r"\\(?:([nrt])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\\\"\[\]]))"
)
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}
_OPERATORS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def from_ebnf(text: str, *, name: str = "grammar", budget: Budget | None = None) -> Grammar:
    """Return the grammar that a GBNF text defines; `root` derives a whole text.

    Args:
        text: at most 1 MiB of characters.
        name: for messages.
        budget: the steps that may be spent on putting parts together; without one, the usual.

    Raises:
        GrammarSyntaxError: the text is not GBNF.
        UndefinedSymbolError: a rule is used and not defined, or there is no `root`.
        EmptyLanguageError: no finite text belongs to `root`.
        GrammarLimitError: it is longer, nested deeper or repeats more than is read.
    """
    reader = _Reader(text)
    try:
        terminals, productions = write_rules(reader.rules(), START, budget or Budget())
    except RecursionError:
        raise GrammarLimitError("the rules are nested too deeply; split them") from None
    grammar = Grammar(terminals, productions, START, lexing="any", name=name)
    if START not in derivable_symbols(productions, grammar.terminal_names):
        problem = (
            f"no text belongs to the grammar: {START!r} derives no finite text; give every "
            f"recursive rule an alternative that ends"
        )
        raise reader.error(EmptyLanguageError, problem, reader.places[START])
    return grammar.check()


class _Reader:
    """Reads one text; every method goes on from `self._at`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._nesting = 0
        self.places: dict[str, int] = {}

    def error(self, kind: type[GrammarError], problem: str, at: int) -> GrammarError:
        """An error of `kind` that points at an index of the text."""
        line = self._text.count("\n", 0, at) + 1
        column = at - (self._text.rfind("\n", 0, at) + 1) + 1
        return kind(problem, line=line, column=column, source=self._text)

    def rules(self) -> dict[str, Expression]:
        """The rules by name, the names in them checked."""
        if len(self._text) > MAX_TEXT:
            problem = f"the grammar has {len(self._text)} characters; at most {MAX_TEXT} are read"
            raise GrammarLimitError(problem)
        found: dict[str, Expression] = {}
        self._skip(_SPACE)
        while self._at < len(self._text):
            name, body = self._rule()
            found[name] = body
            self._skip(_SPACE)
        for body in found.values():
            for used in names(body):
                if used.name not in found:
                    problem = (
                        f"the rule {used.name!r} is not defined; define it by `{used.name} ::= …`"
                    )
                    raise self.error(UndefinedSymbolError, problem, used.at)
        if START not in found:
            known = ", ".join(list(found)[:20]) or "none at all"
            problem = (
                f"the rule {START!r}, which derives a whole text, is not defined; "
                f"the grammar's rules are: {known}"
            )
            raise self.error(UndefinedSymbolError, problem, len(self._text))
        return found

    # --- rules and expressions --------------------------------------------------------

    def _rule(self) -> tuple[str, Expression]:
        at = self._at
        match = _NAME.match(self._text, at)
        if match is None:
            problem = f"{self._shown()} begins no rule: `name ::= …`"
            if self._here() == "|":
                problem += "; write the `|` at the end of the line before, or use brackets"
            raise self.error(GrammarSyntaxError, problem, at)
        name = match.group()
        if name in self.places:
            problem = f"the rule {name!r} is defined twice; join the two by `|`"
            raise self.error(GrammarSyntaxError, problem, at)
        self.places[name] = at
        self._at = match.end()
        self._skip(_INLINE_SPACE)
        if not self._text.startswith("::=", self._at):
            problem = f"`::=` is wanted behind the name {name!r}, not {self._shown()}"
            raise self.error(GrammarSyntaxError, problem, self._at)
        self._at += 3
        self._skip(_SPACE)
        body = self._alternatives()
        if self._at < len(self._text) and not _LINE_END.match(self._text, self._at):
            problem = f"{self._shown()} is out of place; a rule ends with its line"
            if self._text.startswith("::=", self._at):
                problem = "the rule before has no end: its last line stops with `|` or `::=`"
            raise self.error(GrammarSyntaxError, problem, self._at)
        return name, body

    def _alternatives(self) -> Expression:
        found = [self._sequence()]
        while self._here() == "|":
            self._at += 1
            self._skip(_SPACE)
            found.append(self._sequence())
        return alt(found)

    def _sequence(self) -> Expression:
        items: list[Expression] = []
        while (item := self._item()) is not None:
            self._skip_behind_item()
            item = self._repeated(item)
            items.append(item)
        return cat(items)

    def _item(self) -> Expression | None:
        """The next item; None if another character than one's first comes."""
        here = self._here()
        if here == '"':
            return self._literal()
        if here == "[":
            return self._class()
        if here == "(":
            return self._group()
        if here == ".":
            self._at += 1
            return Chars(complement(()))
        if here and here in "<!":
            problem = (
                "llama.cpp's syntax for tokens, `<[id]>` and `<token>`, is not supported: a "
                "grammar is over texts, whatever the tokenizer; write the token's characters"
            )
            raise self.error(GrammarSyntaxError, problem, self._at)
        if here and here in "*+?{":
            problem = f"there is nothing before the {here!r} that it could repeat"
            raise self.error(GrammarSyntaxError, problem, self._at)
        match = _NAME.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        return Name(match.group(), match.start())

    def _group(self) -> Expression:
        at = self._at
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            problem = f"brackets are nested deeper than {MAX_NESTING}; name a part of them"
            raise self.error(GrammarLimitError, problem, at)
        self._at += 1
        self._skip(_SPACE)
        inner = self._alternatives()
        if self._here() != ")":
            if self._at == len(self._text):
                raise self.error(GrammarSyntaxError, "the bracket is never closed by `)`", at)
            problem = f"{self._shown()} is out of place inside brackets"
            raise self.error(GrammarSyntaxError, problem, self._at)
        self._at += 1
        self._nesting -= 1
        return inner

    def _repeated(self, item: Expression) -> Expression:
        n_operators = 0
        while (here := self._here()) and here in "*+?{":
            at = self._at
            low, high = self._bounds() if here == "{" else _OPERATORS[here]
            self._at += here != "{"
            item, is_new = _repeat(item, low, high)
            n_operators += is_new
            if n_operators > MAX_OPERATORS:
                problem = f"more than {MAX_OPERATORS} repetitions of one item; name a part of it"
                raise self.error(GrammarLimitError, problem, at)
            self._skip_behind_item()
        return item

    def _bounds(self) -> tuple[int, int | None]:
        at = self._at
        match = _BOUNDS.match(self._text, at)
        if match is None:
            problem = "the repetition is malformed: `{n}`, `{n,}` or `{n,m}` is wanted"
            raise self.error(GrammarSyntaxError, problem, at)
        numbers = [digits.lstrip("0") or "0" for digits in match.group(1, 3) if digits]
        if any(len(digits) > 9 or int(digits) > MAX_REPEAT for digits in numbers):
            problem = f"a repetition {{n,m}} goes up to {MAX_REPEAT}"
            raise self.error(GrammarLimitError, problem, at)
        low, high = int(numbers[0]), int(numbers[-1])
        if low > high:
            problem = f"the repetition {{{low},{high}}} needs n <= m"
            raise self.error(GrammarSyntaxError, problem, at)
        self._at = match.end()
        return low, None if match[2] and not match[3] else high

    # --- characters -------------------------------------------------------------------

    def _literal(self) -> Expression:
        begin = self._at
        self._at += 1
        found: list[str] = []
        while self._here() != '"':
            self._check_open(begin, "the literal is never closed by a quote")
            found.append(chr(self._character()))
        self._at += 1
        return Text("".join(found)) if found else Cat(())

    def _class(self) -> Expression:
        begin = self._at
        self._at += 1
        is_negated = self._here() == "^"
        self._at += is_negated
        pairs: list[tuple[int, int]] = []
        while self._here() != "]":
            self._check_open(begin, "the set of characters is never closed by `]`")
            pairs.append(self._range(begin))
        if not pairs:
            problem = "the set holds no character; a `]` in a set is written `\\]`"
            raise self.error(GrammarSyntaxError, problem, begin)
        self._at += 1
        ranges: Ranges = union(pairs)
        if is_negated:
            ranges = complement(ranges)
        if is_only_surrogates(ranges):
            raise self.error(GrammarSyntaxError, "the set leaves no character at all", begin)
        return Chars(ranges)

    def _range(self, begin: int) -> tuple[int, int]:
        at = self._at
        low = self._character()
        if self._here() != "-" or self._text.startswith("-]", self._at):
            return low, low
        self._at += 1
        self._check_open(begin, "the set of characters is never closed by `]`")
        high = self._character()
        if low > high:
            problem = f"the range {self._text[at : self._at]} is empty; swap its ends"
            raise self.error(GrammarSyntaxError, problem, at)
        return low, high

    def _check_open(self, begin: int, problem: str) -> None:
        if self._at >= len(self._text):
            raise self.error(GrammarSyntaxError, problem, begin)

    def _character(self) -> int:
        """The code point of one character or escape."""
        at = self._at
        if self._text[at] != "\\":
            self._at += 1
            code_point = ord(self._text[at])
        else:
            code_point = self._escape()
        if 0xD800 <= code_point <= 0xDFFF:
            problem = f"U+{code_point:04X} is a surrogate and no character of its own"
            raise self.error(GrammarSyntaxError, problem, at)
        return code_point

    def _escape(self) -> int:
        at = self._at
        match = _ESCAPE.match(self._text, at)
        if match is None:
            problem = (
                f"the escape {self._text[at : at + 2]!r} is unknown or malformed: \\n \\r \\t \\\\ "
                f'\\" \\[ \\] \\xHH \\uHHHH \\UHHHHHHHH are those there are'
            )
            raise self.error(GrammarSyntaxError, problem, at)
        self._at = match.end()
        control, x, u, big_u, itself = match.groups()
        if control or itself:
            return ord(_CONTROL[control] if control else itself)
        code_point = int(x or u or big_u, 16)
        if code_point > 0x10FFFF:
            problem = f"the escape {match.group()} is beyond the last character, \\U0010FFFF"
            raise self.error(GrammarSyntaxError, problem, at)
        return code_point

    # --- steps ------------------------------------------------------------------------

    def _here(self) -> str:
        return self._text[self._at : self._at + 1]

    def _shown(self) -> str:
        return repr(self._here()) if self._here() else "the end of the grammar"

    def _skip(self, blank: re.Pattern[str]) -> None:
        match = blank.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _skip_behind_item(self) -> None:
        self._skip(_SPACE if self._nesting else _INLINE_SPACE)


def _repeat(item: Expression, low: int, high: int | None) -> tuple[Expression, bool]:
    """An item some number of times; whether that is one more operator than before.

    What `* + ?` are behind each other, one of them is.
    """
    simple = _OPERATORS.values()
    if isinstance(item, Repeat) and (item.low, item.high) in simple and (low, high) in simple:
        most = 1 if item.high == high == 1 else None
        return Repeat(item.part, item.low * low, most), False
    return Repeat(item, low, high), True
