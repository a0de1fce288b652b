"""Exact healing: the tokens that spell a prefix's last bytes, drawn by their weights.

Behind a context and a byte string, the text of a model goes on from one of the string's covers,
with the probability W(cover) / W(string) (`docs/byte-probabilities.md`). One is drawn, once, and
from there on the model writes token by token: its texts are distributed as if it had been
conditioned on the bytes. Under a grammar, covers whose last token runs on to what it does not allow
are left out, and the others share their weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from constrain.bitmask import bits_at
from constrain.covers.covers import AllSequences, Covers, CoverWalk
from constrain.covers.order import ByteOrder, log_sum
from constrain.generation.memory import Memory, ModelReader
from constrain.recent import Recent
from constrain.vocabulary import Vocabulary

BEAM = 64
"""Groups of covers that are kept; a few bytes seldom have as many."""

Context = tuple[int, ...]

MaskAt = Callable[[int], NDArray[np.int32]]
"""The mask int32[W] of what may come behind so many of the pending bytes."""


@dataclass(frozen=True)
class Seam:
    """The tokens over the end of a prefix.

    Attributes:
        tokens: they spell the pending bytes, and `past`.
        past: the bytes by which the last one runs past them.
        log_probability: of the cover, given the context.
        log_kept: the logarithm of the share of all covers that the grammar allows.
        memory: what the model has read of it, at least all but the last token.
    """

    tokens: tuple[int, ...]
    past: bytes
    log_probability: float
    log_kept: float
    memory: Memory


class Healer:
    """Draws covers.

    Args:
        reader: the model.
        vocabulary: what tokens write.
    """

    def __init__(self, reader: ModelReader, vocabulary: Vocabulary) -> None:
        self.reader = reader
        self._walk = CoverWalk(_order(vocabulary), AllSequences(), BEAM)

    def heal(
        self,
        contexts: Sequence[Sequence[int]],
        pending: Sequence[bytes],
        masks: Sequence[MaskAt],
        rng: np.random.Generator | None,
    ) -> list[Seam | None]:
        """A cover of each string behind its context; None where the grammar allows none.

        Args:
            contexts: token ids, at least one each.
            pending: the strings.
            masks: of each, what the grammar allows.
            rng: of the draws; None: the heaviest cover.

        Raises:
            ContextLengthError, LogitsError, DeadEndError: as of `ByteModel`.
        """
        keys = [(tuple(c), text) for c, text in zip(contexts, pending, strict=True)]
        covers = self._covers(list(dict.fromkeys(keys)))
        return [self._choose(covers[key], mask, rng) for key, mask in zip(keys, masks, strict=True)]

    def _covers(self, holes: list[tuple[Context, bytes]]) -> dict[tuple[Context, bytes], Covers]:
        """The covers of different strings behind their contexts, in step."""
        walk = self._walk
        starts = {context: self.reader.start(context) for context, _ in holes}
        many = {hole: walk.begin(*starts[hole[0]]) for hole in holes}
        for place in range(max((len(text) for _, text in holes), default=0)):
            moving = [hole for hole in holes if place < len(hole[1])]
            read = walk.read([many[hole] for hole in moving], self.reader)
            for hole, covers in zip(moving, read, strict=True):
                many[hole] = walk.advance(covers, hole[1][place])
        return many

    def _choose(
        self, covers: Covers, mask_at: MaskAt, rng: np.random.Generator | None
    ) -> Seam | None:
        order, length = self._walk.order, len(covers.prefix)
        parts = [np.array([path.log_weight for path in covers.paths])]
        for group in covers.groups:
            depth = int(order.trie.depth[group.node])
            below = order.below(group.node)
            logs = group.path.read_row.logp[below] + group.path.log_weight
            allowed = bits_at(mask_at(length - depth), order.tokens[below])
            parts.append(np.where(allowed, logs, -np.inf))
        logs = np.concatenate(parts)
        kept = log_sum(logs)
        if kept == -np.inf:
            return None
        choice = int(np.argmax(logs)) if rng is None else _draw(logs, kept, rng)
        log_kept = min(0.0, kept - covers.log_mass)
        if choice < len(covers.paths):
            path = covers.paths[choice]
            return Seam(path.tokens, b"", path.log_weight, log_kept, path.memory)
        bounds = np.cumsum([len(part) for part in parts])
        number = int(np.searchsorted(bounds, choice, side="right")) - 1
        group = covers.groups[number]
        token = int(order.tokens[order.below(group.node).start + choice - bounds[number]])
        past = order.vocabulary.tokens[token][int(order.trie.depth[group.node]) :]
        tokens = (*group.path.tokens, token)
        return Seam(tokens, past, float(logs[choice]), log_kept, group.path.memory)


def _draw(logs: NDArray[np.float64], kept: float, rng: np.random.Generator) -> int:
    weights = np.exp(logs - kept)
    return int(rng.choice(len(logs), p=weights / weights.sum()))


_orders: Recent[str, ByteOrder] = Recent(4)


def _order(vocabulary: Vocabulary) -> ByteOrder:
    """The vocabulary sorted by bytes, which takes a second for a large one."""
    order = _orders.get(vocabulary.fingerprint)
    if order is None:
        order = ByteOrder.of(vocabulary)
        _orders.put(vocabulary.fingerprint, order)
    return order


def rng_of_torch() -> np.random.Generator:
    """A generator that `torch.manual_seed` governs."""
    return np.random.default_rng(int(torch.randint(2**62, (1,))))
