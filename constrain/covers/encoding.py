"""How a tokenizer encodes plain text, as far as it matters to which token sequences it writes.

Input:  the tokenizer's JSON description (`Vocabulary` reads the bytes from the same one).
Output: `Encoding`, or a `CanonicalError` that names what is not supported.

*Plain* text has no template around it and no space put before it, and the spelling of a special
token is text: `plain_description` takes all that out of a description.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from constrain.errors import CanonicalError
from constrain.vocabulary import Vocabulary

Description = Mapping[str, Any]

NUMERIC = r"\p{Numeric}"
"""Names the characters that the pretokenizer Digits takes for digits."""

_BYTE_LEVEL = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"  # of GPT-2
)
_WORDS = " [^ ]*|[^ ]+"  # of Metaspace: a space begins a piece
_METASPACE = "▁"


@dataclass(frozen=True)
class Encoding:
    """An encoder of byte pairs.

    Attributes:
        names: token id → the token as merges spell it, without tokens that were added.
        merges: (left, right, both) by rank, token ids.
        patterns: by which texts are cut into pieces, the outermost first.
        literals: text → token id; cut out before all else.
        normal_form: whether texts are normalised, by more than a space for `▁`.
        metaspace: whether a space is `▁` to the merges.
        byte_fallback: whether a character that is no token is spelled by byte tokens.
        ignore_merges: whether a piece that is a token is that token, whatever the merges say.
    """

    names: Mapping[int, str]
    merges: tuple[tuple[int, int, int], ...]
    patterns: tuple[str, ...]
    literals: Mapping[str, int]
    normal_form: bool
    metaspace: bool
    byte_fallback: bool
    ignore_merges: bool


def plain_description(description: Description, vocabulary: Vocabulary) -> dict[str, Any]:
    """The description of a tokenizer's encoder for plain text."""
    plain = dict(description)
    plain["added_tokens"] = [
        added for added in description["added_tokens"] if vocabulary.tokens[added["id"]]
    ]
    plain["normalizer"] = _without_prepend(description.get("normalizer"))
    plain["pre_tokenizer"] = _without_space(description.get("pre_tokenizer"))
    plain["post_processor"] = plain["truncation"] = plain["padding"] = None
    return plain


def read_encoding(plain: Description) -> Encoding:
    """Read what `plain_description` returned.

    Raises:
        CanonicalError: the tokenizer is not of byte pairs, or has a part that is not supported.
    """
    model = plain["model"]
    _check_model(model)
    metaspace, normal_form = _read_normalizer(plain.get("normalizer"))
    patterns = list(_read_pretokenizer(plain.get("pre_tokenizer"), metaspace))
    metaspace |= any(step["type"] == "Metaspace" for step in _steps(plain.get("pre_tokenizer")))
    ids: Mapping[str, int] = model["vocab"]
    return Encoding(
        {token_id: name for name, token_id in ids.items()},
        tuple(_read_merges(model["merges"], ids)),
        tuple(patterns),
        dict(_read_literals(plain["added_tokens"], is_raw=not (metaspace or normal_form))),
        normal_form,
        metaspace,
        bool(model.get("byte_fallback")),
        bool(model.get("ignore_merges")),
    )


def _steps(part: Description | None) -> Iterator[Description]:
    """The steps of a normaliser or pretokenizer, sequences opened."""
    if part is None:
        return
    if part["type"] != "Sequence":
        yield part
        return
    for step in part.get("normalizers", part.get("pretokenizers", ())):
        yield from _steps(step)


def _without_prepend(part: Description | None) -> Description:
    kept = [step for step in _steps(part) if step["type"] != "Prepend"]
    return {"type": "Sequence", "normalizers": kept}


def _without_space(part: Description | None) -> Description:
    kept = []
    for step in _steps(part):
        changed = dict(step)
        if step["type"] == "ByteLevel":
            changed["add_prefix_space"] = False
        if step["type"] == "Metaspace":
            changed.pop("add_prefix_space", None)
            changed["prepend_scheme"] = "never"
        kept.append(changed)
    return {"type": "Sequence", "pretokenizers": kept}


def _check_model(model: Description) -> None:
    if model.get("type") != "BPE":
        raise CanonicalError(
            f"the tokenizer's model is {model.get('type')}; which sequences it writes is only "
            f"known for BPE: use covers='all'"
        )
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise _unsupported("model", {name: model[name]})


def _read_normalizer(part: Description | None) -> tuple[bool, bool]:
    """Whether spaces become `▁`, and whether there is a normal form.

    Every form but that of spaces is asked of the tokenizer itself; here are those that leave
    a text's beginnings normal.
    """
    metaspace = normal_form = False
    for step in _steps(part):
        match step:
            case {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}:
                metaspace = True
            case {"type": "NFC"}:
                normal_form = True
            case _:
                raise _unsupported("normaliser", step)
    return metaspace, normal_form


def _read_pretokenizer(part: Description | None, metaspace: bool) -> Iterator[str]:
    for step in _steps(part):
        match step:
            case {"type": "Split", "pattern": {"String": " "}} if metaspace:
                pass  # no space is left to split at
            case {
                "type": "Split",
                "pattern": {"Regex": str(pattern)},
                "behavior": "Isolated",
                "invert": False,
            } if not metaspace:
                yield pattern
            case {"type": "Digits", "individual_digits": True}:
                yield NUMERIC
            case {"type": "Digits"}:
                yield NUMERIC + "+"
            case {"type": "ByteLevel", "use_regex": False}:
                pass
            case {"type": "ByteLevel"}:
                yield _BYTE_LEVEL
            case {"type": "Metaspace", "replacement": "▁"}:
                if step.get("split", True):
                    yield _WORDS
            case _:
                raise _unsupported("pretokenizer", step)


def _read_merges(merges: Any, ids: Mapping[str, int]) -> Iterator[tuple[int, int, int]]:
    for merge in merges:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        yield ids[left], ids[right], ids[left + right]


def _read_literals(added_tokens: Any, *, is_raw: bool) -> Iterator[tuple[str, int]]:
    """The added tokens, with their texts.

    Args:
        added_tokens: as described.
        is_raw: the tokenizer looks for all of them in the text as it is.
    """
    flags = {bool(added.get("normalized")) for added in added_tokens}
    for added in added_tokens:
        if any(added.get(flag) for flag in ("single_word", "lstrip", "rstrip")):
            raise _unsupported("added tokens", added)
        if added.get("normalized") and (len(flags) > 1 or not is_raw):
            raise _unsupported("added tokens", added)
        yield added["content"], added["id"]


def _unsupported(part: str, step: Any) -> CanonicalError:
    return CanonicalError(
        f"the tokenizer's {part} has {json.dumps(step)[:200]}, of which it is not known which "
        f"token sequences it leads to; use covers='all'"
    )
