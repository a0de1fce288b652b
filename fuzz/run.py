"""`python -m fuzz.run <target> --seconds N`: try random inputs, keep those that fail.

Inputs are random bytes, from which Hypothesis draws; a third of them are kin of an earlier one,
with some bytes changed. Each new way to fail leaves one file in `fuzz/regressions/<target>/`.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from fuzz.targets import TARGETS, Target, target

REGRESSIONS = Path(__file__).parent / "regressions"
SIZES = (16, 64, 256, 1024, 4096)  # bytes of an input
MAX_KIN = 200


class Inputs:
    """Random inputs, the same in every run with one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._kin: list[bytes] = []

    def next(self) -> bytes:
        """A new input."""
        if self._kin and self._random.random() < 1 / 3:
            return self._changed(self._random.choice(self._kin))
        return self._random.randbytes(self._random.choice(SIZES))

    def keep(self, canonical: bytes) -> None:
        """Let later inputs be kin of this one."""
        if len(self._kin) < MAX_KIN:
            self._kin.append(canonical)
        else:
            self._kin[self._random.randrange(MAX_KIN)] = canonical

    def _changed(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self._random.randint(1, 4)):
            if changed:
                changed[self._random.randrange(len(changed))] = self._random.randrange(256)
        # A change may make the property draw more than before.
        return bytes(changed) + self._random.randbytes(64)


@dataclass
class Report:
    """What a run found.

    Attributes:
        tried: inputs in all.
        valid: those from which an example could be drawn.
        failures: the file of each new way to fail.
    """

    tried: int = 0
    valid: int = 0
    failures: list[Path] = field(default_factory=list)


def fuzz(name: str, seconds: float, seed: int, folder: Path) -> Report:
    """Run target `name` for `seconds`; write failing inputs under `folder`."""
    run, inputs, report = target(name), Inputs(seed), Report()
    seen: set[str] = set()
    with tqdm(total=round(seconds), unit="s", desc=name) as bar:
        start = time.monotonic()
        while (spent := time.monotonic() - start) < seconds:
            bar.update(min(int(spent), bar.total) - bar.n)
            data = inputs.next()
            failure = _failure(run, data, inputs, report)
            if failure is not None and failure[0] not in seen:
                seen.add(failure[0])
                report.failures.append(_write(folder / name, data))
                tqdm.write(f"{report.failures[-1]}\n{failure[1]}")
            bar.set_postfix(
                tried=report.tried, valid=report.valid, failures=len(seen), refresh=False
            )
        bar.update(bar.total - bar.n)
    return report


def _failure(run: Target, data: bytes, inputs: Inputs, report: Report) -> tuple[str, str] | None:
    """Try one input; of a failure, what tells it from others, and the traceback."""
    report.tried += 1
    try:
        canonical = run(data)
    except Exception as error:  # noqa: BLE001 - any error is a finding
        report.valid += 1
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{type(error).__name__} {frames[-1].filename}:{frames[-1].lineno}"
        return where, "".join(traceback.format_exception(error))
    if canonical is not None:
        report.valid += 1
        inputs.keep(canonical)
    return None


def _write(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.bin"
    path.write_bytes(data)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one target; 0 if nothing failed, 1 if something did."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.run", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=REGRESSIONS, help="where failures go")
    options = parser.parse_args(arguments)
    report = fuzz(options.target, options.seconds, options.seed, options.folder)
    print(f"{report.tried} inputs, {report.valid} valid, {len(report.failures)} ways to fail")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
