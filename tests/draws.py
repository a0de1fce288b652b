"""Ways to draw a token from a mask, with no model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from constrain import Vocabulary

Draw = Callable[[NDArray[np.int64], np.random.Generator], int]


def uniform(ids: NDArray[np.int64], rng: np.random.Generator) -> int:
    """Each token has the same chance."""
    return int(ids[rng.integers(len(ids))])


def by_first_byte(vocabulary: Vocabulary) -> Draw:
    """A draw that gives each first byte the same chance; all end tokens count as one byte.

    So brackets and operators are not drowned by the letters.
    """
    first = np.array([token[0] if token else 256 for token in vocabulary.tokens])

    def draw(ids: NDArray[np.int64], rng: np.random.Generator) -> int:
        firsts = first[ids]
        present = np.flatnonzero(np.bincount(firsts))
        return uniform(ids[firsts == uniform(present, rng)], rng)

    return draw
