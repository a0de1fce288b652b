"""What an engine makes of one schema: compiled or refused, its instances, and how long it took."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.schema_cases import TIMED, Case

PASS = "pass"
REFUSED = "refused"
INVALID_ACCEPTED = "invalid accepted"
VALID_REJECTED = "valid rejected"
CRASH = "crash"
OVER = "over the limit"
STATUSES = (PASS, REFUSED, INVALID_ACCEPTED, VALID_REJECTED, CRASH, OVER)
"""A case has exactly one; who accepts an invalid instance may reject valid ones besides."""

MAX_MESSAGE = 500


class SchemaEngine(Protocol):
    """What is measured.

    Attributes:
        name: with the version.
        row: int32[W]; bit t & 31 of word t >> 5 is token t.
        refusals: the errors by which `compile_schema` says that it will not take a schema.
    """

    name: str
    row: NDArray[np.int32]
    refusals: tuple[type[Exception], ...]

    def forget(self) -> None:
        """Drop what is kept of other schemas; what is the vocabulary's may stay."""
        ...

    def compile_schema(self, schema: str) -> None:
        """From a schema's JSON text to a first matcher."""
        ...

    def begin(self) -> None:
        """Stand at the beginning of a new text."""
        ...

    def mask(self) -> None:
        """Fill `row`."""
        ...

    def advance(self, token_id: int) -> bool:
        """Append a token; False where it is refused."""
        ...


@dataclass(frozen=True)
class Encoded:
    """A case in token ids.

    Attributes:
        instances: for each, whether it is valid, and its token ids by spelling.
    """

    case: Case
    instances: tuple[tuple[bool, Mapping[str, Sequence[int]]], ...]


@dataclass
class Outcome:
    """What came of one case.

    Attributes:
        kind: the name of the error, with its message; of a refusal also the JSON pointer and
            the keyword, if the error has them.
        accepted: invalid instances that were accepted, by spelling.
        rejected: valid instances that were rejected, by spelling.
        first_mask_ms: from the schema's text to a first mask; None if there was none.
        masks_us: of the valid instances' default spelling, up to where one was rejected.
        resident_mb: the process's memory behind the case; `grown_mb`, how much it grew.
    """

    status: str = PASS
    kind: str = ""
    message: str = ""
    pointer: str | None = None
    keyword: str | None = None
    accepted: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    first_mask_ms: float | None = None
    masks_us: list[float] = field(default_factory=list)
    resident_mb: float = 0.0
    grown_mb: float = 0.0

    def fail(self, status: str, error: BaseException) -> None:
        """Take the status and what the error says."""
        self.status = status
        self.kind = type(error).__name__
        self.message = str(error)[:MAX_MESSAGE]
        pointer, keyword = getattr(error, "pointer", None), getattr(error, "keyword", None)
        self.pointer = None if pointer is None else str(pointer)
        self.keyword = None if keyword is None else str(keyword)


class OverLimitError(BaseException):
    """The time is up. No `Exception`, so that no engine takes it for one of its own."""


def encode(case: Case, tokenize: Callable[[str], Sequence[int]]) -> Encoded:
    """Tokenize all texts of the case."""
    return Encoded(
        case,
        tuple(
            (one.is_valid, {name: tokenize(text) for name, text in one.texts.items()})
            for one in case.instances
        ),
    )


def judge_within(engine: SchemaEngine, encoded: Encoded, end_id: int, seconds: float) -> Outcome:
    """`judge`, interrupted after `seconds`.

    An engine that does not come back to the interpreter is not interrupted before it does.
    """
    outcome = Outcome()
    try:
        with alarm(seconds):
            judge(engine, encoded, end_id, outcome)
    except OverLimitError as error:
        outcome.fail(OVER, error)
    return outcome


def judge(engine: SchemaEngine, encoded: Encoded, end_id: int, outcome: Outcome) -> None:
    """Compile the schema, walk every instance, and note it in `outcome`."""
    begin = time.perf_counter_ns()
    try:
        engine.compile_schema(encoded.case.schema)
        engine.mask()
        outcome.first_mask_ms = round((time.perf_counter_ns() - begin) / 1e6, 4)
        _walk_all(engine, encoded, end_id, outcome)
    except (OverLimitError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of Rust is no Exception
        is_refusal = outcome.first_mask_ms is None and isinstance(error, engine.refusals)
        outcome.fail(REFUSED if is_refusal else CRASH, error)
        return
    if outcome.accepted:
        outcome.status = INVALID_ACCEPTED
    elif outcome.rejected:
        outcome.status = VALID_REJECTED


def _walk_all(engine: SchemaEngine, encoded: Encoded, end_id: int, outcome: Outcome) -> None:
    accepted: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    for is_valid, texts in encoded.instances:
        for spelling, token_ids in texts.items():
            times: list[int] = []
            is_accepted = walk(engine, token_ids, end_id, times)
            if is_valid and spelling == TIMED:
                outcome.masks_us += [round(ns / 1e3, 1) for ns in times]
            if is_accepted != is_valid:
                (rejected if is_valid else accepted)[spelling] += 1
            outcome.accepted, outcome.rejected = dict(accepted), dict(rejected)


def walk(engine: SchemaEngine, token_ids: Sequence[int], end_id: int, times_ns: list[int]) -> bool:
    """Whether every token is in the mask before it, and the end token in the last mask."""
    clock = time.perf_counter_ns
    engine.begin()
    for token_id in token_ids:
        begin = clock()
        engine.mask()
        times_ns.append(clock() - begin)
        if not has_token(engine.row, token_id) or not engine.advance(token_id):
            return False
    begin = clock()
    engine.mask()
    times_ns.append(clock() - begin)
    return has_token(engine.row, end_id)


def has_token(row: NDArray[np.int32], token_id: int) -> bool:
    """Whether the token's bit is set."""
    return bool(int(row[token_id >> 5]) >> (token_id & 31) & 1)


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raises `OverLimitError` in what takes longer."""

    def expire(signum: int, frame: Any) -> None:
        raise OverLimitError(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, expire)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
