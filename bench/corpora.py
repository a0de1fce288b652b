"""What is walked: a tokenizer, and texts of a language that nobody wrote for this project."""

from __future__ import annotations

import ast
import json
import random
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.texts import json_texts, shared_folder

DEFAULT_N = {"json": 200, "python": 12, "go": 12}
"""Texts of each language: a mask of a big grammar takes milliseconds the first time."""

MAX_FILE_BYTES = 20_000


class NoCorpusError(Exception):
    """There are no texts of the language on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Corpus:
    """Texts of one language and where they come from."""

    language: str
    source: str
    texts: list[str]


def corpus(language: str, n: int, seed: int = 0) -> Corpus:
    """`n` texts, fewer where there are not so many; the same for the same machine and seed.

    Raises:
        NoCorpusError: there are none.
    """
    rng = random.Random(seed)
    if language == "json":
        found = _json(n, rng)
    elif language == "python":
        found = Corpus(
            language, "files of Python's library", _sample(_library(), _is_python, n, rng)
        )
    else:
        texts = _sample(_go_files(), _is_go, n, rng)
        found = Corpus(language, "files of Go's library", texts)
    if not found.texts:
        raise NoCorpusError(f"no texts of {language}: {found.source} are not at hand")
    return found


def _json(n: int, rng: random.Random) -> Corpus:
    folder = shared_folder() / "maskbench"
    if folder.is_dir():
        return Corpus("json", "MaskBench instances", json_texts(folder, n))
    print("MaskBench is not at hand: measuring with made-up texts")
    texts = [
        json.dumps([made_up(rng, 3)], indent=rng.choice([None, 2]), ensure_ascii=False)
        for _ in range(n)
    ]
    return Corpus("json", "made-up values", texts)


def made_up(rng: random.Random, depth: int) -> Any:
    """Some value."""
    kind = rng.randrange(6 if depth else 4)
    if kind < 2:
        return " ".join(rng.choices(["name", "é", "value\n", "street", "12"], k=rng.randrange(6)))
    if kind < 4:
        return rng.choice([True, None, rng.randrange(10**6), rng.random()])
    if kind == 4:
        return [made_up(rng, depth - 1) for _ in range(rng.randrange(5))]
    return {f"key{i}": made_up(rng, depth - 1) for i in range(rng.randrange(6))}


def _library() -> Iterator[Path]:
    """The modules that came with this Python, without what was installed later."""
    for path in Path(sysconfig.get_paths()["stdlib"]).rglob("*.py"):
        if not {"site-packages", "dist-packages"}.intersection(path.parts):
            yield path


def _go_files() -> Iterator[Path]:
    """The files that came with the installed Go.

    Raises:
        NoCorpusError: there is no Go, by which they are found and judged.
    """
    if not (shutil.which("go") and shutil.which("gofmt")):
        raise NoCorpusError("no texts of go: Go is not installed")
    asked = subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True, check=True)
    yield from (Path(asked.stdout.strip()) / "src").resolve().rglob("*.go")


def _sample(
    paths: Iterator[Path], is_text: Callable[[Path], bool], n: int, rng: random.Random
) -> list[str]:
    """The first `n` files in random order that are small, UTF-8, and of the language."""
    files: Sequence[Path] = sorted(p for p in paths if 0 < p.stat().st_size < MAX_FILE_BYTES)
    texts: list[str] = []
    for path in rng.sample(files, len(files)):
        if len(texts) >= n:
            break
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError:
            continue
        if is_text(path):
            texts.append(text)
    return texts


def _is_python(path: Path) -> bool:
    try:
        ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return False
    return True


def _is_go(path: Path) -> bool:
    return subprocess.run(["gofmt", "-e", path], capture_output=True, check=False).returncode == 0


def read_tokenizer(name: str) -> tuple[str, Any]:
    """The tokenizer's name and itself: the one asked for, else the embedded model's."""
    from transformers import AutoTokenizer  # noqa: PLC0415 - slow to import

    from constrain.generation.embedded import FOLDER  # noqa: PLC0415

    folder = shared_folder() / "tokenizers" / name
    if folder.is_dir():
        return name, AutoTokenizer.from_pretrained(folder)
    print(f"{name} is not at hand (name the data's folder by CONSTRAIN_SHARED): ", end="")
    print("measuring with the embedded model's tokenizer")
    return "embedded", AutoTokenizer.from_pretrained(FOLDER)


def encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of the text; what looks like a special token is text too."""
    encoded = tokenizer(text, add_special_tokens=False, split_special_tokens=True)
    token_ids: list[int] = encoded["input_ids"]
    return token_ids
