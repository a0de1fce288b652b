"""The exactness tests notice each of several mistakes, put into the engine one at a time.

What is tried is the property of `test_exactness.py`, as it stands there, on its list of terminals
that run into each other and then on random grammars, the same ones each time.
"""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from constrain.grammar.rules import Grammar, Production, Terminal
from tests.mutants import MUTANTS, Mutant
from tests.strategies import Case, cases
from tests.test_exactness import RELATIVES, WALKS, check_masks, decided, sequence, standard

MAX_GRAMMARS = 1_000

# Two shadows that forbid other texts, though not other next bytes; a shadow that lives on.
SHADOWS = standard(
    Grammar(
        (Terminal("A", "a|abc"), Terminal("C", "c|cbb"), Terminal("X", "b[bc]")),
        (Production("s", tuple("AX")), Production("s", tuple("CX"))),
        "s",
    ),
    *(b"abb", b"cbb", b"cbc"),
)
ALIVE = standard(sequence("longest", "a|acc", "cb"), b"acb")
# Two stacks of unlike heights, which a token that leaves their tops tells apart.
HEIGHTS = standard(
    Grammar(
        tuple(Terminal(name, name.lower()) for name in "ABC"),
        (
            Production("s", tuple("pC")),
            Production("p", tuple("xAAAB")),
            Production("p", tuple("yAAC")),
            Production("x", tuple("A")),
            Production("y", tuple("AA")),
        ),
        "s",
    ),
    *(b"aaaa", b"bc", b"cc", b"abc", b"acc", b"aaabc", b"aaacc"),
    walk=(0, 0, 0, 0, 0),
)
# Behind an x, `ab*` is alive for ever and no text: it swallows each b that must follow it.
SWALLOWED = standard(
    Grammar(
        (
            Terminal("X", "x"),
            Terminal("A", "ab*"),
            Terminal("B", "b"),
            Terminal("C", "c"),
        ),
        (Production("s", tuple("XC")), Production("s", tuple("XAB"))),
        "s",
    ),
    *(b"x", b"xa", b"xab", b"xc"),
    walk=(0, 0),
)


def check_many() -> None:
    for case in (SHADOWS, ALIVE, HEIGHTS, SWALLOWED):
        check_masks(case)
    for patterns, walk in product(RELATIVES, WALKS):
        check_masks(standard(sequence("longest", *patterns), walk=walk))

    @settings(
        max_examples=MAX_GRAMMARS,
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    @decided
    def check(case: Case) -> None:
        check_masks(case)

    check()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(mutant: Mutant) -> None:
    with mutant.applied(), pytest.raises(Exception) as caught:
        check_many()
    print(f"{mutant.name}: {str(caught.value).splitlines()[0]}")


@pytest.mark.slow
def test_the_engine_itself_passes() -> None:
    check_many()
