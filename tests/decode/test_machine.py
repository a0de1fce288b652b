"""The machine over bytes: reading many at once is reading one after the other."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

import constrain
from constrain import Grammar, Vocabulary
from constrain.decode.machine import LONG, Machine, Threads
from constrain.errors import GrammarError
from tests import strategies
from tests.decode.test_layout import INDENTED, PIECES
from tests.matchers import builtin_matcher

EVERY_BYTE = Vocabulary.from_tokens([bytes([byte]) for byte in range(256)])


def machine_of(grammar: Grammar) -> Machine:
    return constrain.compile(grammar, EVERY_BYTE)._engine.machine


def one_by_one(machine: Machine, threads: Threads, text: bytes) -> Threads:
    for byte in text:
        threads = machine.step(threads, byte)
    return threads


def check_reads(machine: Machine, parts: list[bytes]) -> None:
    slowly = (machine.initial,)
    at_once = dict.fromkeys((0, LONG, sys.maxsize), slowly)
    for part in parts:
        slowly = one_by_one(machine, slowly, part)
        for long, threads in at_once.items():
            with patch("constrain.decode.machine.LONG", long):
                at_once[long] = machine.read(threads, part)
            assert set(at_once[long]) == set(slowly), (long, part)


@given(case=strategies.cases(), parts=st.lists(st.text("abcc", max_size=6), max_size=4))
def test_bytes_are_read_at_once_as_one_by_one(case: strategies.Case, parts: list[str]) -> None:
    try:
        machine = machine_of(case.grammar)
    except GrammarError:
        return
    check_reads(machine, [part.encode() for part in parts])


INDENTING = machine_of(Grammar.from_lark(INDENTED))


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=4).map("".join), max_size=4))
def test_line_ends_are_read_at_once_as_one_by_one(parts: list[str]) -> None:
    check_reads(INDENTING, [part.encode() for part in parts])


FOLDER = Path(__file__).parents[2] / "grammars"


@pytest.mark.parametrize("name", ["calc", "go", "json", "python", "sql"])
def test_example_files_are_read_at_once_as_one_by_one(name: str) -> None:
    """Also those that are not of the grammar, and each in some parts."""
    machine = builtin_matcher(name)._engine.machine
    draw = random.Random(name)
    for path in sorted((FOLDER / name).glob("*valid/*")):
        text = path.read_bytes()[:2000]
        ends = sorted(draw.randrange(len(text) + 1) for _ in range(3))
        pairs = zip([0, *ends], [*ends, len(text)], strict=True)
        check_reads(machine, [text[start:end] for start, end in pairs])


@pytest.mark.parametrize("text", [b"(" * 3000 + b"1" + b")" * 3000, b"-" * 500 + b"1+" * 500])
def test_deep_texts_are_read_at_once_as_one_by_one(text: bytes) -> None:
    check_reads(builtin_matcher("calc")._engine.machine, [text, text])


@pytest.mark.parametrize("rule", ['"a" start | "b"', 'start start | "a" | "b"', '"a" start? "b"'])
def test_answers_from_the_bottom_are_read_at_once_as_one_by_one(rule: str) -> None:
    machine = machine_of(Grammar.from_lark(f"start: {rule}"))
    check_reads(machine, [b"a" * 150, b"ab" * 2, b"b" * 150])
