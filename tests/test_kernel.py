"""Kernels kept on disk: by processes at once, damaged, out of date, where nothing can be kept."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest
from filelock import FileLock
from numba.core import config

import constrain.kernel
from constrain.kernel import cache_folder, kernel
from tests.timing import within

ROOT = Path(__file__).parents[1]
LIMIT = 3

THREE_AND_ITS_CALLEE = """
from constrain.kernel import kernel

@kernel(inline="{inline}")
def three():
    return {three}

@kernel
def add_three(number):
    return number + three()
"""

AT_THE_SAME_TIME = """
import sys, time
from pathlib import Path
import numpy as np
from constrain.masks.trie import FlatTrie
from constrain.masks.kernels import mark_all

folder, n_processes = Path(sys.argv[1]), int(sys.argv[2])
numbers = [np.zeros(3, dtype) for dtype in (np.uint8, np.int32, np.int32)]
trie = FlatTrie(*numbers, np.array([0, 0, 1, 3], np.int32), np.array([40, 7, 2], np.int32))
row = np.zeros(2, np.int32)
(folder / f"ready-{time.time_ns()}-{id(row)}").touch()
while len(list(folder.iterdir())) < n_processes:
    time.sleep(0.001)
mark_all(trie, np.array([1, 2], np.int32), row)
print(row.tolist(), sum(mark_all.stats.cache_misses.values()))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Pair(NamedTuple):
    first: int
    second: int


def below_limit(number: int) -> bool:
    return number < LIMIT


def first(pair: Pair) -> int:
    return pair.first


def is_kept(compiled: Any) -> bool:
    """Whether a kernel was found on disk, after one call of it."""
    hits = sum(compiled.stats.cache_hits.values())
    assert hits + sum(compiled.stats.cache_misses.values()) == 1
    return bool(hits)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.kernel"))


def environment(folder: Path, **others: str) -> dict[str, str]:
    return {**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(ROOT), **others}


def test_what_one_process_compiles_the_next_one_loads(folder: Path) -> None:
    compiled = kernel(below_limit)
    assert compiled(2)
    assert not is_kept(compiled)
    assert len(files(folder)) == 1

    again = kernel(below_limit)
    assert again(2)
    assert not again(3)
    assert is_kept(again)


def test_of_processes_that_start_at_once_one_compiles(tmp_path: Path) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    command = [sys.executable, "-c", AT_THE_SAME_TIME, str(meeting), "4"]
    processes = [
        subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    with within(60):
        answers = [process.communicate()[0].strip() for process in processes]

    wanted = [(1 << 7) | (1 << 2), 1 << 8]
    assert sorted(answers) == [f"{wanted} {misses}" for misses in (0, 0, 0, 1)]
    assert len(files(tmp_path)) == 1
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:20],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1],
        lambda whole: b"no kernel at all" * 100,
        lambda whole: whole[:500] + bytes([whole[500] ^ 1]) + whole[501:],
    ],
    ids=["empty", "digest", "half", "last byte", "garbage", "one bit"],
)
def test_a_damaged_file_is_made_anew(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    assert kernel(below_limit)(2)
    (file,) = files(folder)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))

    repaired = kernel(below_limit)
    assert repaired(2)
    assert not is_kept(repaired)
    written = file.read_bytes()
    assert hashlib.sha256(written[32:]).digest() == written[:32]

    again = kernel(below_limit)
    assert again(2)
    assert is_kept(again)


@pytest.mark.parametrize("inline", ["never", "always"])
def test_a_change_in_a_kernel_that_is_called_is_seen(folder: Path, inline: str) -> None:
    def answer(three: str) -> tuple[int, bool]:
        module: dict[str, Any] = {"__name__": "somewhere"}
        exec(THREE_AND_ITS_CALLEE.format(three=three, inline=inline), module)
        return module["add_three"](1), is_kept(module["add_three"])

    assert answer("3") == (4, False)
    assert answer("3") == (4, True)
    assert answer("30") == (31, False)
    assert answer("3 * 10") == (31, True)  # the same code
    assert answer("3") == (4, True)


def test_a_change_of_an_operation_is_seen(folder: Path) -> None:
    def changed(to: str) -> Any:
        found: dict[str, Any] = {"__name__": "somewhere"}
        exec(f"def by_three(number): return number {to} 3", found)
        return kernel(found["by_three"])

    assert changed("+")(5) == 8
    assert changed("-")(5) == 2


def test_a_change_of_a_number_outside_is_seen(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not kernel(below_limit)(3)
    monkeypatch.setitem(below_limit.__globals__, "LIMIT", 4)
    assert kernel(below_limit)(3)


def test_a_change_of_the_order_of_fields_is_seen(folder: Path) -> None:
    class Turned(NamedTuple):
        second: int
        first: int

    Turned.__name__, Turned.__qualname__ = Pair.__name__, Pair.__qualname__
    assert kernel(first)(Pair(first=1, second=2)) == 1
    assert kernel(first)(Turned(first=1, second=2)) == 1  # type: ignore[arg-type]


def test_a_change_of_an_array_outside_is_seen(folder: Path) -> None:
    def looking(table: Any) -> Any:
        def look_up(place: int) -> int:
            return int(table[place])

        return kernel(look_up)

    table = np.arange(5_000)
    assert looking(table)(2_500) == 2_500
    changed = table.copy()
    changed[2_500] = 7
    assert looking(changed)(2_500) == 7


@pytest.mark.parametrize(
    "outside", [constrain.kernel, object(), [1, 2]], ids=["module", "object", "list"]
)
def test_what_the_cache_cannot_see_through_is_refused(folder: Path, outside: object) -> None:
    def is_there() -> bool:
        return outside is not None

    with pytest.raises(TypeError, match="whose changes the cache cannot see"):
        kernel(is_there)()


def test_types_have_files_of_their_own(folder: Path) -> None:
    compiled = kernel(below_limit)
    assert compiled(2)
    assert not compiled(3.5)  # type: ignore[arg-type]
    assert len(files(folder)) == 2

    again = kernel(below_limit)
    assert not again(3.5)  # type: ignore[arg-type]
    assert again(2)
    assert sum(again.stats.cache_hits.values()) == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("place", ["under a file", "closed"])
def test_where_nothing_can_be_written_kernels_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir(mode=0o500)
    root = tmp_path / ("file" if place == "under a file" else "closed")
    monkeypatch.setattr(config, "CACHE_DIR", str(root))
    compiled = kernel(below_limit)
    assert compiled(2)
    assert not compiled(3)


def test_a_user_without_a_folder_for_caches_can_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constrain.kernel, "_caches", lambda: None)
    assert cache_folder() is None
    assert kernel(below_limit)(2)


def test_who_waits_for_long_compiles_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernel(below_limit)(2)
    (file,) = files(folder)
    file.unlink()
    monkeypatch.setattr(constrain.kernel, "PATIENCE", 0.05)
    with FileLock(file.with_suffix(".lock")), within(20):
        assert kernel(below_limit)(2)
    assert file.exists()


def test_a_kernel_that_does_not_compile_keeps_nobody_waiting(folder: Path) -> None:
    compiled = kernel(below_limit)
    with pytest.raises(numba.TypingError):
        compiled("text")  # type: ignore[arg-type]
    (lock,) = folder.rglob("*.lock")
    FileLock(lock).acquire(timeout=0)


def test_what_a_start_does_not_need_is_not_loaded() -> None:
    names = ("torch", "transformers", "lark", "filelock", "concurrent.futures.thread")
    code = f"import sys, constrain; print([name for name in {names} if name in sys.modules])"
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, cwd=ROOT, text=True).strip() == "[]"


def test_without_numbas_compiler_a_kernel_is_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "DISABLE_JIT", True)
    assert kernel(below_limit) is below_limit
    assert isinstance(kernel(inline="always")(below_limit), FunctionType)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="another system's rule")
def test_the_folder_follows_the_users_wishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def root() -> Path:
        folder = cache_folder()
        assert folder is not None
        return folder.parents[2]

    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert root() == tmp_path / "home" / ".cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert root() == tmp_path / "xdg"
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "numba"))
    assert root() == tmp_path / "numba"
