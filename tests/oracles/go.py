"""The installed Go as the judge of Go texts: go/parser through a small program of ours.

`gocheck.go` is built once per machine and user, outside the repository, and answers thousands
of texts in one run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("gocheck.go")
IS_INSTALLED = shutil.which("go") is not None

KEYWORDS = (
    "break",
    "case",
    "chan",
    "const",
    "continue",
    "default",
    "defer",
    "else",
    "fallthrough",
    "for",
    "func",
    "go",
    "goto",
    "if",
    "import",
    "interface",
    "map",
    "package",
    "range",
    "return",
    "select",
    "struct",
    "switch",
    "type",
    "var",
)


@dataclass(frozen=True)
class GoToken:
    """A lexeme as go/scanner cuts it; `text` is empty for an automatic semicolon."""

    kind: str
    offset: int
    length: int


@cache
def program() -> Path:
    """The built program."""
    digest = hashlib.sha256(SOURCE.read_bytes() + _go("version")).hexdigest()[:16]
    binary = Path(tempfile.gettempdir()) / f"gocheck-{os.getuid()}-{digest}"
    if not binary.exists():
        built = binary.with_name(f"{binary.name}-{os.getpid()}")
        _go("build", "-o", str(built), str(SOURCE))
        built.replace(binary)
    return binary


def accepts(texts: Sequence[bytes]) -> list[bool]:
    """Which of the texts `gofmt -e FILE` reads without an error."""
    return [answer == ord("1") for answer in _ask(b"c", texts)]


def gofmt_accepts(path: Path) -> bool:
    """Whether gofmt itself reads the file without an error."""
    return subprocess.run(["gofmt", "-e", path], capture_output=True, check=False).returncode == 0


def tokens(texts: Sequence[bytes]) -> list[list[GoToken]]:
    """The lexemes of each text, with automatic semicolons and without comments."""
    answer = _ask(b"t", texts)
    found, at = [], 0
    for _ in texts:
        (count,) = struct.unpack_from("<I", answer, at)
        at += 4
        text_tokens = []
        for _ in range(count):
            offset, length, n = struct.unpack_from("<IIB", answer, at)
            text_tokens.append(GoToken(answer[at + 9 : at + 9 + n].decode(), offset, length))
            at += 9 + n
        found.append(text_tokens)
    return found


def library_files() -> list[Path]:
    """Every Go file that came with the installed Go."""
    root = Path(_go("env", "GOROOT").decode().strip()).resolve()
    found = (path for top in ("src", "test") for path in (root / top).rglob("*.go"))
    return sorted({path.resolve() for path in found if path.is_file()})


def _ask(kind: bytes, texts: Sequence[bytes]) -> bytes:
    requests = b"".join(kind + struct.pack("<I", len(text)) + text for text in texts)
    return subprocess.run([program()], input=requests, capture_output=True, check=True).stdout


def _go(*arguments: str) -> bytes:
    environment = {**os.environ, "GO111MODULE": "off", "GOFLAGS": ""}
    return subprocess.run(
        ["go", *arguments], capture_output=True, check=True, env=environment
    ).stdout
