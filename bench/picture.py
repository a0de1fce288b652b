"""Draws the newest records, and writes their figures into the README: `python -m bench.picture`.

`docs/mask-times.svg` shows, of the masks of MaskBench's schemas that all engines take, which share
takes longer than how long; `docs/growth.svg` how times grow. Nothing is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.records import RECORD, newest

ROOT = Path(__file__).parents[1]
MASK_TIMES = "mask-times.svg"
GROWTH = "growth.svg"
BEGIN, END = "<!-- speed: written by python -m bench.picture -->", "<!-- end of speed -->"
LANGUAGES = ("json", "python", "go")

COLOURS = {"ours": "#c44", "llguidance": "#36c", "xgrammar": "#393"}
AXES = {
    "depth": "brackets nested",
    "length": "bytes of text before",
    "vocabulary": "tokens of the vocabulary",
    "rules": "rules of the grammar",
}
LINES = {
    "first": ("a mask, first time", "#c44", "-"),
    "warm": ("a mask, again", "#c44", "--"),
    "advance": ("advance, first time", "#36c", "-"),
    "advance_2nd": ("advance, again", "#36c", "--"),
    "rollback": ("rollback", "#393", "-"),
    "fork": ("fork", "#999", "-"),
}
STYLE: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "constrain", "font.size": 10}


def maskbench_record(folder: Path = RECORD) -> dict[str, Any] | None:
    """The record of the most schemas, the newest of those, of an ordinary run with quantiles."""
    found = []
    for path in folder.glob("*-maskbench*.json"):
        record = json.loads(path.read_text("utf-8"))
        engines = record["engines"].values()
        if not record.get("cold") and all("mask_us_common_quantiles" in e for e in engines):
            found.append(record)
    return max(found, key=lambda record: (record["schemas"], record["date"]), default=None)


def draw_mask_times(record: Mapping[str, Any], path: Path) -> None:
    """The share of masks that take longer, over how long, both on logarithmic scales."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for short, engine in record["engines"].items():
            pairs = engine["mask_us_common_quantiles"]
            axes.plot(
                [us for _, us in pairs],
                [100 - share for share, _ in pairs],
                label=engine["name"],
                color=COLOURS.get(short),
            )
        n_masks = next(iter(record["engines"].values()))["mask_us_common"].get("n", 0)
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="a mask takes longer than … µs",
            ylabel="per cent of masks",
            title=f"MaskBench, {record['tokenizer']}: {n_masks:,} masks of schemas that all take",
        )
        axes.grid(visible=True, which="major", color="#ddd")
        axes.legend()

    _figure(draw, path, (7, 4))


def draw_growth(record: Mapping[str, Any], path: Path) -> None:
    """A panel for each axis that the record has."""
    names = [name for name in AXES if record.get(name)]

    def draw(figure: Any) -> None:
        panels = figure.subplots(2, 2, sharey=True).flatten()
        for panel in panels[len(names) :]:
            panel.remove()
        for panel, name in zip(panels, names, strict=False):
            for key, (label, colour, style) in LINES.items():
                points = [(one["x"], one[key]) for one in record[name] if key in one]
                x, y = zip(*points, strict=True) if points else ((), ())
                panel.plot(x, y, style, color=colour, label=label, marker=".")
            panel.set(xscale="log", yscale="log", xlabel=AXES[name], ylabel="µs")
            panel.grid(visible=True, which="major", color="#ddd")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=8)

    _figure(draw, path, (9, 7))


def _figure(draw: Callable[[Any], None], path: Path, inches: tuple[float, float]) -> None:
    """Write what is drawn as SVG, the same bytes for the same record.

    Raises:
        SystemExit: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: PLC0415 - it may be absent
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise SystemExit("error: matplotlib is missing: pip install '.[bench]'") from None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=inches, layout="constrained")
        draw(figure)
        figure.savefig(path, format="svg", metadata={"Date": None})
    lines = [line.rstrip() for line in path.read_text("utf-8").splitlines()]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def schema_table(record: Mapping[str, Any]) -> str:
    """The masks of MaskBench by engine, and the ratios, in Markdown."""
    columns = ("mean", "p50", "p90", "p99", "p99.9", "max")
    rows = [
        [engine["name"], *(figures(engine["mask_us_common"].get(name)) for name in columns)]
        for engine in record["engines"].values()
    ]
    lines = [
        f"JSON schemas, one after another, µs for a mask ({record['schemas']:,} of MaskBench; "
        "counted are those that all engines take):",
        "",
        markdown(["", *columns], rows),
    ]
    ratios = {name: value for name, value in record["ratios"].items() if "/" in name}
    if ratios:
        told = ", ".join(f"{name} {figures(value)}" for name, value in ratios.items())
        lines += ["", f"Ratios, ours over theirs: {told}."]
    return "\n".join(lines)


def language_table(records: Sequence[Mapping[str, Any]]) -> str:
    """Whole languages by engine in Markdown."""
    rows = []
    for record in records:
        for name, engine in record["engines"].items():
            cold, warm, of_floor = engine["cold_us"], engine["warm_us"], engine["of_floor"]
            rows.append(
                [
                    f"{record['language']}, {name}",
                    *(figures(cold[key]) for key in ("mean", "p50", "p99")),
                    *(figures(warm[key]) for key in ("mean", "p99")),
                    figures(of_floor["warm"]["p50"]),
                    figures(engine["advance_cold_us"]["mean"]),
                    figures(engine["first_mask_ms"]),
                ]
            )
    heads = [
        *("", "first walk: mean", "p50", "p99", "again: mean", "p99", "again: p50 / floor"),
        *("advance: mean", "first mask, ms"),
    ]
    told = "Whole languages, µs for a mask; *again* are later walks of the same texts:"
    return f"{told}\n\n{markdown(heads, rows)}"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def figures(value: float | None) -> str:
    """A number as it is read: three figures below a hundred, none behind the point above."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def with_speed(text: str, speed: str) -> str:
    """The README's text with this between the marks.

    Raises:
        ValueError: the marks are not there, once each and in this order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"the text has not once {BEGIN!r} and then {END!r}")
    return f"{before}{begin}\n\n{speed}\n\n{end}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.picture", description=__doc__)
    parser.parse_args()
    parts = []
    if (record := maskbench_record()) is not None:
        draw_mask_times(record, ROOT / "docs" / MASK_TIMES)
        parts += [f"![Mask times on MaskBench](docs/{MASK_TIMES})", schema_table(record)]
    languages = [found for name in LANGUAGES if (found := newest(f"masks-{name}"))]
    if languages:
        parts.append(language_table(languages))
    if (growth := newest("growth")) is not None:
        draw_growth(growth, ROOT / "docs" / GROWTH)
        parts.append(f"![How times grow](docs/{GROWTH})")
    if not parts:
        raise SystemExit("error: there is no record; see bench/README.md")
    readme = ROOT / "README.md"
    readme.write_text(with_speed(readme.read_text("utf-8"), "\n\n".join(parts)), "utf-8")
    print("docs and README.md are written", file=sys.stderr)


if __name__ == "__main__":
    main()
