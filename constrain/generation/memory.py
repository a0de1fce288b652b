"""What a model has read, as a tree: sequences with a common beginning share its keys and values.

A `Memory` holds what the attention layers keep of its own tokens, and its parent the rest. A
forward pass is given a cache that is put together for it, so no cache is ever changed: neither one
of a memory nor one of a caller.

Shapes: B rows of a pass, N tokens of the longest, H heads, D dimensions of a head, L logits.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from constrain.errors import ContextLengthError

MAX_ROWS = 64
"""Of one forward pass; more are read in several."""

_CHUNK = 32  # single tokens in a row that are put together

KeysValues = tuple[tuple[Tensor, Tensor], ...]
"""Of each layer, float[1, H, n, D] both."""


@dataclass(frozen=True, eq=False)
class Memory:
    """A sequence of tokens that the model has read.

    Attributes:
        parent: what stands before; None: nothing.
        tokens: behind it.
        length: of the whole sequence.
        kept: keys and values of `tokens`; None: the model keeps none.
        n_single: how many memories of few tokens end here, this one included.
    """

    parent: Memory | None
    tokens: tuple[int, ...]
    length: int
    kept: KeysValues | None
    n_single: int = 0

    def sequence(self) -> tuple[int, ...]:
        """All tokens."""
        parts = [memory.tokens for memory in self.line()]
        return tuple(token for part in parts for token in part)

    def line(self) -> list[Memory]:
        """The memories of the whole sequence, the first one first."""
        line: list[Memory] = []
        memory: Memory | None = self
        while memory is not None:
            line.append(memory)
            memory = memory.parent
        return line[::-1]


class ModelReader:
    """Reads tokens with a causal language model of transformers.

    Attributes:
        n_passes: forward passes so far.
    """

    def __init__(self, model: Any, *, use_cache: bool = True, temperature: float = 1.0) -> None:
        """Prepare to read.

        Args:
            model: it is put to no other use than to be called; it must be in `eval` mode.
            use_cache: keep keys and values; else each pass reads whole sequences again, as it
                also does where the model has layers other than of full attention.
            temperature: by which logits are divided, above 0.

        Raises:
            ValueError: the model is in training mode, where its answers are random.
        """
        if model.training:
            raise ValueError("the model is in training mode; call model.eval() first")
        self.n_passes = 0
        self._temperature = temperature
        self._model = model
        self._takes = frozenset(inspect.signature(model.forward).parameters)
        self._use_cache = use_cache and "past_key_values" in self._takes and _is_full(model.config)
        self._limit = getattr(model.config, "max_position_embeddings", None)

    def start(self, context: Sequence[int]) -> tuple[Memory, NDArray[np.float64]]:
        """Read a context of at least one token.

        Returns:
            Its memory, and the logits float64[L] of the token behind it.

        Raises:
            ContextLengthError: it is longer than the model reads.
        """
        self._check(len(context))
        [(cache, logits)] = self._run([None], [tuple(context)])
        return Memory(None, tuple(context), len(context), cache), logits

    def read(self, steps: Sequence[tuple[Memory, int]]) -> list[tuple[Memory, NDArray[np.float64]]]:
        """Read one more token behind each memory, at most MAX_ROWS in one pass.

        Raises:
            ContextLengthError: a sequence is longer than the model reads.
        """
        self._check(max((memory.length + 1 for memory, _ in steps), default=0))
        read = []
        for first in range(0, len(steps), MAX_ROWS):
            part = steps[first : first + MAX_ROWS]
            if self._use_cache:
                answers = self._run([memory for memory, _ in part], [(t,) for _, t in part])
            else:
                answers = self._run([None] * len(part), [(*m.sequence(), t) for m, t in part])
            for (memory, token), (kept, logits) in zip(part, answers, strict=True):
                read.append((_grown(memory, token, kept), logits))
        return read

    def cache(self, memory: Memory) -> Any:
        """A new cache of transformers with a memory's sequence, to go on from; None without."""
        return _assemble([memory], memory.length) if memory.kept is not None else None

    def cache_of_batch(self, memories: Sequence[Memory], lengths: Sequence[int]) -> Any:
        """A new cache of several sequences, padded on the left; None without caches.

        Args:
            memories: one a row.
            lengths: of each, how many tokens of it; at least one.
        """
        if any(memory.kept is None for memory in memories):
            return None
        lines, width = [memory.line() for memory in memories], max(lengths)
        cache = DynamicCache()
        for layer in range(len(lines[0][0].kept or ())):
            pairs = [_joined(line, layer) for line in lines]
            keys, values = (
                torch.cat([_padded(t[:, :, :n], width) for t, n in zip(part, lengths, strict=True)])
                for part in zip(*pairs, strict=True)
            )
            cache.update(keys, values, layer)
        return cache

    def _check(self, needed: int) -> None:
        if self._limit is not None and needed > self._limit:
            raise ContextLengthError(needed, self._limit)

    @torch.no_grad()
    def _run(
        self, pasts: Sequence[Memory | None], new: Sequence[tuple[int, ...]]
    ) -> list[tuple[KeysValues | None, NDArray[np.float64]]]:
        """One forward pass: of the new tokens behind each past, padded on the left."""
        self.n_passes += 1
        known = [past for past in pasts if past is not None]
        widest = max((past.length for past in known), default=0)
        width = max(map(len, new))
        device = self._model.device
        lengths = [
            len(tokens) if past is None else past.length + len(tokens)
            for past, tokens in zip(pasts, new, strict=True)
        ]
        options: dict[str, Any] = {"use_cache": self._use_cache}
        if self._use_cache:
            options["past_key_values"] = _assemble(known, widest) if known else DynamicCache()
        if "logits_to_keep" in self._takes:
            options["logits_to_keep"] = 1
        total = widest + width
        if any(length != total for length in lengths):
            seen = [[0] * (total - length) + [1] * length for length in lengths]
            options["attention_mask"] = torch.tensor(seen, device=device)
            if "position_ids" in self._takes:
                places = [range(length - total, length) for length in lengths]
                rows = [[max(place, 0) for place in row][-width:] for row in places]
                options["position_ids"] = torch.tensor(rows, device=device)
        ids = torch.tensor([(0,) * (width - len(row)) + row for row in new], device=device)
        output = self._model(input_ids=ids, **options)
        logits = output.logits[:, -1].double().cpu().numpy() / self._temperature
        kept = self._kept(output, [len(row) for row in new])
        return list(zip(kept, logits, strict=True))

    def _kept(self, output: Any, lengths: Sequence[int]) -> list[KeysValues | None]:
        """Keys and values of each row's new tokens, copied out of the pass's cache."""
        if not self._use_cache:
            return [None] * len(lengths)
        layers = list(_layers(output.past_key_values))
        return [
            tuple(
                (keys[row : row + 1, :, -n:].clone(), values[row : row + 1, :, -n:].clone())
                for keys, values in layers
            )
            for row, n in enumerate(lengths)
        ]


def _is_full(config: Any) -> bool:
    """Whether every layer attends to all that was read."""
    kinds = getattr(config, "layer_types", None)
    if kinds is not None:
        return set(kinds) == {"full_attention"}
    return not getattr(config, "sliding_window", None) and not hasattr(config, "state_size")


def _grown(memory: Memory, token: int, kept: KeysValues | None) -> Memory:
    """The memory behind one more token. Of many single tokens in a row one memory is made."""
    child = Memory(memory, (token,), memory.length + 1, kept, memory.n_single + 1)
    if child.n_single < _CHUNK or kept is None:
        return child
    line = child.line()[-_CHUNK:]
    return Memory(
        line[0].parent,
        tuple(token for memory in line for token in memory.tokens),
        child.length,
        tuple(_joined(line, layer) for layer in range(len(kept))),
    )


def _joined(line: Sequence[Memory], layer: int) -> tuple[Tensor, Tensor]:
    """One layer's keys and values of some memories, one behind the other."""
    pairs = [memory.kept[layer] for memory in line if memory.kept is not None]
    keys, values = zip(*pairs, strict=True)
    return torch.cat(keys, dim=2), torch.cat(values, dim=2)


def _assemble(memories: Sequence[Memory], width: int) -> Any:
    """A cache of several sequences, padded on the left to `width` tokens."""
    lines = [memory.line() for memory in memories]
    first = lines[0][0].kept
    assert first is not None
    cache = DynamicCache()
    for layer in range(len(first)):
        pairs = [_joined(line, layer) for line in lines]
        keys, values = (
            torch.cat([_padded(t, width) for t in part]) for part in zip(*pairs, strict=True)
        )
        cache.update(keys, values, layer)
    return cache


def _padded(tensor: Tensor, width: int) -> Tensor:
    missing = width - tensor.shape[2]
    return torch.nn.functional.pad(tensor, (0, 0, missing, 0)) if missing else tensor


def _layers(cache: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """The keys and values of each layer, float[B, H, N, D], of any version of transformers."""
    if hasattr(cache, "layers"):
        for layer in cache.layers:
            yield layer.keys, layer.values
    else:
        yield from zip(cache.key_cache, cache.value_cache, strict=True)
