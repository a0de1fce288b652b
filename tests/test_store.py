"""The store on disk: what is loaded is what was saved, and nothing else is ever loaded."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import constrain
from constrain import Grammar, MaskStore, Production, Terminal, Vocabulary, bitmask
from constrain.errors import (
    StoreCorruptError,
    StoreError,
    StoreMismatchError,
    StoreVersionError,
)
from constrain.masks import storefile
from constrain.masks.rows import Walker

WORDS = [
    b"ab",
    b"abb",
    b"bb",
    b"bc",
    b"c",
    b'"a',
    b'",',
    b'": ',
    b"[[",
    b"]]",
    b"],",
    b"tru",
    b"}]",
]
TOKENS = [*(bytes([b]) for b in range(256)), *WORDS, b""]
VOCABULARY = Vocabulary.from_tokens(TOKENS, [len(TOKENS) - 1])
TEXTS = {
    "json": b'{"a": [1.5e3, "\xc3\xa9\\n", [[]], {}], "bb": tru',
    # A may swallow B and a c behind it, so rows have tokens that are not surely finishable.
    "trap": b"abcbb",
}


def grammar_of(name: str) -> Grammar:
    if name == "json":
        return Grammar.builtin("json")
    terminals = (Terminal("A", "a(bc)*"), Terminal("B", "b"), Terminal("C", "b|c"))
    return Grammar(terminals, (Production("s", ("A", "B", "C")),), "s")


@pytest.fixture(params=list(TEXTS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.store"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of a warm store of each grammar."""
    folder = tmp_path_factory.mktemp("stores")
    return {name: warm(name, folder / name) for name in TEXTS}


def warm(name: str, path: Path) -> bytes:
    store = constrain.compile(grammar_of(name), VOCABULARY)
    store.warm()
    store.save(path)
    return path.read_bytes()


def load(path: Path, name: str) -> MaskStore:
    return MaskStore.load(path, grammar_of(name), VOCABULARY)


def masks(store: MaskStore, text: bytes) -> Iterator[NDArray[np.bool_]]:
    """The mask before each byte of `text` and at its end."""
    matcher, row = store.matcher(), bitmask.allocate(store.vocabulary.size)
    for place in range(len(text) + 1):
        matcher.fill_bitmask(row)
        yield bitmask.unpack(row, store.vocabulary.size)
        if place < len(text):
            assert matcher.accept_bytes(text[place : place + 1]), text[: place + 1]


def assert_same_masks(one: MaskStore, other: MaskStore, text: bytes) -> None:
    for place, (a, b) in enumerate(zip(masks(one, text), masks(other, text), strict=True)):
        assert (a == b).all(), f"masks differ after {text[:place]!r}"


def header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON header of a safetensors file, and the arrays' bytes."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_metadata(data: bytes, changes: dict[str, str | None]) -> bytes:
    """The file with other metadata; None removes an entry."""
    header, arrays = header_of(data)
    entries = json.loads(header["__metadata__"][storefile.FORMAT])
    for key, value in changes.items():
        if value is None:
            entries.pop(key)
        else:
            entries[key] = value
    header["__metadata__"][storefile.FORMAT] = json.dumps(entries)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + arrays


# What was saved is what is loaded.


def test_a_loaded_store_has_the_masks_of_the_saved_one(
    name: str, path: Path, saved: dict[str, bytes]
) -> None:
    path.write_bytes(saved[name])
    loaded = load(path, name)
    assert loaded._engine.masker.lexer_rows, "it holds rows"
    assert_same_masks(loaded, constrain.compile(grammar_of(name), VOCABULARY), TEXTS[name])


def test_a_store_that_grew_is_saved_with_what_it_learnt(
    name: str, path: Path, saved: dict[str, bytes]
) -> None:
    path.write_bytes(saved[name])
    grown = load(path, name)
    list(masks(grown, TEXTS[name]))
    grown.save(path)
    again = load(path, name)
    assert again._engine.masker.lexer_rows.keys() == grown._engine.masker.lexer_rows.keys()
    assert_same_masks(again, constrain.compile(grammar_of(name), VOCABULARY), TEXTS[name])


def test_a_store_without_rows_can_be_saved(name: str, path: Path) -> None:
    store = constrain.compile(grammar_of(name), VOCABULARY)
    store.save(path)
    assert_same_masks(load(path, name), store, TEXTS[name])


def test_rows_that_are_not_surely_finishable_are_stored(
    path: Path, saved: dict[str, bytes]
) -> None:
    path.write_bytes(saved["trap"])
    assert any(row.unsure for row in load(path, "trap")._engine.masker.lexer_rows.values())


def test_saving_twice_writes_the_same_bytes(name: str, path: Path, saved: dict[str, bytes]) -> None:
    assert warm(name, path) == saved[name]


def test_loaded_rows_are_memory_mapped(path: Path, saved: dict[str, bytes]) -> None:
    path.write_bytes(saved["json"])
    (row, *_) = load(path, "json")._engine.masker.lexer_rows.values()
    array: Any = row.inside
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base.obj if isinstance(array.base, memoryview) else array.base
    assert type(array).__name__ in {"memmap", "mmap"}, f"a copy in memory: {type(array)}"


def test_loaded_rows_are_of_the_types_that_kernels_are_compiled_for(
    name: str, path: Path, saved: dict[str, bytes]
) -> None:
    path.write_bytes(saved[name])
    computed = constrain.compile(grammar_of(name), VOCABULARY)
    computed.warm()
    loaded = load(path, name)._engine.masker.lexer_rows
    for state, row in computed._engine.masker.lexer_rows.items():
        assert numba.typeof(loaded[state].forest) == numba.typeof(row.forest)
    for row in loaded.values():
        row.forest.trie.depth[:] += 1
    assert path.read_bytes() == saved[name]


def test_the_file_is_safetensors_with_the_promised_header(
    path: Path, saved: dict[str, bytes]
) -> None:
    path.write_bytes(saved["json"])
    with safe_open(path, framework="numpy") as file:
        (header,) = map(json.loads, file.metadata().values())
    assert header["format"] == "constrain-mask-store"
    assert header["version"] == storefile.VERSION
    assert header["grammar"] == grammar_of("json").fingerprint
    assert header["vocabulary"] == VOCABULARY.fingerprint
    assert set(header) == {"format", "version", "grammar", "vocabulary", "digest"}


# Nothing else is loaded.


def places(data: bytes) -> list[int]:
    """Offsets at which to damage a file: all of the header's, and some of the arrays'."""
    (length,) = struct.unpack("<Q", data[:8])
    body = np.linspace(8 + length, len(data) - 1, 60, dtype=int).tolist()
    return [*range(8 + length), *body]


def test_a_truncated_file_is_refused(path: Path, saved: dict[str, bytes]) -> None:
    data = saved["trap"]
    for length in places(data):
        path.write_bytes(data[:length])
        with pytest.raises(StoreCorruptError) as caught:
            load(path, "trap")
        assert caught.value.path == path
        assert str(path) in str(caught.value)


def test_a_file_with_more_bytes_is_refused(path: Path, saved: dict[str, bytes]) -> None:
    path.write_bytes(saved["trap"] + b"\0")
    with pytest.raises(StoreCorruptError):
        load(path, "trap")


@pytest.mark.parametrize("bit", [0x01, 0x04, 0x20, 0x80])
def test_a_flipped_bit_is_refused_wherever_it_is(
    bit: int, path: Path, saved: dict[str, bytes]
) -> None:
    data = saved["trap"]
    for place in places(data):
        path.write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
        with pytest.raises(StoreError):
            load(path, "trap")


def test_a_flipped_bit_among_the_arrays_is_corruption(path: Path, saved: dict[str, bytes]) -> None:
    data = saved["trap"]
    (length,) = struct.unpack("<Q", data[:8])
    for place in range(8 + length, len(data), 97):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(StoreCorruptError, match="checksum"):
            load(path, "trap")


def test_bytes_that_are_no_store_are_refused(path: Path) -> None:
    huge = struct.pack("<Q", 1 << 62)
    for data in (b"", b"\0", b"{}", huge, huge + b"{}", bytes(4096), os.urandom(4096), b"[]" * 99):
        path.write_bytes(data)
        with pytest.raises(StoreCorruptError):
            load(path, "json")


def test_a_foreign_safetensors_file_is_refused(path: Path) -> None:
    for metadata in (None, {}, {"format": "pt"}, {"format": "constrain-model"}):
        save_file({"weight": np.zeros((2, 3), np.float32)}, path, metadata=metadata)
        with pytest.raises(StoreCorruptError, match="constrain-mask-store"):
            load(path, "json")


@pytest.mark.parametrize("version", ["0", "1", "10", "", "one"])
def test_another_version_is_refused(version: str, path: Path, saved: dict[str, bytes]) -> None:
    path.write_bytes(with_metadata(saved["json"], {"version": version}))
    with pytest.raises(StoreVersionError, match="compile again"):
        load(path, "json")


@pytest.mark.parametrize("key", ["format", "version", "grammar", "vocabulary", "digest"])
def test_a_header_that_lacks_an_entry_is_refused(
    key: str, path: Path, saved: dict[str, bytes]
) -> None:
    path.write_bytes(with_metadata(saved["json"], {key: None}))
    with pytest.raises(StoreError):
        load(path, "json")


def test_a_store_of_another_grammar_is_refused(path: Path, saved: dict[str, bytes]) -> None:
    path.write_bytes(saved["json"])
    with pytest.raises(StoreMismatchError, match="grammar"):
        load(path, "trap")


def test_a_store_of_a_grammar_with_another_priority_is_refused(path: Path) -> None:
    warm("trap", path)
    grammar = grammar_of("trap")
    first = Terminal("A", "ab*", priority=1)
    other = Grammar((first, *grammar.terminals[1:]), grammar.productions, "s")
    with pytest.raises(StoreMismatchError, match="grammar"):
        MaskStore.load(path, other, VOCABULARY)


@pytest.mark.parametrize(
    "vocabulary",
    [
        Vocabulary.from_tokens([*TOKENS, b"zz"], [len(TOKENS) - 1]),
        Vocabulary.from_tokens([TOKENS[1], TOKENS[0], *TOKENS[2:]], [len(TOKENS) - 1]),
        Vocabulary.from_tokens([*TOKENS[:-1], b"", b""], [len(TOKENS)]),
    ],
    ids=["longer", "permuted", "another end"],
)
def test_a_store_of_another_vocabulary_is_refused(
    vocabulary: Vocabulary, path: Path, saved: dict[str, bytes]
) -> None:
    path.write_bytes(saved["json"])
    with pytest.raises(StoreMismatchError, match="vocabulary"):
        MaskStore.load(path, grammar_of("json"), vocabulary)


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """The file with other arrays and a digest that is right for them."""
    arrays = load_file(path)
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()[storefile.FORMAT])
    change(arrays)
    header["digest"] = storefile._digest(arrays)
    save_file(arrays, path, metadata={storefile.FORMAT: json.dumps(header)})


@pytest.mark.parametrize("array", ["row.state", "trie.tokens", "lexer.live_end"])
def test_a_file_that_lacks_an_array_is_refused(
    array: str, path: Path, saved: dict[str, bytes]
) -> None:
    path.write_bytes(saved["json"])
    rewritten(path, lambda arrays: arrays.pop(array))
    with pytest.raises(StoreCorruptError):
        load(path, "json")


def test_an_absent_file_is_a_file_not_found_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(path, "json")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises((StoreCorruptError, IsADirectoryError)):
        load(tmp_path, "json")


# Writing.


class Interrupted(BaseException):
    """Stands for a Ctrl-C."""


@pytest.mark.parametrize("error", [OSError("disk full"), Interrupted()])
@pytest.mark.parametrize("where", ["save", "replace"])
def test_a_failed_write_leaves_nothing_and_keeps_the_old_file(
    where: str, error: BaseException, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = constrain.compile(grammar_of("trap"), VOCABULARY)
    path.write_bytes(b"the old file")

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(*((storefile, "save") if where == "save" else (Path, "replace")), fail)
    with pytest.raises(type(error)):
        store.save(path)
    assert path.read_bytes() == b"the old file"
    assert list(path.parent.iterdir()) == [path]


def test_a_store_appears_whole_under_its_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    replace = Path.replace

    def watch(temporary: Path, target: Path) -> Path:
        assert not target.exists()
        assert temporary.parent == target.parent, "a rename across file systems copies"
        seen.append(temporary.stat().st_size)
        return replace(temporary, target)

    monkeypatch.setattr(Path, "replace", watch)
    constrain.compile(grammar_of("trap"), VOCABULARY).save(path)
    assert seen == [path.stat().st_size]
    assert list(path.parent.iterdir()) == [path]


def test_saving_into_an_absent_folder_is_an_os_error(tmp_path: Path) -> None:
    store = constrain.compile(grammar_of("trap"), VOCABULARY)
    with pytest.raises(OSError, match="absent"):
        store.save(tmp_path / "absent" / "a.store")


# The cache folder.


def test_a_second_compile_walks_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "made" / "for it"
    first = constrain.compile(grammar_of(name), VOCABULARY, folder)
    (path,) = folder.iterdir()
    before = path.stat().st_mtime_ns

    def refuse(*_: Any) -> None:
        raise AssertionError("a row was computed again")

    monkeypatch.setattr(Walker, "row", refuse)
    second = constrain.compile(grammar_of(name), VOCABULARY, folder)
    rows = second._engine.masker.lexer_rows
    assert rows
    assert rows.keys() == first._engine.masker.lexer_rows.keys()
    assert path.stat().st_mtime_ns == before
    assert list(folder.iterdir()) == [path]


def test_a_store_of_json_has_all_rows_that_its_texts_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The walk over the vocabulary belongs to `compile`, not to a step of generation."""
    store = constrain.compile(grammar_of("json"), VOCABULARY, tmp_path)
    missing = []
    row = Walker.row

    def watch(walker: Walker, state: int, sure: NDArray[np.bool_]) -> Any:
        missing.append(walker.lexer.members[state])
        return row(walker, state, sure)

    monkeypatch.setattr(Walker, "row", watch)
    for text in (TEXTS["json"], b" [1 , 2 ] ", b'{ "a" : { } , "b" : [ ] }\n', b"-0.5E-3 ", b'""'):
        list(masks(store, text))
    assert not missing


def test_grammars_and_vocabularies_share_a_folder(tmp_path: Path) -> None:
    other = Vocabulary.from_tokens([*TOKENS[:-1], b"zz", b""], [len(TOKENS)])
    for _ in range(2):
        for name in TEXTS:
            for vocabulary in (VOCABULARY, other):
                store = constrain.compile(grammar_of(name), vocabulary, tmp_path)
                assert store.vocabulary is vocabulary
    assert len(list(tmp_path.iterdir())) == 4


def test_a_damaged_file_in_the_cache_is_refused_by_compile(tmp_path: Path) -> None:
    constrain.compile(grammar_of("trap"), VOCABULARY, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreCorruptError):
        constrain.compile(grammar_of("trap"), VOCABULARY, tmp_path)


def test_progress_counts_up_to_all(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    constrain.compile(
        grammar_of("json"), VOCABULARY, tmp_path, progress=lambda *call: calls.append(call)
    )
    total = calls[-1][1]
    assert calls == [(done, total) for done in range(1, total + 1)]


def test_the_page_on_the_format_names_every_array(saved: dict[str, bytes]) -> None:
    page = (Path(__file__).parents[1] / "docs" / "store-format.md").read_text(encoding="utf-8")
    header, _ = header_of(saved["trap"])
    for name in (*header, *header.pop("__metadata__")):
        assert f"`{name}`" in page
