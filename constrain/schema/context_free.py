"""A schema as a plain context-free `Grammar`: every frame a nonterminal, every lexeme a terminal.

    frame ─► production `frame → lexeme frames…`, the topmost frame first

What is made lexeme by lexeme elsewhere is made here at once, so it must be finite and small. The
terminals are automata of the lexicon: from where a frame's lexemes begin to where they are one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from constrain.automata.dfa import START, ByteDFA, canonical, minimise
from constrain.automata.lexer import DEAD
from constrain.errors import GrammarLimitError, SchemaError
from constrain.grammar.rules import NEVER, Grammar, Production, Terminal
from constrain.schema.frames import Frames
from constrain.schema.grammar import SchemaGrammar
from constrain.schema.lexicon import Lexicon

MAX_FRAMES = 500
"""Frames of a schema that is written as productions."""

MAX_PRODUCTIONS = 20_000
"""Productions of such a grammar."""

MAX_STATES = 30_000
"""States of the lexicon that its lexemes take."""

ALL_BYTES = np.ones(256, np.bool_)


def as_grammar(schema: SchemaGrammar) -> Grammar:
    """See `SchemaGrammar.as_grammar`."""
    frames = Frames(schema.costs, schema.costs.space.root, schema.style, Lexicon())
    if frames.tracks:
        raise SchemaError(
            "no context-free grammar says that items or keys differ; compile the schema itself",
            pointer="#",
            keyword="uniqueItems",
        )
    terminals = _Terminals(frames.lexicon)
    productions = [Production("text", (_name(frames.first), _name(frames.end)))]
    productions.append(Production(_name(frames.end), ()))
    reached = dict.fromkeys((frames.first, frames.end))
    for frame in (queue := list(reached)):
        start = frames.start(frame)
        for winner in sorted(frames.lexicon.labels(start)) if start != DEAD else ():
            for result in frames.step(frame, winner):
                rhs = (terminals.name(start, winner), *map(_name, reversed(result)))
                productions.append(Production(_name(frame), rhs))
                queue += [one for one in result if one not in reached]
                reached.update(dict.fromkeys(result))
        is_small = len(reached) <= MAX_FRAMES and frames.lexicon.n_states <= MAX_STATES
        if not is_small or len(productions) > MAX_PRODUCTIONS:
            raise GrammarLimitError(
                f"the schema takes more than {MAX_FRAMES} nonterminals, {MAX_PRODUCTIONS} "
                f"productions or {MAX_STATES} states of lexemes; compile the schema itself, "
                f"which makes them as they are met"
            )
    return Grammar(
        terminals.all(),
        tuple(dict.fromkeys(productions)),
        "text",
        lexing="any",
        ties="all",
        name=schema.name,
    )


def _name(frame: int) -> str:
    return f"f{frame}"


class _Terminals:
    """Terminals by their language."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._found: dict[str, Terminal] = {}
        self._names: dict[tuple[int, int], str] = {}
        self._tables: dict[int, tuple[list[int], NDArray[np.int32]]] = {}

    def name(self, start: int, winner: int) -> str:
        """The terminal of the lexemes that begin in a state of the lexicon and are a winner."""
        key = (start, winner)
        if key not in self._names:
            dfa = self._automaton(start, winner)
            terminal = Terminal(f"T{len(self._found)}", NEVER, automaton=dfa)
            self._names[key] = self._found.setdefault(dfa.content_hash, terminal).name
        return self._names[key]

    def all(self) -> tuple[Terminal, ...]:
        """Those that were named."""
        return tuple(self._found.values())

    def _automaton(self, start: int, winner: int) -> ByteDFA:
        if start not in self._tables:
            levels = self._lexicon.levels(start, ALL_BYTES)
            states = [DEAD, *(state for level in levels for state in level)]
            number = np.zeros(self._lexicon.n_states, np.int32)
            number[states] = np.arange(len(states))
            self._tables[start] = states, number[self._lexicon.next[states]]
        states, table = self._tables[start]
        assert states[START] == start
        accepting = np.array([winner in self._lexicon.winners[s] for s in states], np.bool_)
        return canonical(*minimise(table, accepting))
