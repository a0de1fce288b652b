"""Lark grammar text → modules: who defines which symbol, and where it stands in the text.

Lark's own parser of its grammar language decides what is well formed; everything after
that is done here and not by Lark's loader, for three reasons: every error keeps its line
and column (also in imported files), nothing grows exponentially (Lark multiplies out
optional parts and nested terminals), and no input can make it hang.

A `Module` is one grammar text. Its scope maps a name as written to a `Symbol`; rules refer
to symbols, so that `%override` in an importing grammar reaches them, while a terminal used
inside another terminal is bound to its definition when its module ends, as in Lark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from lark import Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.load_grammar import _get_parser as lark_grammar_parser

from constrain.errors import (
    GrammarError,
    GrammarLimitError,
    GrammarSyntaxError,
    UndefinedSymbolError,
)
from constrain.grammar.directives import (
    DirectiveError,
    Directives,
    hide_directives,
    read_directives,
)

MAX_TEXT = 1 << 20  # characters of one grammar text
MAX_BLANK = 1000  # white-space characters in a row: Lark's lexer is quadratic in them
MAX_NESTING = 60  # brackets open at once
MAX_PRIORITY_DIGITS = 15
MAX_MODULES = 200  # grammar texts read for one grammar

Node = Tree[Any]
E = TypeVar("E", bound=GrammarError)


@dataclass(frozen=True)
class Source:
    """One grammar text, and the file it came from if it was imported."""

    text: str
    file: str | None = None

    def error(self, kind: type[E], problem: str, at: Token | int | None) -> E:
        """Return an error of `kind` that points at a token or at an index of the text."""
        if self.file is not None:
            problem = f"in the imported grammar {self.file}: {problem}"
        if at is None:
            return kind(problem)
        line, column = self.place(at)
        return kind(problem, line=line, column=column, source=self.text)

    def place(self, at: Token | int) -> tuple[int, int]:
        """Return the 1-based line and column of a token or of an index."""
        if isinstance(at, Token) and at.line is not None and at.column is not None:
            return at.line, at.column
        index = at if isinstance(at, int) else len(self.text)
        before = self.text[:index]
        return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


@dataclass(eq=False)
class Body:
    """The right-hand side of a definition, and the module whose names it uses.

    Attributes:
        tree: Lark's `expansions` tree.
        bound: in a terminal, the definitions of the terminals it uses.
    """

    tree: Node
    module: Module
    bound: dict[str, Definition] = field(default_factory=dict)


@dataclass(eq=False)
class Definition:
    """A rule or terminal as written; `%extend` adds a body.

    Attributes:
        name: the token that names it.
        params: of a template, else empty.
        bodies: empty for a symbol that is only declared.
    """

    name: Token
    is_terminal: bool
    params: tuple[str, ...]
    priority: int
    source: Source
    bodies: list[Body]


@dataclass(eq=False)
class Symbol:
    """What a name stands for; `%override` replaces the definition.

    Attributes:
        name: unique among the symbols of a whole grammar, for messages too.
    """

    name: str
    definition: Definition


@dataclass(eq=False)
class Module:
    """One grammar text, read.

    Attributes:
        scope: a name as written → what it stands for.
        ignored: a body for each `%ignore`.
        directives: those of its text.
    """

    source: Source
    directives: Directives = field(default_factory=Directives)
    scope: dict[str, Symbol] = field(default_factory=dict)
    ignored: list[Body] = field(default_factory=list)

    def lookup(self, token: Token) -> Symbol:
        """Return what a name stands for.

        Raises:
            UndefinedSymbolError: nothing in this module.
        """
        try:
            return self.scope[str(token)]
        except KeyError:
            kind = "terminal" if token.type == "TERMINAL" else "rule"
            problem = f"the {kind} {str(token)!r} is used and nowhere defined; define or import it"
            raise self.source.error(UndefinedSymbolError, problem, token) from None


def read_module(text: str, base_path: Path | None) -> Module:
    """Return the module of a grammar text, imports resolved.

    Args:
        text: of the Lark grammar language.
        base_path: the folder that relative imports start from.

    Raises:
        GrammarError: of the kind that fits, with line and column.
    """
    return _Reader().read(Source(text), _Place(base_path))


def nodes_in_order(tree: Node, *kinds: str) -> Iterator[Node]:
    """Yield the subtrees of the given kinds, as they stand in the text, outer before inner.

    The name that an alias gives is no use of a name and is passed over.
    """
    for child in tree.children[:1] if tree.data == "alias" else tree.children:
        if isinstance(child, Tree):
            if child.data in kinds:
                yield child
            yield from nodes_in_order(child, *kinds)


def name_token(node: Node) -> Token:
    """Return the token of a `terminal` or `nonterminal` node."""
    token = node.children[0]
    assert isinstance(token, Token)
    return token


def _tokens(node: Node) -> list[Token]:
    return [child for child in node.children if isinstance(child, Token)]


@dataclass(frozen=True)
class _Place:
    """Where a grammar text lies.

    Attributes:
        folder: its relative imports start here; None if unknown.
        prefix: of the names of its symbols that the importing grammar does not name.
        chain: the files that are being read, outermost first.
    """

    folder: Traversable | None
    prefix: str = ""
    chain: tuple[str, ...] = ()


class _Reader:
    """Reads a module and whatever it imports; counts them."""

    def __init__(self) -> None:
        self.n_modules = 0

    def read(self, source: Source, place: _Place) -> Module:
        self.n_modules += 1
        tree = parse(source)
        module = Module(source, _directives(source))
        self._import_all(module, tree, place)
        bodies: list[Body] = []
        for statement in tree.children:
            assert isinstance(statement, Tree)
            bodies.extend(_take_statement(module, statement, place.prefix))
        for body in bodies:
            _bind_terminals(body)
        return module

    def _import_all(self, module: Module, tree: Node, place: _Place) -> None:
        read: dict[_Path, Module] = {}
        for statement in tree.children:
            assert isinstance(statement, Tree)
            if statement.data != "import":
                continue
            path, names = _import_parts(module.source, statement)
            if path not in read:
                read[path] = self._read_import(module.source, path, place)
            for name, alias in names:
                _bring_in(module, read[path], name, alias, place.prefix)

    def _read_import(self, source: Source, path: _Path, place: _Place) -> Module:
        at, shown = path.parts[0], "/".join(path.parts) + ".lark"
        start = place.folder if path.is_relative else files("lark") / "grammars"
        if start is None:
            problem = f"the relative import of {shown!r} needs base_path: pass the folder"
            raise source.error(GrammarError, problem, at)
        target = start.joinpath(*path.parts[:-1], f"{path.parts[-1]}.lark")
        text = _import_text(source, path, target, shown)
        if str(target) in place.chain:
            raise source.error(GrammarError, f"{shown!r} imports itself; break the circle", at)
        if self.n_modules >= MAX_MODULES:
            problem = f"more than {MAX_MODULES} grammar texts are imported"
            raise source.error(GrammarLimitError, problem, at)
        folder = start.joinpath(*path.parts[:-1])
        prefix = f"{place.prefix}{'.' * path.is_relative}{'/'.join(path.parts)}."
        inner = _Place(folder, prefix, (*place.chain, str(target)))
        return self.read(Source(text, shown), inner)


@dataclass(frozen=True)
class _Path:
    """Which grammar an `%import` reads: names from the library's or the text's folder."""

    is_relative: bool
    parts: tuple[Token, ...]


def _import_text(source: Source, path: _Path, target: Traversable, shown: str) -> str:
    at = path.parts[0]
    try:
        return target.read_text(encoding="utf-8")
    except FileNotFoundError:
        library = "in Lark's library (common, unicode, ...)"
        where = "beside the grammar" if path.is_relative else library
        problem = f"there is no grammar {shown!r} {where} to import from"
        raise source.error(GrammarError, problem, at) from None
    except (OSError, UnicodeDecodeError) as error:
        problem = f"the grammar {shown!r} cannot be read: {error}"
        raise source.error(GrammarError, problem, at) from error


def _import_parts(source: Source, statement: Node) -> tuple[_Path, list[tuple[Token, Token]]]:
    """Return the grammar of an `%import`, and the pairs (name there, name here)."""
    path_node, *rest = statement.children
    assert isinstance(path_node, Tree)
    tokens, relative = tuple(_tokens(path_node)), path_node.data == "import_rel"
    if rest and isinstance(rest[0], Tree):
        return _Path(relative, tokens), [(token, token) for token in _tokens(rest[0])]
    if len(tokens) == 1:
        problem = f"nothing is imported from the grammar {str(tokens[0])!r}; name a symbol of it"
        raise source.error(GrammarSyntaxError, problem, tokens[0])
    alias = rest[0] if rest else tokens[-1]
    assert isinstance(alias, Token)
    return _Path(relative, tokens[:-1]), [(tokens[-1], alias)]


def _bring_in(module: Module, imported: Module, name: Token, alias: Token, prefix: str) -> None:
    symbol = imported.scope.get(str(name))
    if symbol is None:
        problem = f"{str(name)!r} is not defined in the imported grammar {imported.source.file}"
        raise module.source.error(UndefinedSymbolError, problem, name)
    if name.type != alias.type:
        problem = (
            f"{str(name)!r} cannot be called {str(alias)!r}: rules are lower case, "
            f"terminals upper case"
        )
        raise module.source.error(GrammarSyntaxError, problem, alias)
    if module.scope.setdefault(str(alias), symbol) is not symbol:
        problem = f"{str(alias)!r} is imported twice, from two places; rename one by `-> name`"
        raise module.source.error(GrammarSyntaxError, problem, alias)
    symbol.name = prefix + str(alias)


def _take_statement(module: Module, statement: Node, prefix: str) -> list[Body]:
    """Enter one statement into the module; return the terminal bodies it brings."""
    if statement.data in ("rule", "term"):
        return _define(module, _definition(module, statement), prefix)
    if statement.data == "override":
        return _override(module, _definition(module, _only_tree(statement)))
    if statement.data == "extend":
        return _extend(module, _definition(module, _only_tree(statement)))
    if statement.data == "ignore":
        body = Body(_only_tree(statement), module)
        module.ignored.append(body)
        return [body]
    if statement.data == "declare":
        _declare(module, statement, prefix)
    return []


def _only_tree(statement: Node) -> Node:
    tree = statement.children[0]
    assert isinstance(tree, Tree)
    return tree


def _definition(module: Module, statement: Node) -> Definition:
    """Return the definition that a `rule` or `term` statement writes."""
    is_terminal = statement.data == "term"
    name = next(t for t in _tokens(statement) if t.type in ("RULE", "TERMINAL"))
    priority = _priority(module, statement) if is_terminal else 0
    params: tuple[Token, ...] = ()
    for node in statement.find_data("template_params"):
        params = tuple(_tokens(node))
    for i, param in enumerate(params):
        if param in params[:i]:
            problem = f"the template {str(name)!r} has two parameters {str(param)!r}"
            raise module.source.error(GrammarSyntaxError, problem, param)
    tree = statement.children[-1]
    assert isinstance(tree, Tree)
    return Definition(
        name, is_terminal, tuple(map(str, params)), priority, module.source, [Body(tree, module)]
    )


def _priority(module: Module, term: Node) -> int:
    number = term.children[1]
    if not isinstance(number, Token):
        return 0
    if len(number) > MAX_PRIORITY_DIGITS:
        problem = f"a priority has at most {MAX_PRIORITY_DIGITS} digits"
        raise module.source.error(GrammarLimitError, problem, number)
    return int(number)


def _kind(definition: Definition) -> str:
    return "terminal" if definition.is_terminal else "rule"


def _terminal_bodies(definition: Definition) -> list[Body]:
    return definition.bodies if definition.is_terminal else []


def _define(module: Module, definition: Definition, prefix: str) -> list[Body]:
    name = str(definition.name)
    if name in module.scope:
        problem = (
            f"the {_kind(definition)} {name!r} is defined more than once; "
            f"join the definitions by `|`, or write %override or %extend"
        )
        raise module.source.error(GrammarSyntaxError, problem, definition.name)
    module.scope[name] = Symbol(prefix + name, definition)
    return _terminal_bodies(definition)


def _existing(module: Module, definition: Definition, verb: str) -> Symbol:
    symbol = module.scope.get(str(definition.name))
    if symbol is None:
        problem = (
            f"{verb} of the {_kind(definition)} {str(definition.name)!r}, "
            f"which is not defined before; define or import it first"
        )
        raise module.source.error(UndefinedSymbolError, problem, definition.name)
    return symbol


def _override(module: Module, definition: Definition) -> list[Body]:
    _existing(module, definition, "%override").definition = definition
    return _terminal_bodies(definition)


def _extend(module: Module, definition: Definition) -> list[Body]:
    base = _existing(module, definition, "%extend").definition
    if base.params != definition.params:
        problem = f"%extend of {str(definition.name)!r} with other template parameters"
        raise module.source.error(GrammarSyntaxError, problem, definition.name)
    base.bodies.extend(definition.bodies)
    return _terminal_bodies(definition)


def _directives(source: Source) -> Directives:
    try:
        directives = read_directives(source.text)
    except DirectiveError as error:
        raise source.error(GrammarSyntaxError, error.problem, error.position) from None
    if source.file is not None and directives != Directives():
        problem = "a %reserve or %layout counts in the importing grammar only; write it there"
        raise source.error(GrammarSyntaxError, problem, None)
    return directives


def _declare(module: Module, statement: Node, prefix: str) -> None:
    for node in statement.children:
        assert isinstance(node, Tree)
        token = name_token(node)
        if module.source.file is None and str(token) not in module.directives.made_by_layout:
            raise module.source.error(GrammarError, declared_problem(token), token)
        is_terminal = token.type == "TERMINAL"
        definition = Definition(token, is_terminal, (), 0, module.source, [])
        module.scope.setdefault(str(token), Symbol(prefix + str(token), definition))


def declared_problem(name: str) -> str:
    """Return why a symbol that is only declared is refused."""
    return f"{str(name)!r} is only declared and so has no pattern; define it instead of %declare"


def _bind_terminals(body: Body) -> None:
    """Fix what the terminal names in a terminal's body stand for."""
    for node in nodes_in_order(body.tree, "terminal", "nonterminal", "alias"):
        if node.data == "alias":
            problem = "an alias `->` names a rule's alternative; terminals cannot have one"
            alias = node.children[1]
            assert isinstance(alias, Tree)
            raise body.module.source.error(GrammarSyntaxError, problem, name_token(alias))
        token = name_token(node)
        if token.type == "RULE":
            problem = f"the rule {str(token)!r} is used inside a terminal; use terminals only"
            raise body.module.source.error(GrammarSyntaxError, problem, token)
        body.bound[str(token)] = body.module.lookup(token).definition


# --- text → Lark's tree ---------------------------------------------------------------


def parse(source: Source) -> Node:
    """Return Lark's tree of a grammar text, its tokens with their places.

    Raises:
        GrammarSyntaxError: the text is not of the Lark grammar language.
        GrammarLimitError: it passes one of the stated bounds.
    """
    _check_size(source)
    _check_delimiters(source)
    text = hide_directives(source.text)
    try:
        return lark_grammar_parser().parse(text + "\n", "start")  # type: ignore[no-untyped-call, no-any-return]
    except UnexpectedInput as error:
        raise _syntax_error(source, error) from None


def _check_size(source: Source) -> None:
    text = source.text
    if len(text) > MAX_TEXT:
        problem = f"the grammar has {len(text)} characters; at most {MAX_TEXT} are read"
        raise source.error(GrammarLimitError, problem, None)
    surrogate = re.search("[\ud800-\udfff]", text)
    if surrogate:
        problem = f"{surrogate.group()!r} is no character of Unicode text"
        raise source.error(GrammarSyntaxError, problem, surrogate.start())
    blank = re.search(rf"\s{{{MAX_BLANK + 1}}}", text)
    if blank:
        problem = f"more than {MAX_BLANK} white-space characters in a row"
        raise source.error(GrammarLimitError, problem, blank.start())


# Each alternative is deterministic, so the scan is linear. Lark's own patterns for strings
# and regular expressions take exponential time where the closing delimiter is missing.
_PIECES = re.compile(
    r"""(?P<comment>//[^\n]*|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\[^\n])*")
      | (?P<regexp>/(?:[^/\\]|\\[\s\S])*/)
      | (?P<open>[(\[{])
      | (?P<close>[)\]}])
      | (?P<unclosed>["/])
    """,
    re.VERBOSE,
)


def _check_delimiters(source: Source) -> None:
    depth = 0
    for piece in _PIECES.finditer(source.text):
        if piece.lastgroup == "unclosed":
            kind = "string" if piece.group() == '"' else "regular expression"
            problem = f"the {kind} that starts here is never closed by {piece.group()}"
            raise source.error(GrammarSyntaxError, problem, piece.start())
        depth += (piece.lastgroup == "open") - (piece.lastgroup == "close")
        if depth > MAX_NESTING:
            problem = f"more than {MAX_NESTING} brackets are open at once; name the inner parts"
            raise source.error(GrammarLimitError, problem, piece.start())


_WORDS = {
    "_LPAR": "'('",
    "_RPAR": "')'",
    "_LBRA": "'['",
    "_RBRA": "']'",
    "_LBRACE": "'{'",
    "_RBRACE": "'}'",
    "OP": "'?', '*' or '+'",
    "_COLON": "':'",
    "_COMMA": "','",
    "_OR": "'|'",
    "_DOT": "'.'",
    "_DOTDOT": "'..'",
    "TILDE": "'~'",
    "RULE_MODIFIERS": "'?' or '!' before a rule",
    "RULE": "a rule name",
    "TERMINAL": "a terminal name",
    "STRING": "a string",
    "REGEXP": "a regular expression",
    "_NL": "the end of the line",
    "_NL_OR": "'|' on the next line",
    "_TO": "'->'",
    "_IGNORE": "%ignore",
    "_OVERRIDE": "%override",
    "_DECLARE": "%declare",
    "_EXTEND": "%extend",
    "_IMPORT": "%import",
    "NUMBER": "a number",
    "$END": "the end of the grammar",
}


def _syntax_error(source: Source, error: UnexpectedInput) -> GrammarSyntaxError:
    if isinstance(error, UnexpectedCharacters):
        index = error.pos_in_stream
        assert isinstance(index, int)
        problem = f"the character {source.text[index : index + 1]!r} cannot stand here"
        return source.error(GrammarSyntaxError, problem + _name_hint(source.text, index), index)
    assert isinstance(error, UnexpectedToken)
    token = error.token
    found = "the end of the grammar" if token.type == "$END" else repr(str(token))
    if token.type in ("_NL", "_NL_OR"):
        found = "the end of the line"
    problem = f"unexpected {found}; expected {_list_words(error.accepts or error.expected)}"
    if token.start_pos is not None:
        problem += _name_hint(source.text, token.start_pos)
    return source.error(GrammarSyntaxError, problem, token if token.line else len(source.text))


def _name_hint(text: str, index: int) -> str:
    """Return the rule for names if a name seems to be cut in two at `index`."""
    if re.fullmatch(r"\w\w", text[max(index - 1, 0) : index + 1]):
        return "; names are all lower case (rules) or all upper case (terminals)"
    return ""


def _list_words(names: Sequence[str] | set[str]) -> str:
    words = [_WORDS.get(name, name) for name in _WORDS if name in names]
    words = [word for word, _ in groupby(words)]
    if len(words) > 1:
        return f"{', '.join(words[:-1])} or {words[-1]}"
    return words[0] if words else "something else"
