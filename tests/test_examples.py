"""Every example runs, and so does every Python block of the README."""

from __future__ import annotations

import doctest
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SHORT = sorted(p for p in (ROOT / "examples").glob("*.py") if not p.stem.startswith("train_"))
EXAMPLES = [path for path in SHORT if path.stem != "serve"]  # which is run in test_serve.py
LINES = {"demo": 60, "serve": 110}
README = ROOT / "README.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other cost a small model more than they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_runs_and_shows_something(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path(str(path), run_name="__main__")

    shown = capsys.readouterr().out
    assert shown.strip()
    if path.stem == "demo":
        assert shown.count("\n  valid JSON: ") >= 5


@pytest.mark.parametrize("path", SHORT, ids=lambda path: path.stem)
def test_the_example_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES.get(path.stem, 40)


def readme_blocks() -> list[object]:
    text = README.read_text()
    return [
        pytest.param(found[1], id=f"line {text.count(chr(10), 0, found.start()) + 1}")
        for found in BLOCK.finditer(text)
    ]


@pytest.mark.parametrize("block", readme_blocks())
def test_the_readme_says_what_happens(block: str) -> None:
    test = doctest.DocTestParser().get_doctest(block, {}, "README", str(README), 0)
    assert test.examples, "a block of the README has no `>>>`, and so shows nothing that is tested"

    failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)

    assert not failed
