"""Grammars inside another one: a symbol of the outer grammar stands for whole texts of a part.

What a grammar ignores is ignored in its own texts only. So ignored terminals are written into
the productions: before each lexeme of the grammar that ignores them, and at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from constrain.errors import GrammarError, UndefinedSymbolError
from constrain.grammar.rules import Grammar, Production, Terminal


def compose(outer: Grammar, parts: Mapping[str, Grammar]) -> Grammar:
    """Return `outer` with whole texts of other grammars in the places of some symbols.

    By `lexing="any"` the texts are exactly those of the outer grammar with each place filled by
    a text of its part, whatever the part ignores included. By `lexing="longest"` the parts
    share one lexer, as the rules of one grammar do: a lexeme is the longest that any terminal
    matches which could stand there, across the seams too. So the last lexeme of a part goes
    on as long as it can, over what the outer grammar has behind it; where a part may end, the
    outer grammar's next terminals count for length and for ties beside the part's own. A text
    of a part is therefore read as it is alone only if no terminal that may follow it there is
    the beginning of, or longer than, what the part would read; delimiters that no terminal of
    the part matches give that.

    Args:
        outer: the whole; it is named after this one.
        parts: by a terminal of `outer`, the pattern of which then does not matter, or a symbol
            that its productions use and nobody defines. The part's symbols are named
            `name.symbol`.

    Raises:
        UndefinedSymbolError: a name is no such symbol.
        GrammarError: a layout or a guard, which count for whole texts, or the grammars'
            lexing or ties are not the same.
    """
    for name, part in (("the outer grammar", outer), *parts.items()):
        _check_supported(name, part, outer)
    for name in parts:
        _check_place(name, outer)
    own = replace(outer, terminals=tuple(t for t in outer.terminals if t.name not in parts))
    taken = {*own.terminal_names, *parts, *(s for p in own.productions for s in (p.lhs, *p.rhs))}
    start = _free("%start", taken)
    terminals, productions = _written_out(own, "", start, taken, frozenset(parts))
    for name, part in parts.items():
        prefix = f"{name}."
        while any(symbol.startswith(prefix) for symbol in taken):
            prefix += "."
        more_terminals, more_productions = _written_out(part, prefix, name, taken)
        terminals += more_terminals
        productions += more_productions
    return replace(
        outer, terminals=terminals, productions=productions, start=start, ignore=()
    ).check()


def _check_supported(name: str, grammar: Grammar, outer: Grammar) -> None:
    if grammar.layout is not None or grammar.guards:
        kind = "a layout" if grammar.layout is not None else "guards"
        raise GrammarError(
            f"{name} ({grammar.name}) has {kind}, which counts for a whole text and cannot be "
            f"limited to a part of one; compose grammars without"
        )
    if grammar.lexing != outer.lexing:
        raise GrammarError(
            f"{name} ({grammar.name}) has lexing={grammar.lexing!r}, and the outer grammar "
            f"{outer.lexing!r}; a text has one way to be cut: make them the same"
        )
    if grammar.ties != outer.ties and outer.lexing == "longest":
        raise GrammarError(
            f"{name} ({grammar.name}) has ties={grammar.ties!r}, and the outer grammar "
            f"{outer.ties!r}; make them the same"
        )


def _check_place(name: str, outer: Grammar) -> None:
    used = {symbol for production in outer.productions for symbol in production.rhs}
    if name not in used:
        problem = f"no rule of the outer grammar uses {name!r}; name a terminal that one uses"
        raise UndefinedSymbolError(problem)
    if name in outer.ignore or any(p.lhs == name for p in outer.productions):
        problem = (
            f"{name!r} is a rule of the outer grammar or ignored there, and so no place for a "
            f"part; name a terminal or a symbol that is not defined"
        )
        raise UndefinedSymbolError(problem)


def _written_out(
    grammar: Grammar, prefix: str, whole: str, taken: set[str], places: frozenset[str] = frozenset()
) -> tuple[tuple[Terminal, ...], tuple[Production, ...]]:
    """A grammar with its ignored terminals in its productions, and its symbols renamed.

    Args:
        grammar: what is written out.
        prefix: of the names of its symbols; no name in `taken` begins with it, if it is any.
        whole: the nonterminal that derives a text of it, ignored terminals at its end included.
        taken: names in use; grows.
        places: symbols before which ignored terminals may stand, beside its terminals.
    """
    terminals = tuple(replace(t, name=prefix + t.name) for t in grammar.terminals)
    lexemes = grammar.terminal_names | places
    taken |= {prefix + symbol for symbol in _symbols(grammar)}
    skip = (_free(f"{prefix}%ignored", taken),) if grammar.ignore else ()
    productions = [Production(whole, (prefix + grammar.start, *skip))]
    for name in skip:
        productions.append(Production(name, ()))
        productions += [Production(name, (name, prefix + one)) for one in grammar.ignore]
    for production in grammar.productions:
        rhs: tuple[str, ...] = ()
        for symbol in production.rhs:
            rhs += (*skip, prefix + symbol) if symbol in lexemes else (prefix + symbol,)
        productions.append(Production(prefix + production.lhs, rhs))
    return terminals, tuple(productions)


def _symbols(grammar: Grammar) -> Iterable[str]:
    return (*grammar.terminal_names, *(s for p in grammar.productions for s in (p.lhs, *p.rhs)))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    taken.add(name)
    return name
