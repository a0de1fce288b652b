"""Plausible mistakes in the engine, each a replacement of one line of source.

A mutant is put into the running program by giving the function the mutated code, so that
everyone who holds the function gets it, and taken out again.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import getsource
from typing import Any

from constrain.automata.adjacency import Adjacency
from constrain.automata.lexer import Lexer
from constrain.decode.masker import Masker
from constrain.decode.matcher import Matcher
from constrain.decode.stacks import Parser
from constrain.masks.kernels import walk


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
        if original is self.function:
            sound = original.__code__
            original.__code__ = mutated.__code__
            try:
                yield
            finally:
                original.__code__ = sound
            return
        users = [  # a compiled kernel's code cannot change: its users get another function
            module
            for module in list(sys.modules.values())
            if getattr(module, "__dict__", {}).get(original.__name__) is self.function
        ]
        try:
            for module in users:
                setattr(module, original.__name__, mutated)
            yield
        finally:
            for module in users:
                setattr(module, original.__name__, self.function)


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
        "a token may run past the end of two lexemes at most",
        Masker._crossings,
        "todo.extend((after, further) for further in cuts)",
        "pass",
    ),
    Mutant(
        "the last of several ways to cut a token is lost",
        Masker._compute,
        "for cut in stored.cuts:",
        "for cut in stored.cuts[:1]:",
    ),
    Mutant(
        "a dead byte skips one node of the trie and not its subtree",
        walk,
        "node = trie.end[node]\n                continue",
        "node += 1\n                continue",
    ),
    Mutant(
        "a text may end where its last lexeme may",
        Matcher._is_accepting,
        "machine.accepts(thread)",
        "bool(machine.lexer.winners[thread[1]])",
    ),
)
