"""Plausible mistakes in the engine, each a replacement of one line of source.

A mutant is put into the running program by giving the function the mutated code, so that
everyone who holds the function gets it, and taken out again. Kernels then run as Python.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from inspect import getsource
from typing import Any

from constrain.automata.adjacency import Adjacency
from constrain.automata.lexer import Lexer
from constrain.decode.crossing import Crossing
from constrain.decode.engine import Engine
from constrain.decode.pushdown import PushdownParser
from constrain.decode.stacks import Parser
from constrain.masks.cross import _end, _follow, _goes_on, _meet, _put_in_turn, cross
from constrain.masks.kernels import walk
from constrain.masks.rows import Walker
from constrain.masks.trie import _fill
from constrain.pools import SchemaEngine
from constrain.schema import algebra, items, keys, steps
from constrain.schema.keywords import _Reader
from constrain.schema.lexicon import Lexicon
from tests.interpreted import interpreted


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes:
        name: what is wrong, in words.
        function: a function, a method or a numba kernel.
        old: stands once in its source.
        new: stands there in the mutant.
    """

    name: str
    function: Callable[..., Any]
    old: str
    new: str

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The program with the mistake in it."""
        original: Any = getattr(self.function, "py_func", self.function)
        mutated = _mutated(original, self.old, self.new)
        sound = original.__code__
        original.__code__ = mutated.__code__
        try:
            # What is compiled cannot change, nor those into which it was inlined.
            with nullcontext() if original is self.function else interpreted():
                yield
        finally:
            original.__code__ = sound


def _mutated(function: Any, old: str, new: str) -> Any:
    source = textwrap.dedent(getsource(function))
    assert source.count(old) == 1, f"{function.__qualname__} has not exactly one {old!r}"
    source = "\n".join(  # a kernel's decorator would compile it
        line for line in source.replace(old, new).splitlines() if not line.startswith("@")
    )
    found: dict[str, Any] = {}
    code = compile("from __future__ import annotations\n" + source, "<mutant>", "exec")
    exec(code, function.__globals__, found)
    return found[function.__name__]


MUTANTS = (
    Mutant(
        "longest match is forgotten at the end of a lexeme",
        Lexer.residue,
        "if not self.longest:",
        "if True:",
    ),
    Mutant(
        "a shadow that nothing of the lexeme meets is dropped also where the lexeme may end",
        Lexer.intern,
        "if shadow and not self.table.accepting[list(live)].any():",
        "if shadow:",
    ),
    Mutant(
        "ties are not decided",
        Lexer._winners,
        "if self._ranks[t] == best",
        "if self._ranks[t] <= best",
    ),
    Mutant(
        "a live lexer state is taken for one that can be finished",
        Adjacency.sure,
        "self._sure = np.zeros(lexer.n_states, np.bool_)",
        "self._sure = lexer.live[: lexer.n_states].copy()",
    ),
    Mutant(
        "a look below the cut of a stack goes unnoticed",
        Parser.pop,
        "raise StackUnderflow\n    return",
        "pass\n    return",
    ),
    Mutant(
        "an ignored lexeme is shifted only, and not skipped",
        Parser._take,
        "if terminal in self._ignored_on(edge[0])",
        "if False",
    ),
    Mutant(
        "shadows are one if they forbid the same next bytes, whatever comes later",
        Lexer._alike,
        "None if is_forbidden else sets[i]",
        "None if is_forbidden else ()",
    ),
    Mutant(
        "a token may run past the end of two lexemes at most",
        _meet,
        "if way == UNKNOWN or not _goes_on",
        "if way == UNKNOWN or turn >= 0 or not _goes_on",
    ),
    Mutant(
        "the last of several ways to end a lexeme inside tokens is lost",
        Crossing.mark,
        "self._begin(MOVE, self._keys(stacks, forest), CUT_OFF, forest.root)",
        "self._begin(MOVE, self._keys(stacks, forest)[:1], CUT_OFF, forest.root[:1])",
    ),
    Mutant(
        "a thread is walked once a turn, wherever in the tokens it begins",
        _follow,
        "| int(node)",
        "| 0",
    ),
    Mutant(
        "what was met in an earlier turn is not walked again",
        _put_in_turn,
        "while seen.value[place] == turn:",
        "while seen.value[place] != UNKNOWN:",
    ),
    Mutant(
        "a token that leaves nothing viable is allowed behind a lexeme",
        _end,
        "elif verdict == 1:",
        "else:",
    ),
    Mutant(
        "the last byte of a token begins no lexeme",
        _goes_on,
        "return bool(child < trie.end[node])",
        "return bool(child + 1 < trie.end[node])",
    ),
    Mutant(
        "a byte that ends one of the shadows may not follow",
        Walker._way,
        "table.accepting[table.next[list(way[1])]].any(axis=0)",
        "(table.next[list(way[1])] != 0).any(axis=0)",
    ),
    Mutant(
        "what lies under a cut is one of several sets of stacks",
        Parser.beneath,
        "if len(found) == 1 else None",
        "if found else None",
    ),
    Mutant(
        "a dead byte skips the node behind its subtree too",
        walk,
        "node = trie.end[node]\n            continue",
        "node = trie.end[node] + 1\n            continue",
    ),
    Mutant(
        "a byte that is dead behind a lexeme skips the node behind its subtree too",
        cross,
        "node = trie.end[node]\n                continue",
        "node = trie.end[node] + 1\n                continue",
    ),
    Mutant(
        "a trie before another has no end",
        _fill,
        "trie.end[path[0]] = n_nodes\n",
        "pass\n",
    ),
    Mutant(
        "a text may end where its last lexeme may",
        Engine.is_accepting,
        "self.machine.accepts(thread)",
        "bool(self.machine.lexer.winners[thread[1]])",
    ),
)

SCHEMA_MUTANTS = (
    Mutant(
        "a frame beside others takes lexemes that are of another",
        PushdownParser.of_frame,
        "if part == start and own in lexicon.labels(start):",
        "if part == start:",
    ),
    Mutant(
        "a lexeme that several automata read is of all of them",
        Lexicon._joint,
        "found.add(winner if is_clear else self.wrapped(start, winner))",
        "found.add(winner)",
    ),
    Mutant(
        "in a long array the items that must be there are forgotten",
        items.clipped,
        "max(1, len(array.prefix), array.least, *starts)",
        "max(1, len(array.prefix), *starts)",
    ),
    Mutant(
        "an item that `contains` wants may be counted as another",
        items.items,
        "(space.conjunction(own, space.complement(wanted)), 0)",
        "(own, 0)",
    ),
    Mutant(
        "an object may end before it has members enough",
        steps.may_close_object,
        "frame.n_members >= shape.least",
        "frame.n_members >= shape.least - 1",
    ),
    Mutant(
        "a key that must not come is one of the others",
        keys._chain,
        "row[QUOTE] = DEAD if winner == REFUSED else _colon(lexicon, winner, colon)",
        "row[QUOTE] = row[QUOTE] if winner == REFUSED else _colon(lexicon, winner, colon)",
    ),
    Mutant(
        "a branch of oneOf excludes those behind it only",
        _Reader._one_of,
        "if j != i and not",
        "if j > i and not",
    ),
    Mutant(
        "of two bounds on the number of items the looser holds",
        algebra.arrays_of_both,
        "least=max(one.least, other.least)",
        "least=min(one.least, other.least)",
    ),
    Mutant(
        "tokens of several items are not read one by one",
        SchemaEngine.row,
        "if wrong:",
        "if False:",
    ),
)
