"""A text of Lark's grammar language → `Grammar`.

`larkfile` reads the text into definitions, `pattern` turns its terminals into regular
expressions, `ebnf` its rules into productions. What this library cannot mean is refused here
or, where only an automaton can tell, by the compiler.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from constrain.errors import GrammarLimitError, GrammarSyntaxError, UndefinedSymbolError
from constrain.grammar.ebnf import BnfWriter
from constrain.grammar.larkfile import Module, Symbol, read_module
from constrain.grammar.literal import escape
from constrain.grammar.rules import Grammar, Lexing, Terminal, Ties


def from_lark(
    text: str,
    *,
    start: str = "start",
    lexing: Lexing = "longest",
    ties: Ties = "priority",
    base_path: Path | None = None,
    name: str = "grammar",
) -> Grammar:
    """Return the grammar that a text of the Lark grammar language defines.

    Args:
        text: at most 1 MiB of characters.
        start: the rule that derives a whole text.
        lexing: where a lexeme may end; see `Grammar`.
        ties: which of several equally long matches count; see `Grammar`.
        base_path: the folder that relative imports (`%import .name`) start from.
        name: for messages.

    Raises:
        GrammarError: of the kind that fits, with line, column and a caret.
    """
    try:
        module = read_module(text, base_path)
        return _write_grammar(module, start, lexing, ties, name)
    except RecursionError:
        problem = "the definitions are nested too deeply; split them"
        raise GrammarLimitError(problem) from None


def _write_grammar(module: Module, start: str, lexing: Lexing, ties: Ties, name: str) -> Grammar:
    writer = BnfWriter(module)
    writer.write(_start_symbol(module, start))
    ignored = tuple(dict.fromkeys(writer.ignore(body) for body in module.ignored))
    grammar = Grammar(
        terminals=writer.terminals,
        productions=writer.productions,
        start=module.scope[start].name,
        ignore=ignored,
        lexing=lexing,
        ties=ties,
        guards=module.directives.guards,
        layout=module.directives.layout,
        name=name,
    )
    for terminal in (*grammar.layout_names, *grammar.guards):
        if not writer.use(terminal):
            problem = f"a directive names {terminal!r}, which is no terminal; define it"
            at = module.directives.position
            raise module.source.error(UndefinedSymbolError, problem, at)
    terminals = _without_refused(module, writer, _without_reserved(module, writer.terminals))
    return _part_ignored_from_used(replace(grammar, terminals=terminals)).check()


def _without_refused(
    module: Module, writer: BnfWriter, terminals: tuple[Terminal, ...]
) -> tuple[Terminal, ...]:
    """Give the terminals that `%refuse` names what they must not begin."""
    patterns: dict[str, list[str]] = {}
    for one in module.directives.refused:
        pattern = writer.pattern(one.other)
        if pattern is None or one.terminal not in {terminal.name for terminal in terminals}:
            problem = f"%refuse names {one.terminal!r} and {one.other!r}; define both"
            raise module.source.error(UndefinedSymbolError, problem, one.position)
        patterns.setdefault(one.terminal, []).append(f"(?:{pattern})")
    return tuple(replace(t, refused="|".join(patterns.get(t.name, ()))) for t in terminals)


def _without_reserved(module: Module, terminals: tuple[Terminal, ...]) -> tuple[Terminal, ...]:
    """Take the words of `%reserve` from the terminals they name."""
    words: dict[str, list[str]] = {}
    for word in module.directives.reserved:
        if word.terminal not in {terminal.name for terminal in terminals}:
            problem = f"%reserve names {word.terminal!r}, which is no terminal of the rules"
            raise module.source.error(UndefinedSymbolError, problem, word.position)
        pattern = escape(word.text)
        words.setdefault(word.terminal, []).append(
            f"(?i:{pattern})" if word.ignores_case else pattern
        )
    return tuple(replace(t, reserved="|".join(words.get(t.name, ()))) for t in terminals)


def _part_ignored_from_used(grammar: Grammar) -> Grammar:
    """Give each ignored terminal that a rule uses as well a twin that is only ignored.

    The twins always tie, so that a lexeme of them may be either.
    """
    used = {symbol for production in grammar.productions for symbol in production.rhs}
    twins = {
        t.name: replace(t, name=f"%ignore {t.name}")
        for t in grammar.terminals
        if t.name in grammar.ignore and t.name in used
    }
    ignore = tuple(twins[name].name if name in twins else name for name in grammar.ignore)
    return replace(grammar, terminals=(*grammar.terminals, *twins.values()), ignore=ignore)


def _start_symbol(module: Module, start: str) -> Symbol:
    symbol = module.scope.get(start)
    if symbol is None:
        rules = [n for n, s in module.scope.items() if not s.definition.is_terminal]
        known = ", ".join(rules[:20]) or "none at all"
        problem = f"the start rule {start!r} is not defined; the grammar's rules are: {known}"
        raise module.source.error(UndefinedSymbolError, problem, _end_line(module))
    definition = symbol.definition
    if definition.is_terminal or definition.params:
        kind = "terminal" if definition.is_terminal else "template"
        problem = f"the start {start!r} is a {kind}; a grammar starts at a rule"
        raise definition.source.error(GrammarSyntaxError, problem, definition.name)
    return symbol


def _end_line(module: Module) -> int:
    return len(module.source.text)
