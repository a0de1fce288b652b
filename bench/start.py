"""From the start of a process to a first mask: `python -m bench.start`.

Each run is a process of its own, with the JSON grammar: with the compiled code of the kernels in
numba's cache and without, with the store on disk and without. *First* runs have an empty cache,
and the first one with a store writes it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.measures import table
from bench.records import machine, today, write
from bench.texts import shared_folder

ROOT = Path(__file__).parents[1]
EMBEDDED = ROOT / "constrain" / "embedded" / "tokenizer.json"
PARTS = (
    *("python", "import", "tokenizer", "vocabulary", "grammar"),
    *("compile", "first mask", "total"),
)
LIMIT_S = 600


class ChildError(Exception):
    """A child did not come to its first mask; the message has the end of what it wrote."""


def child(arguments: Sequence[str], cache: Path) -> dict[str, float]:
    """Seconds of each part of one process.

    Args:
        arguments: of `bench.first_mask`, behind the time.
        cache: numba's.

    Raises:
        ChildError: it failed.
    """
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bench.first_mask", repr(time.time()), *arguments]
    done = subprocess.run(
        command,
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    if done.returncode:
        raise ChildError(f"exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def runs(tokenizer_file: Path, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds by part, of each kind of run; medians where a run can be repeated."""
    found: dict[str, dict[str, float]] = {}
    file = str(tokenizer_file)
    with tempfile.TemporaryDirectory() as folder:
        stores = Path(folder) / "stores"
        for name, arguments in (("no store", [file]), ("store on disk", [file, str(stores)])):
            if arguments[1:]:
                child(arguments, Path(folder) / "writing")  # leaves the store
            cache = Path(folder) / name
            found[f"first run, {name}"] = child(arguments, cache)
            found[f"later runs, {name}"] = medians(
                [child(arguments, cache) for _ in range(repeats)]
            )
    return {name: {part: round(times[part], 3) for part in PARTS} for name, times in found.items()}


def medians(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each part."""
    return {part: float(np.median([times[part] for times in found])) for part in found[0]}


def tokenizer_of(name: str) -> tuple[str, Path]:
    """The name and file of a tokenizer: the one asked for, else the embedded model's."""
    file = shared_folder() / "tokenizers" / name / "tokenizer.json"
    return (name, file) if file.is_file() else ("embedded", EMBEDDED)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--tokenizers", default="embedded,llama3", help="comma separated")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="keep the report in bench/record")
    options = parser.parse_args()
    report: dict[str, Any] = {"date": today(), "machine": machine(), "repeats": options.repeats}
    report["seconds"] = {}
    for name, file in dict(map(tokenizer_of, options.tokenizers.split(","))).items():
        found = report["seconds"][name] = runs(file, options.repeats)
        print(table(f"{name}, s", found, PARTS) + "\n", flush=True)
    if options.record:
        print(f"written to {write(report, 'start').relative_to(ROOT)}")


if __name__ == "__main__":
    main()
