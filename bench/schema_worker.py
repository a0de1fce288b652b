"""Engines in a process of their own, so that no engine's death is the benchmark's.

The child builds all engines and answers one question at a time: this case, by that engine. If
it dies, or does not come back, it is ended, another takes its place, and the answer says so.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from bench.records import resident_mb
from bench.schema_cases import Case
from bench.schema_judge import (
    CRASH,
    OVER,
    Encoded,
    Outcome,
    SchemaEngine,
    encode,
    judge_within,
    walk,
)

BUILD_LIMIT_S = 600.0
"""For all engines together."""

MAX_RESIDENT_MB = 12_000.0
"""A child that takes more is ended."""

PATIENCE = 3.0
"""Times the limit that the parent waits, for an engine that signals do not interrupt."""

POLL_S = 0.2

WARM_UP = (
    ("{}", '{"a": [1.5e3, true, null, "b\\u00e9 \u00e9"], "c": {"d": {}}}'),
    (
        '{"type": "object", "properties": {"name": {"type": "string"}, "n": {"type": "integer"}, '
        '"tags": {"type": "array", "items": {"enum": ["a", "b", 1, null]}}}, "required": ["name"]}',
        '{"name": "of them", "n": 12, "tags": ["a", 1, null], "other": [{"name": 1}]}',
    ),
    (
        '{"type": "array", "items": {"anyOf": [{"type": "number", "minimum": 0}, '
        '{"type": "string", "pattern": "^[a-z]+$"}, {"type": "string", "format": "date-time"}]}}',
        '[1, "abc", "2020-01-02T03:04:05Z"]',
    ),
    (
        '{"type": "object", "patternProperties": {"^x": {"type": "string", "maxLength": 90}}, '
        '"additionalProperties": {"type": "array", "uniqueItems": true, "minItems": 2}}',
        '{"x-y": "words and more words", "key": [1, 2, "three"]}',
    ),
)
"""Schemas, each with a text, that every engine compiles and walks before the clock starts: what is
compiled or loaded when it is first called is then there."""


class Bench(Protocol):
    """A tokenizer and the engines over it.

    Attributes:
        end_id: the end token's.
        builders: by the engines' short names.
    """

    end_id: int
    builders: Mapping[str, Callable[[], SchemaEngine]]

    def tokenize(self, text: str) -> Sequence[int]:
        """Token ids that write exactly `text`."""
        ...


Load = Callable[[], Bench]
"""Found again in the child by its name, so a function of a module, or a `partial` of one."""


@dataclass(frozen=True)
class EngineInfo:
    """What an engine is called with its version, and what it took to build."""

    name: str
    build_s: float
    built_mb: float


class WorkerError(Exception):
    """The engines cannot be built, or a case cannot be put to them."""


class _ChildLostError(Exception):
    """The child died, or was ended; the message says why."""


class _TooLateError(_ChildLostError):
    """The child was ended, since it did not answer in time."""


class Worker:
    """The parent's side. Starts the child, and starts it again.

    Args:
        load: what the child calls to get its engines.
        limit_s: for a case and an engine.
        log: a file, to which all that engines write to their standard error is appended.
        max_resident_mb: of the child's memory.
        cold: have the engine forget other schemas before each case, while no clock runs.

    Attributes:
        engines: what is known of each engine, by short name.
        n_starts: children so far.

    Raises:
        WorkerError: the engines cannot be built; the message names the log.
    """

    def __init__(
        self,
        load: Load,
        limit_s: float,
        log: Path,
        max_resident_mb: float = MAX_RESIDENT_MB,
        *,
        cold: bool = False,
    ) -> None:
        self._load = load
        self._limit_s = limit_s
        self._log = log
        self._max_resident_mb = max_resident_mb
        self._cold = cold
        self.engines: dict[str, EngineInfo] = {}
        self.n_starts = 0
        self._start()

    def run(self, case: Case, engine: str) -> Outcome:
        """What the engine makes of the case.

        Raises:
            WorkerError: the case cannot be tokenized, or no new child can be started.
        """
        if not self._process.is_alive():
            self._start()
        outcome = Outcome()
        try:
            self._connection.send((case, engine))
            answer = self._receive(PATIENCE * self._limit_s)
        except (_ChildLostError, OSError) as error:
            self._end()
            outcome.fail(OVER if isinstance(error, _TooLateError) else CRASH, error)
            outcome.kind = "process ended"
            return outcome
        if isinstance(answer, Outcome):
            return answer
        raise WorkerError(f"{case.split}/{case.name}: {answer}")

    def close(self) -> None:
        """End the child."""
        self._end()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        arguments = (theirs, self._load, self._limit_s, str(self._log), self._cold)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()  # or the child's death would not be seen
        self.n_starts += 1
        building = "what the engines share"
        try:
            while isinstance(answer := self._receive(BUILD_LIMIT_S), str):
                building = answer
        except _ChildLostError as error:
            self._end()
            raise WorkerError(f"building {building}: {error}; see {self._log}") from error
        self.engines = answer

    def _receive(self, seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while not self._connection.poll(POLL_S):
            if time.monotonic() > deadline:
                raise _TooLateError(f"no answer within {seconds:g} s")
            if resident_mb(self._process.pid) > self._max_resident_mb:
                raise _ChildLostError(f"more than {self._max_resident_mb:g} MB resident")
        try:
            return self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            raise _ChildLostError(_cause(self._process.exitcode)) from None

    def _end(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()


def _cause(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"exited with {exit_code}"


def _serve(connection: Connection, load: Load, limit_s: float, log: str, cold: bool) -> None:
    """The child: build, then answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    with Path(log).open("ab") as file:
        os.dup2(file.fileno(), 2)
    bench = load()
    engines, infos = _build(connection, bench)
    gc.collect()
    gc.freeze()  # as servers do: a collection does not look through all that was loaded
    connection.send(infos)
    encoded: Encoded | None = None
    while True:
        try:
            case, name = connection.recv()
        except EOFError:
            return
        try:
            if encoded is None or encoded.case.key != case.key:
                encoded = encode(case, bench.tokenize)
        except Exception as error:  # noqa: BLE001 - the parent raises it again
            connection.send(str(error))
            continue
        if cold:
            engines[name].forget()
        before = resident_mb()
        outcome = judge_within(engines[name], encoded, bench.end_id, limit_s)
        outcome.resident_mb = resident_mb()
        outcome.grown_mb = round(outcome.resident_mb - before, 2)
        connection.send(outcome)


def _build(
    connection: Connection, bench: Bench
) -> tuple[dict[str, SchemaEngine], dict[str, EngineInfo]]:
    """All engines, warmed up; the parent is told which is being built."""
    engines, infos = {}, {}
    for short, build in bench.builders.items():
        connection.send(short)
        before, begin = resident_mb(), time.perf_counter()
        engine = engines[short] = build()
        seconds = time.perf_counter() - begin
        for schema, text in WARM_UP:
            _warm_up(engine, schema, bench.tokenize(text), bench.end_id)
        infos[short] = EngineInfo(engine.name, round(seconds, 2), round(resident_mb() - before, 1))
    return engines, infos


def _warm_up(engine: SchemaEngine, schema: str, token_ids: Sequence[int], end_id: int) -> None:
    try:
        engine.compile_schema(schema)
        walk(engine, token_ids, end_id, [])
    except Exception:  # noqa: BLE001 - what fails here fails in the benchmark too, and is told there
        return
