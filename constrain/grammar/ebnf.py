"""Rules as written → BNF: templates, groups, options and repetitions become productions.

`bnf` writes groups, options and repetitions. Aliases, `?rule`, `!rule` and the priorities of
rules shape Lark's trees and not the language: they are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lark import Token, Tree

from constrain.errors import GrammarError, GrammarLimitError, GrammarSyntaxError
from constrain.grammar.bnf import MAX_SHOWN, ProductionWriter, Sequence
from constrain.grammar.larkfile import (
    Body,
    Definition,
    Module,
    Node,
    Source,
    Symbol,
    declared_problem,
    name_token,
    nodes_in_order,
)
from constrain.grammar.pattern import (
    PatternWriter,
    Piece,
    check_not_empty,
    leaf,
    repeat_bounds,
    shortest_where_lazy,
)
from constrain.grammar.rules import Production, Terminal

MAX_TEMPLATE_NAME = 2000  # characters of `template{arguments}`, nested ones included

Argument = str | Symbol  # a symbol of the BNF, or a template to be applied


@dataclass(frozen=True)
class _Scope:
    """Where an expression stands: its rule, its module, its template's arguments."""

    rule: str
    module: Module
    arguments: Mapping[str, Argument]

    @property
    def source(self) -> Source:
        return self.module.source


def reachable_symbols(module: Module) -> list[Symbol]:
    """Return the symbols of a module and of the imported rules it uses, names checked.

    Raises:
        UndefinedSymbolError: a rule uses a name that nothing defines.
        GrammarSyntaxError: a template is used with the wrong number of arguments.
    """
    found: dict[Symbol, None] = {}
    waiting = list(reversed(module.scope.values()))
    while waiting:
        symbol = waiting.pop()
        if symbol in found:
            continue
        found[symbol] = None
        if not symbol.definition.is_terminal:
            for body in symbol.definition.bodies:
                waiting += _used_symbols(body, symbol.definition.params)
    return list(found)


def _used_symbols(body: Body, params: tuple[str, ...]) -> list[Symbol]:
    used: list[Symbol] = []
    for node in nodes_in_order(body.tree, "terminal", "nonterminal", "template_usage", "alias"):
        if node.data == "template_usage":
            _check_n_arguments(node, body, params)
        elif node.data in ("terminal", "nonterminal") and name_token(node) not in params:
            used.append(body.module.lookup(name_token(node)))
    return used


def _check_n_arguments(node: Node, body: Body, params: tuple[str, ...]) -> None:
    name = name_token(_trees(node)[0])
    if name in params:
        return
    n_wanted = len(body.module.lookup(name).definition.params)
    n_given = len(node.children) - 1
    if n_given != n_wanted:
        problem = f"the template {str(name)!r} takes {n_wanted} arguments, not {n_given}"
        raise body.module.source.error(GrammarSyntaxError, problem, name)


def _trees(node: Node) -> list[Node]:
    return [child for child in node.children if isinstance(child, Tree)]


class BnfWriter:
    """Writes the productions and terminals that are reachable from a start rule.

    Args:
        module: the grammar as written.
    """

    def __init__(self, module: Module) -> None:
        self._module = module
        self._patterns = PatternWriter()
        self._made_by_layout = module.directives.made_by_layout
        self._terminals: dict[str, Terminal] = {}
        self._rules = ProductionWriter()
        self._anonymous: dict[Piece, str] = {}
        self._named: dict[Piece, Symbol] = {}
        self._waiting: list[tuple[str, Definition, Mapping[str, Argument]]] = []
        # A literal in a rule is the terminal that defines the same pattern, as in Lark.
        for symbol in reachable_symbols(module):
            if symbol.definition.is_terminal and symbol.name not in self._made_by_layout:
                self._named[self._patterns.definition(symbol.definition)] = symbol

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """The terminals used so far, in order of their first use."""
        return tuple(self._terminals.values())

    @property
    def productions(self) -> tuple[Production, ...]:
        """The productions written so far."""
        return self._rules.productions

    def ignore(self, body: Body) -> str:
        """Return the name of the terminal that an `%ignore` adds."""
        at = next(body.tree.scan_values(lambda value: isinstance(value, Token)), None)
        if at is None:
            problem = "%ignore names nothing; name a terminal or a pattern"
            raise body.module.source.error(GrammarSyntaxError, problem, None)
        if len(body.tree.children) == 1 and at.type == "TERMINAL":
            node = _trees(body.tree)[0]
            while len(node.children) == 1 and node.data != "terminal":
                node = _trees(node)[0]
            if node.data == "terminal":
                return self._named_terminal(body.module.lookup(at))
        piece = self._patterns.ignored(body, at)
        return self._literal_terminal(piece, f"/{piece.pattern}/")

    def pattern(self, name: str) -> str | None:
        """The pattern of a terminal of that name, if there is one."""
        symbol = self._module.scope.get(name)
        if symbol is None or not symbol.definition.is_terminal:
            return None
        return self._patterns.terminal(symbol.definition).pattern

    def use(self, name: str) -> bool:
        """Write the terminal of a name that a directive speaks of; whether there is one."""
        symbol = self._module.scope.get(name)
        if symbol is None or not symbol.definition.is_terminal:
            return False
        self._named_terminal(symbol)
        return True

    def write(self, start: Symbol) -> None:
        """Write everything that is reachable from the start rule."""
        self._ask_for(start.name, start.definition, {})
        while self._waiting:
            name, definition, arguments = self._waiting.pop()
            for body in definition.bodies:
                scope = _Scope(name, body.module, arguments)
                for sequence in self._expansions(body.tree, scope):
                    self._rules.add(name, sequence)

    def _ask_for(
        self, name: str, definition: Definition, arguments: Mapping[str, Argument]
    ) -> None:
        if self._rules.declare(name):
            self._waiting.append((name, definition, arguments))

    # --- expressions → sequences of symbols -------------------------------------------

    def _expansions(self, tree: Node, scope: _Scope) -> list[Sequence]:
        """Return the alternatives of an `expansions` tree."""
        found: dict[Sequence, None] = {}
        for child in _trees(tree):
            node = _trees(child)[0] if child.data == "alias" else child
            if node.data == "expansions":
                found.update(dict.fromkeys(self._expansions(node, scope)))
            else:
                parts = [self._item(part, scope) for part in _trees(node)]
                found.setdefault(tuple(symbol for part in parts for symbol in part))
        return list(found)

    def _item(self, node: Node, scope: _Scope) -> Sequence:
        if node.data == "value":
            return (self._value(_trees(node)[0], scope),)
        if node.data == "expansions":
            return self._rules.group(self._expansions(node, scope), scope.rule)
        if node.data == "maybe":
            return self._rules.optional(self._expansions(_trees(node)[0], scope), scope.rule)
        assert node.data == "expr", node.data
        inner = _trees(node)[0]
        operator = str(node.children[1])
        if operator == "~":
            low, high = repeat_bounds(node, scope.source)
            return self._rules.repeat(self._item(inner, scope), low, high, scope.rule)
        if inner.data == "expansions":
            alternatives = self._expansions(inner, scope)
        else:
            alternatives = [self._item(inner, scope)]
        if operator == "?":
            return self._rules.optional(alternatives, scope.rule)
        return self._rules.loop(alternatives, operator, scope.rule)

    # --- values → symbols -------------------------------------------------------------

    def _value(self, node: Node, scope: _Scope) -> str:
        value = self._argument(node, scope)
        if isinstance(value, str):
            return value
        token = next(node.scan_values(lambda leaf: isinstance(leaf, Token)))
        n = len(value.definition.params)
        problem = f"the template {value.name!r} needs {n} arguments: {value.name}{{...}}"
        raise scope.source.error(GrammarSyntaxError, problem, token)

    def _argument(self, node: Node, scope: _Scope) -> Argument:
        if node.data == "template_usage":
            return self._instance(node, scope)
        if node.data not in ("terminal", "nonterminal"):
            return self._literal(node, scope)
        token = name_token(node)
        if token in scope.arguments:
            return scope.arguments[str(token)]
        symbol = scope.module.lookup(token)
        if symbol.definition.is_terminal:
            return self._named_terminal(symbol)
        if symbol.definition.params:
            return symbol
        _refuse_declared(symbol, token, scope)
        self._ask_for(symbol.name, symbol.definition, {})
        return symbol.name

    def _instance(self, node: Node, scope: _Scope) -> str:
        """Return the nonterminal of a template applied to its arguments."""
        name_node, *argument_nodes = _trees(node)
        token = name_token(name_node)
        template = scope.arguments.get(str(token)) or scope.module.lookup(token)
        if isinstance(template, str) or len(template.definition.params) != len(argument_nodes):
            problem = f"{str(token)!r} is no template of {len(argument_nodes)} arguments here"
            raise scope.source.error(GrammarSyntaxError, problem, token)
        arguments = [
            self._argument(_trees(argument)[0] if argument.data == "value" else argument, scope)
            for argument in argument_nodes
        ]
        shown = [argument if isinstance(argument, str) else argument.name for argument in arguments]
        name = f"{template.name}{{{', '.join(shown)}}}"
        if len(name) > MAX_TEMPLATE_NAME:
            problem = (
                f"the template {template.name!r} grows past {MAX_TEMPLATE_NAME} characters of "
                f"arguments; does it apply itself to ever larger ones?"
            )
            raise scope.source.error(GrammarLimitError, problem, token)
        bound = dict(zip(template.definition.params, arguments, strict=True))
        self._ask_for(name, template.definition, bound)
        return name

    def _named_terminal(self, symbol: Symbol) -> str:
        if symbol.name in self._made_by_layout:
            pattern = self._made_by_layout[symbol.name]
            self._terminals[symbol.name] = Terminal(symbol.name, pattern)
        elif symbol.name not in self._terminals:
            piece = self._patterns.terminal(symbol.definition)
            self._terminals[symbol.name] = Terminal(
                symbol.name, piece.pattern, symbol.definition.priority, piece.is_literal
            )
        return symbol.name

    def _literal(self, node: Node, scope: _Scope) -> str:
        piece = leaf(node, scope.source)
        tokens = [str(child) for child in node.children]
        at = node.children[0]
        assert isinstance(at, Token)
        if piece not in self._named and not piece.is_literal:
            piece = shortest_where_lazy(piece, scope.source, at)
            check_not_empty(piece, scope.source, at)
        return self._literal_terminal(piece, "..".join(tokens))

    def _literal_terminal(self, piece: Piece, shown: str) -> str:
        if piece in self._named:
            return self._named_terminal(self._named[piece])
        if piece not in self._anonymous:
            if len(shown) > MAX_SHOWN or shown in self._terminals:
                shown = f"{shown[:MAX_SHOWN]}#{len(self._anonymous)}"
            self._anonymous[piece] = shown
            self._terminals[shown] = Terminal(shown, piece.pattern, 0, piece.is_literal)
        return self._anonymous[piece]


def _refuse_declared(symbol: Symbol, at: Token, scope: _Scope) -> None:
    if not symbol.definition.bodies:
        raise scope.source.error(GrammarError, declared_problem(symbol.name), at)
