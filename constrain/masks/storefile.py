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
from constrain.masks.rows import ROOT, Cut, LexerRow
from constrain.masks.trie import FlatTrie

FORMAT = "constrain-mask-store"
VERSION = "2"

_TYPES = {"U8": "|u1", "I32": "<i4", "I64": "<i8"}

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class StoreContent:
    """What a store file holds.

    Attributes:
        grammar, vocabulary: fingerprints of what it was compiled from.
        members: the lexer's states in order, as (live, shadow) sets of DFA states.
        rows: by lexer state.
    """

    grammar: str
    vocabulary: str
    members: tuple[tuple[Members, Members], ...]
    rows: dict[int, LexerRow]


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
    """The arrays of a safetensors file that was checked, memory-mapped."""
    content = np.memmap(path, np.uint8, mode="r")
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
    cuts = [cut for row in rows for cut in row.cuts]
    live, live_end = _flatten([live for live, _ in content.members])
    shadow, shadow_end = _flatten([shadow for _, shadow in content.members])
    winners, winners_end = _flatten([cut.winners for cut in cuts])
    residue, residue_end = _flatten([cut.residue for cut in cuts])
    inside = [row.inside for row in rows]
    return {
        "lexer.live": live,
        "lexer.live_end": live_end,
        "lexer.shadow": shadow,
        "lexer.shadow_end": shadow_end,
        "row.state": np.array(sorted(content.rows), np.int32),
        "row.inside": np.stack(inside) if inside else np.zeros((0, 0), np.int32),
        "row.unsure_end": _ends([len(row.unsure) for row in rows]),
        "row.cut_end": _ends([len(row.cuts) for row in rows]),
        "unsure.state": np.array([state for state, _ in unsure], np.int32),
        "unsure.tokens": np.stack([t for _, t in unsure]) if unsure else np.zeros((0, 0), np.int32),
        "cut.winners": winners,
        "cut.winners_end": winners_end,
        "cut.residue": residue,
        "cut.residue_end": residue_end,
        "cut.effect": np.frombuffer(b"".join(cut.effect for cut in cuts), np.uint8),
        "cut.effect_end": _ends([len(cut.effect) for cut in cuts]),
        "cut.node_end": _ends([len(cut.trie.byte) for cut in cuts]),
        "cut.token_end": _ends([len(cut.trie.tokens) for cut in cuts]),
        "trie.byte": _join([cut.trie.byte for cut in cuts], np.uint8),
        "trie.depth": _join([cut.trie.depth for cut in cuts], np.int32),
        "trie.end": _join([cut.trie.end for cut in cuts], np.int32),
        "trie.first": _join([cut.trie.first for cut in cuts], np.int32),
        "trie.tokens": _join([cut.trie.tokens for cut in cuts], np.int32),
    }


def _unpack(
    arrays: Arrays,
) -> tuple[tuple[tuple[Members, Members], ...], dict[int, LexerRow]]:
    live = _split(arrays, "lexer.live")
    shadow = _split(arrays, "lexer.shadow")
    winners = _split(arrays, "cut.winners")
    residues = _split(arrays, "cut.residue")
    effects = [bytes(effect) for effect in _split(arrays, "cut.effect")]
    cuts = []
    node = token = 0
    for index, (node_end, token_end) in enumerate(
        zip(arrays["cut.node_end"].tolist(), arrays["cut.token_end"].tolist(), strict=True)
    ):
        trie = FlatTrie(
            byte=arrays["trie.byte"][node:node_end],
            depth=arrays["trie.depth"][node:node_end],
            end=arrays["trie.end"][node:node_end],
            first=arrays["trie.first"][node + index : node_end + index + 1],
            tokens=arrays["trie.tokens"][token:token_end],
        )
        cuts.append(Cut(winners[index], residues[index], effects[index], trie, ROOT))
        node, token = node_end, token_end
    unsure = list(zip(arrays["unsure.state"].tolist(), arrays["unsure.tokens"], strict=True))
    rows = {}
    cut = part = 0
    for index, state in enumerate(arrays["row.state"].tolist()):
        cut_end = int(arrays["row.cut_end"][index])
        part_end = int(arrays["row.unsure_end"][index])
        rows[state] = LexerRow(
            arrays["row.inside"][index], tuple(unsure[part:part_end]), tuple(cuts[cut:cut_end])
        )
        cut, part = cut_end, part_end
    return tuple(zip(live, shadow, strict=True)), rows


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
