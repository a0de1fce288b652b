"""From starting Python to a first mask of JSON, in processes of their own: `python -m bench.start`.

*nothing kept* compiles the kernels, *kept* finds those of the process before, *store kept* finds
the compiled grammar too; *at once* are several processes that start together. The vocabulary is the
embedded model's, read without torch and transformers, which have start times of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.masks import machine

ROOT = Path(__file__).parents[1]

CHILD = """
import json, sys, time
clock, begin = time.perf_counter, time.perf_counter()
times = {}
def lap(name):
    global begin
    times[name], begin = round(clock() - begin, 3), clock()
import numpy; lap("numpy")
import numba; lap("numba")
import constrain; lap("constrain")
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1])
vocabulary = constrain.Vocabulary.from_tokenizer(tokenizer); lap("vocabulary")
grammar = constrain.Grammar.builtin("json"); lap("grammar")
store = constrain.compile(grammar, vocabulary, sys.argv[2] or None); lap("compile")
matcher = store.matcher()
matcher.mask(); lap("mask")
matcher.accept_bytes(b'{"a": [1, "'); matcher.mask(); lap("next mask")
print(json.dumps(times))
"""


def start(kept: Path, store: str = "") -> subprocess.Popen[str]:
    """A process that begins with the kernels of a folder."""
    tokenizer = ROOT / "constrain" / "embedded" / "tokenizer.json"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(kept), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD, str(tokenizer), store]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def measure(title: str, kept: Path, store: str = "", n: int = 1) -> None:
    """Print how long `n` processes take that start at once, and the parts of the slowest."""
    begin = time.perf_counter()
    processes = [start(kept, store) for _ in range(n)]
    parts = [json.loads(process.communicate()[0]) for process in processes]
    whole = time.perf_counter() - begin
    slowest = max(parts, key=lambda one: sum(one.values()))
    print(f"{title:16}{whole:7.2f} s   " + "  ".join(f"{k} {v:.2f}" for k, v in slowest.items()))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--processes", type=int, default=4, help="how many start at once")
    options = parser.parse_args()
    print(f"{machine()['cpu']}, load {machine()['load_before']}")
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kernels"
        store = str(Path(folder) / "store")
        measure("nothing kept", kept)
        measure("kept", kept)
        measure("kept", kept)
        measure("store written", kept, store)
        measure("store kept", kept, store)
        measure("store kept", kept, store)
        measure(f"{options.processes} at once", Path(folder) / "other", n=options.processes)
        measure(f"{options.processes} at once, kept", kept, n=options.processes)


if __name__ == "__main__":
    main()
