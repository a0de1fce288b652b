"""How models are asked to fill in a middle: sentinels around prefix and suffix, by family.

Input:  the names of a tokenizer's added tokens.
Output: a `FimFormat`: what to write before the middle, and in which order.

The layouts are those of Bavarian et al., Efficient Training of Language Models to Fill in the
Middle (arXiv:2207.14255): PSM writes the prefix, the suffix and then the middle; SPM the suffix
first, so that prefix and middle stand together.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from constrain.errors import FimFormatError

Layout = Literal["psm", "spm"]


class Place(Enum):
    """What of the user's text stands in a layout."""

    PREFIX = "prefix"
    SUFFIX = "suffix"


Part = str | Place  # a sentinel by its name, or text


@dataclass(frozen=True)
class FimFormat:
    """The sentinels of one family of models; the middle is written behind the last part.

    Attributes:
        name: of the family.
        psm: prefix before suffix; empty where models were not trained on it.
        spm: suffix before prefix; the same.
        is_begun: the tokenizer's first token, if it has one, stands before all.
        ends: tokens that end a middle besides the end tokens, where the tokenizer has them.
    """

    name: str
    psm: tuple[Part, ...]
    spm: tuple[Part, ...] = ()
    is_begun: bool = False
    ends: tuple[str, ...] = ()

    @property
    def sentinels(self) -> tuple[str, ...]:
        """The names of the tokens without which there is no such format."""
        parts = dict.fromkeys((*self.psm, *self.spm))
        return tuple(part for part in parts if isinstance(part, str))

    def layout(self, wanted: Literal["auto", "psm", "spm"] = "auto") -> Layout:
        """The layout to use; "auto" is SPM where there is one: no seam before the middle.

        Raises:
            FimFormatError: models of this family were not trained on `wanted`.
        """
        if wanted == "auto":
            return "spm" if self.spm else "psm"
        if not self.parts(wanted):
            raise FimFormatError(
                f"models of the format {self.name!r} know no {wanted.upper()} layout; use "
                f'layout="auto", or give a FimFormat of your own'
            )
        return wanted

    def parts(self, layout: Layout) -> tuple[Part, ...]:
        """What to write before the middle, in order."""
        return self.psm if layout == "psm" else self.spm


def _both(prefix: str, suffix: str, middle: str) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    psm = (prefix, Place.PREFIX, suffix, Place.SUFFIX, middle)
    return psm, (prefix, suffix, Place.SUFFIX, middle, Place.PREFIX)


_BAR = "\N{FULLWIDTH VERTICAL LINE}"

FORMATS = (
    # StarCoder (arXiv:2305.06161) and the embedded model learn both layouts.
    FimFormat(
        "starcoder", *_both("<fim_prefix>", "<fim_suffix>", "<fim_middle>"), ends=("<file_sep>",)
    ),
    # Code Llama (arXiv:2308.12950) learns both; ▁ is a space of SentencePiece.
    FimFormat("codellama", *_both("▁<PRE>", "▁<SUF>", "▁<MID>"), is_begun=True, ends=("▁<EOT>",)),
    # DeepSeek-Coder (arXiv:2401.14196): PSM alone.
    FimFormat(
        "deepseek",
        _both(f"<{_BAR}fim▁begin{_BAR}>", f"<{_BAR}fim▁hole{_BAR}>", f"<{_BAR}fim▁end{_BAR}>")[0],
        is_begun=True,
        ends=("<|EOT|>",),
    ),
    # Qwen2.5-Coder (arXiv:2409.12186) and CodeGemma (arXiv:2406.11409) share these: PSM alone.
    FimFormat(
        "qwen",
        _both("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")[0],
        is_begun=True,
        ends=("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|file_separator|>"),
    ),
    # Codestral, by its tokenizer's own encoder of requests: SPM alone, nothing behind the prefix.
    FimFormat("codestral", (), ("[SUFFIX]", Place.SUFFIX, "[PREFIX]", Place.PREFIX), is_begun=True),
)
"""The families that are known, by their sentinels."""


def detect_format(tokens: Container[str]) -> FimFormat:
    """The format of the model whose tokenizer has these tokens.

    Args:
        tokens: names of added tokens.

    Raises:
        FimFormatError: it has the sentinels of no family that is known.
    """
    for known in FORMATS:
        if all(sentinel in tokens for sentinel in known.sentinels):
            return known
    raise FimFormatError(
        "the tokenizer has no sentinels that are known, such as <fim_prefix>, <fim_suffix> and "
        "<fim_middle>: its model was not trained to fill in a middle, or give the FimFormat"
    )
