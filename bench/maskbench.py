"""JSON schemas of MaskBench, by this library and its peers in one run: `python -m bench.maskbench`.

A schema passes if it compiles, each of its valid instances is accepted token by token through
the mask in three spellings (`json.dumps` as it is, compact, indented by 2; characters outside
ASCII not escaped) with the end token allowed at the end, and each invalid one is rejected
somewhere, as `json.dumps` spells it and compact. A schema with no instances passes if it compiles.

Engines take turns schema by schema, in one process beside this one and on one thread. Results go to
a file as they come; a run that was stopped goes on where it was with `--resume`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bench.records import RECORD, machine, today, write
from bench.schema_cases import Case, read_cases, sample
from bench.schema_engines import ALL_ENGINES, RealBench, installed
from bench.schema_judge import PASS
from bench.schema_report import ratio_lines, ratios, summary, tables
from bench.schema_results import ResultFile
from bench.schema_worker import MAX_RESIDENT_MB, Load, Worker, WorkerError
from bench.texts import shared_folder

EPILOG = """examples:
  python -m bench.maskbench --n 100                        a sample, in a few minutes
  python -m bench.maskbench --resume all.jsonl --record    all; if stopped, the same command goes on
  python -m bench.maskbench --engines ours --split Github_hard --n 50
  python -m bench.maskbench --n 400 --engines ours,llguidance,xgrammar,xgrammar-loose
  python -m bench.maskbench --n 100 --engines ours,outlines-core
  python -m bench.maskbench --n 400 --cold                 nothing is kept between schemas

The data is not part of the repository: folders `maskbench` and `tokenizers/llama3` in the one
that the environment variable CONSTRAIN_SHARED names, or given by --data and --tokenizer.
Results hold one line of JSON for each schema and engine. A line that is there is used as it is,
so take a new file after a change of an engine. What engines write to standard error is beside
it, in a file that ends in .log."""

ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    "TOKENIZERS_PARALLELISM": "false",
}
"""The environment of the child; libraries read it when they are loaded."""

MAIN_ENGINES = "ours,llguidance,xgrammar"


def main() -> None:
    options = arguments().parse_args()
    names = known_engines(options.engines)
    cases = chosen(options)
    path = options.resume or new_file()
    print(f"results: {path}", file=sys.stderr)
    try:
        results = ResultFile(path, cold=options.cold)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    before = machine()
    os.environ.update(ONE_THREAD)
    try:
        run(cases, names, results, load_real(options.tokenizer, names), options)
    except WorkerError as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt:
        print(f"stopped; go on with --resume {path}", file=sys.stderr)
        raise SystemExit(130) from None
    finally:
        results.close()
    report = report_of(cases, names, results, before, options)
    print(heading(report))
    print(tables(report["engines"]))
    print(ratio_lines(report["ratios"]))
    if options.record:
        print(f"\nwritten to {write_record(report).relative_to(RECORD.parents[1])}")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.maskbench",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--n", type=int, default=0, help="schemas, of each split its share; default: all")
    add("--seed", type=int, default=1, help="which schemas, and the order of all")
    add("--split", action="append", default=[], help="only this file of the data; repeatable")
    add(
        "--engines",
        default=MAIN_ENGINES,
        help=f"comma separated, of {', '.join(ALL_ENGINES)}; default: {MAIN_ENGINES}",
    )
    add("--limit", type=float, default=10, help="seconds for a schema and an engine")
    add("--memory", type=float, default=MAX_RESIDENT_MB, help="MB that the engines may take")
    add("--cold", action="store_true", help="each schema starts with nothing of another one")
    add("--data", type=Path, default=shared_folder() / "maskbench", help="folder of *.jsonl.xz")
    add("--tokenizer", type=Path, default=shared_folder() / "tokenizers" / "llama3", help="folder")
    add("--resume", type=Path, metavar="FILE", help="append to this file; skip what it has")
    add("--record", action="store_true", help="keep the report in bench/record")
    return parser


def known_engines(text: str) -> list[str]:
    """The engines asked for that are installed.

    Raises:
        SystemExit: one is unknown, or none is installed.
    """
    names = list(dict.fromkeys(text.split(",")))
    unknown = set(names) - set(ALL_ENGINES)
    if unknown:
        raise SystemExit(
            f"error: no engine {', '.join(unknown)}; there are {', '.join(ALL_ENGINES)}"
        )
    here = installed(names)
    for name in names:
        if name not in here:
            print(f"{name} is not installed: pip install '.[bench]'", file=sys.stderr)
    if not here:
        raise SystemExit("error: none of the engines is installed")
    return here


def chosen(options: argparse.Namespace) -> list[Case]:
    """The cases asked for.

    Raises:
        SystemExit: there are none.
    """
    cases = read_cases(options.data)
    if not cases:
        raise SystemExit(f"error: no *.jsonl.xz in {options.data}; name its folder by --data")
    splits = {case.split for case in cases}
    if not splits.issuperset(options.split):
        raise SystemExit(f"error: --split is one of {', '.join(sorted(splits))}")
    return sample(
        [case for case in cases if not options.split or case.split in options.split],
        options.n,
        options.seed,
    )


def new_file() -> Path:
    """A file for this run's results that no other run has."""
    folder = tempfile.mkdtemp(prefix="maskbench-")
    return Path(folder) / "results.jsonl"


def load_real(tokenizer: Path, names: Sequence[str]) -> Load:
    """What the child calls for its engines.

    Raises:
        SystemExit: there is no such tokenizer.
    """
    if not (tokenizer / "tokenizer.json").is_file():
        raise SystemExit(f"error: no tokenizer.json in {tokenizer}; name its folder by --tokenizer")
    return partial(RealBench, tokenizer, names)


def run(
    cases: Sequence[Case],
    names: Sequence[str],
    results: ResultFile,
    load: Load,
    options: argparse.Namespace,
) -> None:
    """Put every case to every engine in turn, but for what the file has.

    Raises:
        WorkerError: the engines cannot be built.
    """
    missing = [
        (case, name) for case in cases for name in names if (*case.key, name) not in results.results
    ]
    if not missing:
        return
    log = results.path.with_suffix(".log")
    worker = Worker(load, options.limit, log, options.memory, cold=options.cold)
    passed: Counter[str] = Counter()
    try:
        with tqdm(missing, unit=" verdicts", smoothing=0.02) as bar:
            for case, name in bar:
                outcome = worker.run(case, name)
                info = worker.engines[name]
                results.add(case, name, info, worker.n_starts - 1, outcome)
                passed[name] += outcome.status == PASS
                bar.set_postfix(passed, refresh=False)
    finally:
        worker.close()


def report_of(
    cases: Sequence[Case],
    names: Sequence[str],
    results: ResultFile,
    before: dict[str, Any],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """All that is recorded."""
    by_engine = {
        name: [results.results[*case.key, name] for case in cases] for name in names if cases
    }
    return {
        "date": today(),
        "machine": before,
        "tokenizer": options.tokenizer.name,
        "schemas": len(cases),
        "with_instances": sum(bool(case.instances) for case in cases),
        "seed": options.seed,
        "sampled": bool(options.n or options.split),
        "splits": options.split or "all",
        "limit_s": options.limit,
        "cold": options.cold,
        "engines": summary(by_engine),
        "ratios": ratios(by_engine),
    }


def heading(report: dict[str, Any]) -> str:
    """What the tables are of."""
    measured_on = report["machine"]
    kept = "nothing kept between schemas; " if report["cold"] else ""
    return (
        f"{report['schemas']:,} schemas of MaskBench, {report['with_instances']:,} of them with "
        f"instances; {kept}tokenizer {report['tokenizer']}; at most {report['limit_s']:g} s each\n"
        f"{measured_on['cpu']}, {measured_on['cores']} cores, "
        f"load before {measured_on['load_before']}\n"
    )


def write_record(report: dict[str, Any], folder: Path = RECORD) -> Path:
    """Write the report; its name tells a sample, and a run in the cold, from a run of all."""
    parts = ["maskbench", *(["cold"] if report["cold"] else [])]
    if report["sampled"]:
        parts.append(str(report["schemas"]))
    return write(report, "-".join(parts), folder)


if __name__ == "__main__":
    main()
