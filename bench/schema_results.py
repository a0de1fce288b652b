"""The results of `bench.maskbench` on disk: a line of JSON for each case and engine.

A run that was stopped is gone on with; a line that was cut off is dropped.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.schema_cases import Case
from bench.schema_judge import Outcome
from bench.schema_worker import EngineInfo

Key = tuple[str, str, str]
"""Split, name and engine."""


@dataclass(frozen=True)
class Result:
    """One line.

    Attributes:
        engine: the short name.
        name: the engine's with its version.
        n_valid, n_invalid: instances.
        cold: nothing was kept from one schema to the next.
        start: which child, counted over all runs of the file, so that what it kept is told apart.
    """

    split: str
    case: str
    engine: str
    name: str
    build_s: float
    built_mb: float
    n_valid: int
    n_invalid: int
    start: int
    outcome: Outcome
    cold: bool = False

    @property
    def key(self) -> Key:
        """What no other result has."""
        return self.split, self.case, self.engine

    @property
    def has_instances(self) -> bool:
        """Whether more was asked than to compile."""
        return self.n_valid + self.n_invalid > 0


class ResultFile:
    """Results as they come, appended to a file; those that are in it already.

    Args:
        path: the file.
        cold: whether nothing is kept from one schema to the next; a file is of one kind.

    Raises:
        ValueError: a line of the file is no result; the message says which.
        OSError: the file cannot be read or written.
    """

    def __init__(self, path: Path, *, cold: bool = False) -> None:
        self.path = path
        self._cold = cold
        self.results: dict[Key, Result] = {}
        if path.exists():
            self._read()
        self.first_start = 1 + max((found.start for found in self.results.values()), default=0)
        self._file = path.open("a", encoding="utf-8")

    def add(
        self, case: Case, engine: str, info: EngineInfo, start: int, outcome: Outcome
    ) -> Result:
        """Append a result of child `start` of this run."""
        n_valid = sum(one.is_valid for one in case.instances)
        n_invalid = len(case.instances) - n_valid
        result = Result(
            case.split,
            case.name,
            engine,
            **asdict(info),
            n_valid=n_valid,
            n_invalid=n_invalid,
            start=self.first_start + start,
            outcome=outcome,
            cold=self._cold,
        )
        self.results[result.key] = result
        self._file.write(json.dumps(asdict(result), separators=(",", ":")) + "\n")
        self._file.flush()
        return result

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()

    def _read(self) -> None:
        text = self.path.read_text("utf-8")
        whole = text[: text.rfind("\n") + 1]
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                result = _result(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(
                    f"{self.path}, line {number}: no result of this benchmark ({error}); "
                    f"name another file by --resume"
                ) from error
            if result.cold != self._cold:
                raise ValueError(
                    f"{self.path}, line {number}: a result {'with' if result.cold else 'without'} "
                    f"--cold; name another file by --resume"
                )
            self.results[result.key] = result
        if whole != text:
            self.path.write_text(whole, "utf-8")


def _result(found: dict[str, Any]) -> Result:
    return Result(**{**found, "outcome": Outcome(**found["outcome"])})
