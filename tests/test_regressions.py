"""Every input that fuzzing once found to fail, and the fuzzer itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrain.grammar.rules import Grammar, Production, Terminal
from fuzz import run, targets
from tests.strategies import Case
from tests.test_exactness import check_masks
from tests.timing import within

INPUTS = sorted(run.REGRESSIONS.glob("*/*.bin"))


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_input_that_failed_does_not_fail_again(path: Path) -> None:
    targets.target(path.parent.name)(path.read_bytes())


@pytest.mark.parametrize("name", targets.TARGETS)
def test_a_target_draws_valid_inputs_and_finds_nothing(name: str, tmp_path: Path) -> None:
    report = run.fuzz(name, seconds=1, seed=0, folder=tmp_path)
    assert report.valid > 0
    assert report.failures == []
    assert list(tmp_path.iterdir()) == []


# What fuzzing found, made small.
FOUND = [
    pytest.param(
        # A completion's cost, asked of a stack that is cut off, was taken for "impossible".
        Case(
            Grammar(
                (Terminal("A", "aa"), Terminal("B", "a"), Terminal("C", "c")),
                (Production("s", ("A",)), Production("s", ("C", "B", "s"))),
                "s",
            ),
            (b"a", b"c", b""),
            (2,),
            walk=(1, 0, 1, 0, 0),
        ),
        id="a cut stack",
    ),
    pytest.param(
        # A search with no end went too deep for a recursive union of stacks.
        Case(
            Grammar(
                (Terminal("A", "a"), Terminal("B", "a"), Terminal("I", "b")),
                (
                    Production("s", ("B",)),
                    Production("s", ("B", "t")),
                    Production("t", ("s", "A")),
                ),
                "s",
                ignore=("I",),
            ),
            (b"", b"aabaa"),
            (0,),
        ),
        id="deep stacks",
    ),
]


@pytest.mark.parametrize("case", FOUND)
def test_a_case_that_failed_does_not_fail_again(case: Case) -> None:
    with within(60):
        check_masks(case)


def test_a_failing_input_is_written_and_fails_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @given(st.integers(0, 9))
    def broken(number: int) -> None:
        assert number != 7, "seven"

    monkeypatch.setitem(targets.TARGETS, "broken", broken)
    report = run.fuzz("broken", seconds=0.5, seed=0, folder=tmp_path)
    assert len(report.failures) == 1  # one way to fail, however often it is met
    (path,) = (tmp_path / "broken").iterdir()
    assert report.failures == [path]
    with pytest.raises(AssertionError, match="seven"):
        targets.target("broken")(path.read_bytes())


def test_one_seed_is_one_sequence_of_inputs() -> None:
    one, other, third = run.Inputs(1), run.Inputs(1), run.Inputs(2)
    first = [one.next() for _ in range(5)]
    assert first == [other.next() for _ in range(5)]
    assert first != [third.next() for _ in range(5)]
