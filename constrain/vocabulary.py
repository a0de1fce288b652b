"""A model's vocabulary as bytes: token id → exactly what the token writes.

This is the only reader of Hugging Face tokenizers, and it imports none of their
packages: all it takes is the tokenizer's own JSON description.

**A token's bytes are what the tokenizer's decoder makes of it**, for the decoder has
the last word on the text a user sees. Two families have tokens with bytes of their own:

- byte-level: each character of the token stands for one byte; a token with any
  character outside that alphabet is its own UTF-8 (added tokens such as runs of spaces);
- metaspace: `▁` is a space, `<0x41>` the byte 41 where the decoder falls back to bytes,
  and everything else its own UTF-8.

Every other decoder (WordPiece, CTC, …) joins tokens in ways that depend on their
neighbours, and is refused. What an encoder does (Unicode normalisation, a space put
before the text) has no part in it.

**The space before the text.** Metaspace decoders drop one space at the very beginning
of a *whole* decoded text. A token's bytes keep it: `▁a` is always ` a`. The text of a
generation is the concatenation of its tokens' bytes.

**What is never text** has the bytes `b""`:

- ids that name no token;
- end tokens, of the tokenizer and of the generation config;
- special tokens: flagged so in the description, in the tokenizer's `all_special_ids`, or
  the model's unknown token;
- *sentinels*: added tokens not flagged special, yet spelled as one: with a letter or digit,
  and opening with `<`, `[`, `|` or `｜`, as `<|fim_prefix|>`, `<tool_call>`, `[@BOS@]`. Many
  tokenizers leave the flag out, and a model that means the text `<|fim_prefix|>` must not
  be switched to another mode by it. Plain HTML tags (`<table>`, `</h1>`) are text.

Such a token's spelling can still be written, by the tokens of its parts. All other
added tokens (runs of white space, words of a domain) are text.
"""

from __future__ import annotations

import hashlib
import json
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from constrain.errors import VocabularyError

Description = Mapping[str, Any]
Speller = Callable[[str], bytes]


@dataclass(frozen=True)
class Vocabulary:
    """What each token id writes, and which ids end a text.

    Two ids may have the same bytes (`A` and the byte token `<0x41>`): both are kept.
    A token's bytes need not be UTF-8.

    Attributes:
        tokens: bytes by id, length V = largest id + 1; `b""` is never text.
        end_ids: the ids that end a text, ascending; none where nothing is known to end one.
        special_ids: the ids of tokens that are no text, end tokens included;
            ids that name no token are not among them.
    """

    tokens: tuple[bytes, ...]
    end_ids: tuple[int, ...]
    special_ids: frozenset[int]

    @classmethod
    def from_tokens(cls, tokens: Sequence[bytes], end_ids: Sequence[int] = ()) -> Self:
        """A vocabulary with the given bytes by id; those of an end token are dropped.

        Raises:
            VocabularyError: an end id is no index of `tokens`, or a token is not bytes.
        """
        ends = frozenset(end_ids)
        kept = tuple(b"" if i in ends else token for i, token in enumerate(tokens))
        return cls(kept, tuple(sorted(ends)), ends).check()

    @classmethod
    def from_tokenizer(cls, tokenizer: Any, generation_config: Any = None) -> Self:
        """Read a fast Hugging Face tokenizer; see the module for what is text.

        Args:
            tokenizer: a transformers tokenizer with a `backend_tokenizer`, or a
                `tokenizers.Tokenizer` (which knows no end token).
            generation_config: the model's; its `eos_token_id`, one or several, are
                end tokens besides the tokenizer's.

        Raises:
            VocabularyError: its tokens have no bytes of their own, it is a slow
                tokenizer, or an end token is none of its tokens.
        """
        description = describe(tokenizer)
        spell = _speller(description)
        names = _names(description)
        ends = _end_ids(tokenizer) | _end_ids(generation_config)
        special = _special_ids(tokenizer, description) | ends
        tokens = [b""] * (max(names, default=-1) + 1)
        for token_id, name in names.items():
            if token_id not in special:
                tokens[token_id] = spell(name)
        return cls(tuple(tokens), tuple(sorted(ends)), frozenset(special)).check()

    @property
    def size(self) -> int:
        """V, the largest id + 1."""
        return len(self.tokens)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the tokens' bytes in id order, the end ids and the special ids."""
        lengths = np.fromiter(map(len, self.tokens), "<i8", self.size)
        digest = hashlib.sha256()
        for part in (
            lengths.tobytes(),
            b"".join(self.tokens),
            np.array(self.end_ids, "<i8").tobytes(),
            np.array(sorted(self.special_ids), "<i8").tobytes(),
        ):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
        return digest.hexdigest()

    @cached_property
    def spelled(self) -> frozenset[bytes]:
        """The bytes of all tokens that are text."""
        return frozenset(self.tokens) - {b""}

    @cached_property
    def ids(self) -> dict[bytes, tuple[int, ...]]:
        """The tokens that write some bytes, ascending."""
        found: dict[bytes, tuple[int, ...]] = {}
        for token, string in enumerate(self.tokens):
            if string:
                found[string] = (*found.get(string, ()), token)
        return found

    @cached_property
    def single_bytes(self) -> NDArray[np.bool_]:
        """bool[256], read-only: the bytes that some token writes alone."""
        spelled = np.zeros(256, np.bool_)
        spelled[[token[0] for token in self.tokens if len(token) == 1]] = True
        spelled.flags.writeable = False
        return spelled

    @cached_property
    def max_bytes(self) -> int:
        """D, the bytes of the longest token."""
        return max(map(len, self.tokens), default=0)

    def check(self) -> Self:
        """Return `self` if every attribute is as documented.

        Raises:
            VocabularyError: one is not; the message says which.
        """
        for token_id, token in enumerate(self.tokens):
            if type(token) is not bytes:
                raise VocabularyError(f"token {token_id} is {token!r}; give its bytes")
        for token_id in self.end_ids:
            if not 0 <= token_id < self.size:
                raise VocabularyError(
                    f"end token {token_id} is none of the vocabulary's {self.size} ids; "
                    f"does the generation config belong to another tokenizer?"
                )
        if list(self.end_ids) != sorted(set(self.end_ids)):
            raise VocabularyError(f"end ids {self.end_ids} must ascend; sort them")
        if not self.special_ids.issuperset(self.end_ids):
            raise VocabularyError("every end id is a special id too; add it")
        for token_id in self.special_ids:
            if not 0 <= token_id < self.size:
                raise VocabularyError(
                    f"special token {token_id} is none of the vocabulary's {self.size} ids"
                )
            if self.tokens[token_id]:
                raise VocabularyError(
                    f"special token {token_id} has the bytes {self.tokens[token_id]!r}; "
                    f"it is never text: its bytes are b''"
                )
        return self


def describe(tokenizer: Any) -> Description:
    """The tokenizer's JSON description, as the `tokenizers` package writes it."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    to_str = getattr(backend, "to_str", None)
    if to_str is None:
        raise VocabularyError(
            f"{type(tokenizer).__name__} has no JSON description to read; load the fast "
            f"tokenizer instead (`AutoTokenizer.from_pretrained(path)` where the folder has a "
            f"tokenizer.json), or give the bytes to `Vocabulary.from_tokens`"
        )
    description: Description = json.loads(to_str())
    return description


def _names(description: Description) -> dict[int, str]:
    """Token id → the token as the description spells it; added tokens win."""
    vocab = description["model"]["vocab"]
    if isinstance(vocab, Mapping):
        names = {token_id: name for name, token_id in vocab.items()}
    else:  # Unigram: a list of (name, score)
        names = {token_id: name for token_id, (name, _) in enumerate(vocab)}
    names.update((added["id"], added["content"]) for added in description["added_tokens"])
    return names


# --- which ids are not text ---------------------------------------------------------------

_SENTINEL_OPENERS = ("<", "[", "|", "\uff5c")  # the last is the full-width bar

_HTML_TAG = re.compile(
    r"</?(?:a|b|blockquote|br|caption|code|col|colgroup|dd|div|dl|dt|em|h[1-6]|hr|i|li|ol|p|pre"
    r"|s|span|strong|sub|sup|table|tbody|td|tfoot|th|thead|tr|u|ul) ?/?>"
)


def _end_ids(holder: Any) -> set[int]:
    """The ids in `holder.eos_token_id`: none, one or several."""
    ids = getattr(holder, "eos_token_id", None)
    if ids is None:
        return set()
    if not isinstance(ids, Iterable):
        ids = [ids]
    return {operator.index(token_id) for token_id in ids}


def _special_ids(tokenizer: Any, description: Description) -> set[int]:
    """The ids of special tokens and sentinels."""
    special = {
        added["id"]
        for added in description["added_tokens"]
        if added["special"] or _is_sentinel(added["content"])
    }
    special.update(getattr(tokenizer, "all_special_ids", ()))
    special.update(_unknown_ids(description["model"]))
    return special


def _is_sentinel(name: str) -> bool:
    """Whether an added token is spelled as a special one, though it is not flagged so."""
    bare = name.lstrip(" ▁")
    return (
        bare.startswith(_SENTINEL_OPENERS)
        and any(character.isalnum() for character in bare)
        and not _HTML_TAG.fullmatch(bare)
    )


def _unknown_ids(model: Description) -> Iterator[int]:
    """The id that stands for whatever the model cannot encode, if there is one."""
    if model.get("unk_id") is not None:
        yield model["unk_id"]
    if model.get("unk_token") in model["vocab"]:
        yield model["vocab"][model["unk_token"]]


# --- what a token writes ------------------------------------------------------------------


def _speller(description: Description) -> Speller:
    """The function from a token's name to its bytes, as the decoder has it."""
    steps = list(_flatten(description["decoder"]))
    if not steps:
        raise VocabularyError(
            "the tokenizer has no decoder, and so joins its tokens by spaces; set "
            "`backend_tokenizer.decoder` to the one it was trained with (ByteLevel, or "
            "Replace, ByteFallback and Fuse)"
        )
    if [step["type"] for step in steps if step["type"] != "Fuse"] == ["ByteLevel"]:
        return _spell_byte_level
    return _metaspace_speller(steps, byte_fallback=bool(description["model"].get("byte_fallback")))


def _flatten(decoder: Description | None) -> Iterator[Description]:
    """The steps of a decoder, `Sequence`s opened."""
    if decoder is None:
        return
    if decoder["type"] != "Sequence":
        yield decoder
        return
    for step in decoder["decoders"]:
        yield from _flatten(step)


def _byte_alphabet() -> dict[str, int]:
    """The byte that each character of a byte-level token stands for.

    Bytes that print in Latin-1 are their own characters; the others follow from U+0100.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable}
    alphabet.update((chr(0x100 + i), byte) for i, byte in enumerate(others))
    return alphabet


_BYTE_OF = _byte_alphabet()


def _spell_byte_level(name: str) -> bytes:
    try:
        return bytes([_BYTE_OF[character] for character in name])
    except KeyError:
        return name.encode()


_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def _metaspace_speller(steps: Sequence[Description], *, byte_fallback: bool) -> Speller:
    """The speller of a decoder that rewrites characters token by token.

    Raises:
        VocabularyError: a step looks beyond one token, or would rewrite what byte
            tokens write together.
    """
    replacements: list[tuple[str, str]] = []
    seen: set[str] = set()
    for step in steps:
        match step:
            case {"type": "Replace", "pattern": {"String": old}, "content": new} if not seen:
                replacements.append((old, new))
            case {"type": "Metaspace", "replacement": old} if not seen:
                replacements.append((old, " "))
            case {"type": "ByteFallback"} if not seen:
                seen.add("ByteFallback")
            case {"type": "Fuse"}:
                seen.add("Fuse")
            case {"type": "Strip", "content": " ", "stop": 0} if "Fuse" in seen:
                pass  # the space before the whole text, which tokens keep
            case _:
                raise _undecodable(step)
    if byte_fallback and "ByteFallback" not in seen:
        raise VocabularyError(
            "the tokenizer's model falls back to byte tokens (<0x41>) and its decoder does not "
            "turn them into bytes; add ByteFallback to `backend_tokenizer.decoder`"
        )

    def spell(name: str) -> bytes:
        for old, new in replacements:
            name = name.replace(old, new)
        if "ByteFallback" in seen and (found := _BYTE_TOKEN.fullmatch(name)):
            return bytes.fromhex(found[1])
        return name.encode()

    return spell


def _undecodable(step: Description) -> VocabularyError:
    return VocabularyError(
        f"the tokenizer's decoder has the step {json.dumps(step)}, by which a token's text "
        f"depends on its neighbours; only ByteLevel, or Replace (of a string) and Metaspace, "
        f"then ByteFallback, then Fuse and Strip (of the leading space), give each token bytes "
        f"of its own: use such a tokenizer, or give the bytes to `Vocabulary.from_tokens`"
    )
