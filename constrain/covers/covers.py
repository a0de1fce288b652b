"""The covers of a byte string: how tokens may spell it, each with its weight.

`docs/byte-probabilities.md` defines covers and the two laws. Here they are kept as values:

- `Path`: a token sequence whose bytes are a beginning of the string, and what comes next;
- `Group`: all covers that are one path and one more token, which runs past the string. They are
  the tokens below one node of the byte-sorted trie, so a group is one number;
- `Covers`: the string, its groups, and the paths that end exactly where it ends.

One more byte (`CoverWalk.advance`) moves each group one node down; the tokens that end there
become new paths, which the model must read (`CoverWalk.read`) before the next byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from constrain.covers.order import ROOT, ByteOrder, Row, log_sum, log_sums, make_row

STOP = 256
"""The index of stop in a distribution of the next byte."""


class Law(Protocol):
    """Which token sequences count. A state is an immutable value, one for each sequence."""

    def start(self) -> Any:
        """The state of the empty sequence."""

    def advance(self, state: Any, token: int) -> Any:
        """The state behind one more token, which is allowed in `state`."""

    def allowed(self, state: Any) -> NDArray[np.bool_] | None:
        """bool[V]: the text and end tokens that may come next; None: all."""


class AllSequences:
    """The law "all": every token sequence counts."""

    def start(self) -> None:
        """There is nothing to remember."""

    def advance(self, state: None, token: int) -> None:
        """There is nothing to remember."""

    def allowed(self, state: None) -> None:
        """All may come next."""


class Reader(Protocol):
    """The model. A memory is whatever it keeps of a sequence that it has read; never changed."""

    def read(self, steps: Sequence[tuple[Any, int]]) -> Sequence[tuple[Any, NDArray[np.float64]]]:
        """Read one more token behind each memory, all in one forward pass.

        Returns:
            The new memory and the logits float64[L] of the token behind, for each.
        """


@dataclass(frozen=True, eq=False)
class Path:
    """A sequence of whole tokens behind the context.

    Attributes:
        tokens: their ids.
        log_weight: its log-probability under the law.
        state: the law's, or that of the sequence without its last token until it is read.
        memory: the model's, as `state`.
        row: what comes next; None until it is read.
    """

    tokens: tuple[int, ...]
    log_weight: float
    state: Any
    memory: Any
    row: Row | None = None

    @property
    def read_row(self) -> Row:
        """The row, of a path that was read."""
        if self.row is None:
            raise ValueError("the covers end in paths that no model has read; read them first")
        return self.row


@dataclass(frozen=True, eq=False)
class Group:
    """The covers `path·t` for all tokens t that run past the string.

    Attributes:
        path: it ends inside the string; read.
        node: of the trie, the bytes of the string behind the path.
        log_mass: of all its covers together.
    """

    path: Path
    node: int
    log_mass: float


@dataclass(frozen=True)
class Cover:
    """One cover.

    Attributes:
        tokens: the whole sequence.
        past: the bytes by which the last token runs past the string.
        log_weight: its log-probability.
        path: what of it the model has read: all, or all but the last token.
    """

    tokens: tuple[int, ...]
    past: bytes
    log_weight: float
    path: Path


@dataclass(frozen=True, eq=False)
class Covers:
    """All covers of a string, or the heaviest of them.

    Attributes:
        prefix: the string x.
        groups: the covers that run past it.
        paths: the covers that end where it ends.
        log_pruned: a bound on the mass of the covers that were dropped; -inf: none.
        dropped: the shares of the mass that were dropped after each byte, added up: what is
            missing of W if what was dropped goes on as what was kept. No bound.
    """

    prefix: bytes
    groups: tuple[Group, ...]
    paths: tuple[Path, ...]
    log_pruned: float = -np.inf
    dropped: float = 0.0

    @property
    def log_mass(self) -> float:
        """The logarithm of W(x), of the covers that were kept; -inf: nothing spells the string."""
        masses = [group.log_mass for group in self.groups]
        return log_sum(np.array(masses + [path.log_weight for path in self.paths]))

    @property
    def error(self) -> float:
        """How far probabilities may be off by what was dropped, in total variation."""
        if self.log_pruned == -np.inf:
            return 0.0
        total = np.logaddexp(self.log_mass, self.log_pruned)
        return float(np.exp(self.log_pruned - total))

    @property
    def is_read(self) -> bool:
        """Whether the model has read all paths."""
        return all(path.row is not None for path in self.paths)


@dataclass(frozen=True, eq=False)
class CoverWalk:
    """Steps covers along a string.

    Attributes:
        order: of the vocabulary.
        law: which sequences count.
        width: at most so many groups and paths are kept after a byte; None: all.
    """

    order: ByteOrder
    law: Law
    width: int | None = None

    def begin(self, memory: Any, logits: NDArray[np.float64]) -> Covers:
        """The cover of the empty string.

        Args:
            memory: the model's, of the context.
            logits: float64[L], what comes behind the context.

        Raises:
            LogitsError, DeadEndError: see `make_row`.
        """
        state = self.law.start()
        row = make_row(self.order, logits, self.law.allowed(state))
        return Covers(b"", (), (Path((), 0.0, state, memory, row),))

    def advance(self, covers: Covers, byte: int) -> Covers:
        """The covers of the string and one more byte; their new paths are not read."""
        groups: list[Group] = []
        paths: list[Path] = []
        for path, node in _places(covers):
            child = self.order.child(node, byte)
            if child is None:
                continue
            row = path.read_row
            for index in self.order.spelled(child):
                log_weight = path.log_weight + row.logp[index]
                if log_weight > -np.inf:
                    tokens = (*path.tokens, int(self.order.tokens[index]))
                    paths.append(Path(tokens, float(log_weight), path.state, path.memory))
            mass = path.log_weight + log_sum(row.logp[self.order.below(child)])
            if mass > -np.inf:
                groups.append(Group(path, child, mass))
        stepped = replace(
            covers,
            prefix=covers.prefix + bytes([byte]),
            groups=tuple(groups),
            paths=tuple(paths),
        )
        return stepped if self.width is None else _prune(stepped, self.width)

    def read(self, many: Sequence[Covers], reader: Reader) -> list[Covers]:
        """The same covers with all their paths read, in one forward pass for all of them.

        Raises:
            LogitsError, DeadEndError: see `make_row`.
        """
        unread = [path for covers in many for path in covers.paths if path.row is None]
        if not unread:
            return list(many)
        answers = reader.read([(path.memory, path.tokens[-1]) for path in unread])
        read = {}
        for path, (memory, logits) in zip(unread, answers, strict=True):
            state = self.law.advance(path.state, path.tokens[-1])
            row = make_row(self.order, logits, self.law.allowed(state))
            read[id(path)] = replace(path, state=state, memory=memory, row=row)
        return [
            replace(covers, paths=tuple(read.get(id(path), path) for path in covers.paths))
            for covers in many
        ]

    def log_masses(self, covers: Covers) -> NDArray[np.float64]:
        """The logarithms of W(xb) for each byte b, and of W(x, stop); of covers that are read.

        Returns:
            float64[257].
        """
        parts: list[NDArray[np.float64]] = []
        for path, node in _places(covers):
            row, children = path.read_row, self.order.children(node)
            part = np.full(257, -np.inf)
            if len(children.starts):
                first = int(children.starts[0])
                logs = row.logp[first : children.stop]
                part[children.bytes] = log_sums(logs, children.starts - first)
            if node == ROOT:
                part[STOP] = row.stop
            parts.append(part + path.log_weight)
        if not parts:
            return np.full(257, -np.inf)
        stacked = np.stack(parts, axis=1).ravel()
        return log_sums(stacked, np.arange(257, dtype=np.int64) * len(parts))

    def log_probabilities(self, covers: Covers) -> NDArray[np.float64]:
        """The logarithms of P(b | x) for each byte, and of P(stop | x).

        The covers have mass and are read.

        Returns:
            float64[257]; exp of it sums to one.
        """
        masses = self.log_masses(covers)
        return masses - log_sum(masses)

    def sample(self, covers: Covers, rng: np.random.Generator) -> Cover:
        """Draw one cover by its weight; the covers must have mass.

        `Cover.path.memory` is the model's memory of what it has read, to go on from.
        """
        masses = [group.log_mass for group in covers.groups]
        masses += [path.log_weight for path in covers.paths]
        choice = _draw(np.array(masses), rng)
        if choice >= len(covers.groups):
            path = covers.paths[choice - len(covers.groups)]
            return Cover(path.tokens, b"", path.log_weight, path)
        group = covers.groups[choice]
        below = self.order.below(group.node)
        logs = group.path.read_row.logp[below]
        index = _draw(logs, rng)
        token = int(self.order.tokens[below.start + index])
        depth = int(self.order.trie.depth[group.node])
        return Cover(
            (*group.path.tokens, token),
            self.order.vocabulary.tokens[token][depth:],
            float(group.path.log_weight + logs[index]),
            group.path,
        )


def _places(covers: Covers) -> list[tuple[Path, int]]:
    """All paths with the node of what the string has behind them."""
    places = [(group.path, group.node) for group in covers.groups]
    return places + [(path, ROOT) for path in covers.paths]


def _prune(covers: Covers, width: int) -> Covers:
    """The heaviest `width` groups and paths; the mass of the others is added to the pruned."""
    n_groups = len(covers.groups)
    masses = [group.log_mass for group in covers.groups]
    masses += [path.log_weight for path in covers.paths]
    if len(masses) <= width:
        return covers
    ranked = np.argsort(-np.array(masses), kind="stable")
    kept = sorted(ranked[:width].tolist())
    dropped = log_sum(np.array(masses)[ranked[width:]])
    return replace(
        covers,
        groups=tuple(covers.groups[i] for i in kept if i < n_groups),
        paths=tuple(covers.paths[i - n_groups] for i in kept if i >= n_groups),
        log_pruned=float(np.logaddexp(covers.log_pruned, dropped)),
        dropped=covers.dropped + float(np.exp(dropped - covers.log_mass)),
    )


def _draw(logs: NDArray[np.float64], rng: np.random.Generator) -> int:
    """An index, each by its weight."""
    weights = np.cumsum(np.exp(logs - logs.max()))
    index = int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))
    return min(index, int(np.flatnonzero(logs > -np.inf)[-1]))
