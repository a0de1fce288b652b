"""The store on disk: safetensors with a JSON header. `docs/store-format.md` has the bytes.

Input/output: `StoreContent`, lexer states and their rows.

Everything read is checked before it is used: a file that is truncated, damaged, of another
version, grammar or vocabulary is refused by name. Writing goes to a temporary name in the
same folder, then renames, so that a reader never sees half a file.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from constrain.automata.lexer import Members
from constrain.errors import StoreCorruptError, StoreMismatchError, StoreVersionError
from constrain.masks.rows import LexerRow
from constrain.masks.trie import Forest, columns, node_rows

FORMAT = "constrain-mask-store"
VERSION = "4"

_TYPES = {"U8": "|u1", "I32": "<i4", "I64": "<i8"}

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class StoreContent:
    """What a store file holds.

    Attributes:
        grammar, vocabulary: fingerprints of what it was compiled from.
        members: the lexer's states in order, as (live, shadow) sets of DFA states.
        rows: by lexer state.
        effects: what tokens do to indentation, by number.
    """

    grammar: str
    vocabulary: str
    members: tuple[tuple[Members, Members], ...]
    rows: dict[int, LexerRow]
    effects: tuple[bytes, ...]


def store_name(grammar: str, vocabulary: str) -> str:
    """The file name of a store in a cache folder."""
    return f"{grammar[:16]}-{vocabulary[:16]}.v{VERSION}.safetensors"


def write_store(path: Path, content: StoreContent) -> None:
    """Write `content` to `path` in one rename.

    Raises:
        OSError: the folder cannot be written.
    """
    arrays = _pack(content)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "grammar": content.grammar,
        "vocabulary": content.vocabulary,
        "digest": _digest(arrays),
    }
    # A single entry: safetensors writes several in random order, and equal stores are equal bytes.
    metadata = {FORMAT: json.dumps(header, sort_keys=True)}
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(save(arrays, metadata=metadata))
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def read_store(path: Path, *, grammar: str, vocabulary: str) -> StoreContent:
    """Map the store at `path`.

    Args:
        path: the file.
        grammar: the fingerprint it must have.
        vocabulary: the fingerprint it must have.

    Raises:
        StoreCorruptError: the file is truncated, damaged or no store.
        StoreVersionError: it has another format version.
        StoreMismatchError: it was compiled for another grammar or vocabulary.
        FileNotFoundError: there is no such file.
    """
    if path.is_dir():
        raise StoreCorruptError(path, "it is a folder and no mask store; name a file")
    try:
        with safe_open(path, framework="numpy") as file:  # checks every length and place
            metadata = file.metadata() or {}
        header = json.loads(metadata.get(FORMAT, "null"))
        _check_header(path, header, grammar, vocabulary)
        arrays = _map(path)
        if _digest(arrays) != header.get("digest"):
            raise StoreCorruptError(path, "its content fails its checksum; compile again")
        return StoreContent(grammar, vocabulary, *_unpack(arrays))
    except (SafetensorError, ValueError, KeyError, IndexError, TypeError) as error:
        raise StoreCorruptError(
            path, f"it is damaged or no mask store ({error!r}); delete it and compile again"
        ) from error


def _map(path: Path) -> Arrays:
    """The arrays of a safetensors file that was checked, memory-mapped.

    Writable like those that are computed, since kernels would be compiled anew for others; what
    is written never reaches the file.
    """
    content = np.memmap(path, np.uint8, mode="c")
    length = int(content[:8].view("<u8")[0])
    header = json.loads(content[8 : 8 + length].tobytes())
    body = content[8 + length :]
    return {
        name: body[slice(*entry["data_offsets"])]
        .view(_TYPES[entry["dtype"]])
        .reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _check_header(path: Path, header: Any, grammar: str, vocabulary: str) -> None:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise StoreCorruptError(path, f"it is a safetensors file, but no {FORMAT}")
    if header.get("version") != VERSION:
        raise StoreVersionError(
            path,
            f"it has format version {header.get('version')}, and this is version {VERSION}; "
            f"delete it and compile again",
        )
    for part, wanted in (("grammar", grammar), ("vocabulary", vocabulary)):
        found = header.get(part, "")
        if found != wanted:
            raise StoreMismatchError(
                path,
                f"it was compiled for {part} {found[:12]}, and {part} {wanted[:12]} is in use; "
                f"compile again, to another file",
            )


def _digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _pack(content: StoreContent) -> Arrays:
    rows = [content.rows[state] for state in sorted(content.rows)]
    unsure = [part for row in rows for part in row.unsure]
    forests = [row.forest for row in rows]
    tries = [forest.trie for forest in forests]
    live, live_end = _flatten([live for live, _ in content.members])
    shadow, shadow_end = _flatten([shadow for _, shadow in content.members])
    inside = [row.inside for row in rows]
    return {
        "lexer.live": live,
        "lexer.live_end": live_end,
        "lexer.shadow": shadow,
        "lexer.shadow_end": shadow_end,
        "effect": np.frombuffer(b"".join(content.effects), np.uint8),
        "effect_end": _ends([len(effect) for effect in content.effects]),
        "row.state": np.array(sorted(content.rows), np.int32),
        "row.inside": np.stack(inside) if inside else np.zeros((0, 0), np.int32),
        "row.unsure_end": _ends([len(row.unsure) for row in rows]),
        "row.root_end": _ends([len(forest.root) for forest in forests]),
        "row.node_end": _ends([len(trie.first) for trie in tries]),
        "row.token_end": _ends([len(trie.tokens) for trie in tries]),
        "unsure.state": np.array([state for state, _, _ in unsure], np.int32),
        "unsure.effect": np.array([effect for _, effect, _ in unsure], np.int32),
        "unsure.tokens": (
            np.stack([tokens for _, _, tokens in unsure]) if unsure else np.zeros((0, 0), np.int32)
        ),
        "root.node": _join([forest.root for forest in forests], np.int32),
        "root.way": _join([forest.cut for forest in forests], np.int32),
        "root.effect": _join([forest.effect for forest in forests], np.int32),
        "trie.node": np.concatenate([np.zeros((0, 4), np.int32), *map(node_rows, tries)]),
        "trie.tokens": _join([trie.tokens for trie in tries], np.int32),
    }


def _unpack(
    arrays: Arrays,
) -> tuple[tuple[tuple[Members, Members], ...], dict[int, LexerRow], tuple[bytes, ...]]:
    live = _split(arrays, "lexer.live")
    shadow = _split(arrays, "lexer.shadow")
    effects = tuple(bytes(effect) for effect in _split(arrays, "effect"))
    unsure = list(
        zip(
            arrays["unsure.state"].tolist(),
            arrays["unsure.effect"].tolist(),
            arrays["unsure.tokens"],
            strict=True,
        )
    )
    rows = {}
    ends = np.stack([arrays[f"row.{part}_end"] for part in ("unsure", "root", "node", "token")])
    begins = np.concatenate([np.zeros((4, 1), np.int64), ends[:, :-1]], axis=1)
    for index, state in enumerate(arrays["row.state"].tolist()):
        parts, roots, nodes, tokens = map(slice, begins[:, index], ends[:, index])
        trie = columns(arrays["trie.node"][nodes], arrays["trie.tokens"][tokens])
        forest = Forest(
            trie, *(arrays[f"root.{part}"][roots] for part in ("node", "way", "effect"))
        )
        rows[state] = LexerRow(arrays["row.inside"][index], tuple(unsure[parts]), forest)
    return tuple(zip(live, shadow, strict=True)), rows, effects


def _ends(lengths: list[int]) -> NDArray[np.int64]:
    return np.cumsum(np.array(lengths, np.int64), dtype=np.int64)


def _flatten(groups: list[Members]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    flat = np.array([member for group in groups for member in group], np.int32)
    return flat, _ends([len(group) for group in groups])


def _split(arrays: Arrays, name: str) -> list[Members]:
    flat = arrays[name].tolist()
    ends = arrays[f"{name}_end"].tolist()
    return [tuple(flat[i:j]) for i, j in zip([0, *ends], ends, strict=False)]


def _join(parts: list[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)
