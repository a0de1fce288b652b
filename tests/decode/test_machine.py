"""The machine over bytes: reading many at once is reading one after the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

import constrain
from constrain import Grammar, Vocabulary
from constrain.decode.machine import Machine, Threads
from constrain.errors import GrammarError
from tests import strategies
from tests.decode.test_layout import INDENTED, PIECES

EVERY_BYTE = Vocabulary.from_tokens([bytes([byte]) for byte in range(256)])


def machine_of(grammar: Grammar) -> Machine:
    return constrain.compile(grammar, EVERY_BYTE)._engine.machine


def one_by_one(machine: Machine, threads: Threads, text: bytes) -> Threads:
    for byte in text:
        threads = machine.step(threads, byte)
    return threads


def check_reads(machine: Machine, parts: list[bytes]) -> None:
    at_once = slowly = (machine.initial,)
    for part in parts:
        at_once, slowly = machine.read(at_once, part), one_by_one(machine, slowly, part)
        assert set(at_once) == set(slowly), part


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
