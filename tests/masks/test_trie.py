"""Ranks of ends and byte tries against sorted lists of Python's own slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from constrain.masks.trie import (
    Ends,
    FlatTrie,
    build_trie,
    columns,
    node_rows,
    rank_ends,
    remainder_tries,
)

# Three letters, so that strings share prefixes; bytes of both ends, so that order matters.
BYTES = (0, 97, 255)
STRINGS = st.lists(st.lists(st.sampled_from(BYTES), max_size=5).map(bytes), max_size=40)
PERIODIC = st.integers(1, 40).map(lambda n: n * b"a")  # ranks by prefix doubling, many times

Pairs = set[tuple[bytes, int]]


def node_strings(trie: FlatTrie) -> list[bytes]:
    """What each node spells, read off `byte` and `depth` alone."""
    found: list[bytes] = [b""]
    path = b""
    for byte, depth in zip(trie.byte[1:].tolist(), trie.depth[1:].tolist(), strict=True):
        assert depth <= len(path) + 1
        path = path[: depth - 1] + bytes([byte]) if depth else b""
        found.append(path)
    return found


def assert_is_trie_of(trie: FlatTrie, pairs: Pairs) -> None:
    """Nodes, subtrees and tokens are those of `pairs`."""
    assert_are_tries_of(trie, [0], [pairs])


def assert_are_tries_of(trie: FlatTrie, roots: list[int], groups: Sequence[Pairs]) -> None:
    """The same, for several tries one behind the other."""
    spelled = node_strings(trie)
    assert trie.first[-1] == len(trie.tokens) == sum(len(pairs) for pairs in groups)
    for root, stop, pairs in zip(roots, [*roots[1:], len(spelled)], groups, strict=True):
        prefixes = sorted({string[:n] for string, _ in pairs for n in range(len(string) + 1)})
        prefixes = prefixes or [b""]
        assert spelled[root:stop] == prefixes  # preorder is the order of the strings
        for node, prefix in enumerate(prefixes, root):
            below = [n for n, other in enumerate(prefixes, root) if other.startswith(prefix)]
            assert trie.end[node] == below[-1] + 1
            here = trie.tokens[trie.first[node] : trie.first[node + 1]].tolist()
            assert here == sorted(token for string, token in pairs if string == prefix)
            under = trie.tokens[trie.first[node] : trie.first[trie.end[node]]].tolist()
            assert sorted(under) == sorted(t for s, t in pairs if s.startswith(prefix))


def pairs_of(strings: Sequence[bytes]) -> Pairs:
    return {(string, token) for token, string in enumerate(strings) if string}


def ids_of(strings: Sequence[bytes]) -> NDArray[np.int64]:
    return np.array([token for token, string in enumerate(strings) if string], np.int64)


def all_of(strings: Sequence[bytes]) -> tuple[FlatTrie, Ends]:
    ends = rank_ends(strings)
    return build_trie(ends, ids_of(strings)), ends


@given(strings=STRINGS | st.lists(PERIODIC, max_size=4))
def test_ends_are_ranked_as_python_sorts_them(strings: list[bytes]) -> None:
    ends = rank_ends(strings)
    slices = [string[i:] for string in strings for i in range(len(string))]
    ranked = sorted(set(slices))
    assert ends.data.tobytes() == b"".join(strings)
    assert [ranked[rank] for rank in ends.rank.tolist()] == slices
    places = zip(ends.place.tolist(), ends.length.tolist(), strict=True)
    assert [ends.data[place : place + n].tobytes() for place, n in places] == ranked
    assert ends.start.tolist() == [len(b"".join(strings[:n])) for n in range(len(strings))]


@given(strings=STRINGS)
def test_a_trie_holds_all_strings_that_are_not_empty(strings: list[bytes]) -> None:
    trie, _ = all_of(strings)
    assert_is_trie_of(trie, pairs_of(strings))


@given(strings=STRINGS, data=st.data())
def test_a_trie_may_be_of_some_tokens(strings: list[bytes], data: st.DataObject) -> None:
    ids = ids_of(strings)
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids))))
    ids = ids[chosen.astype(np.bool_)]
    wanted = {(strings[token], token) for token in ids.tolist()}
    assert_is_trie_of(build_trie(rank_ends(strings), ids), wanted)


@st.composite
def _groupings(draw: st.DrawFn) -> tuple[list[bytes], list[tuple[int, int]], list[set[int]]]:
    """Tokens, (node, group) pairs, and per group the bytes that no remainder begins with."""
    strings = draw(STRINGS)
    n_nodes = len({s[:n] for s in strings for n in range(len(s) + 1)} | {b""})
    killed = draw(st.lists(st.sets(st.sampled_from(BYTES)), min_size=1, max_size=4))
    pair = st.tuples(st.integers(0, n_nodes - 1), st.integers(0, len(killed) - 1))
    return strings, draw(st.lists(pair, max_size=8, unique=True)), killed


@given(_groupings())
@example(([b"aa"], [(0, 1), (1, 1)], [set(), set(), set()]))
@example(([b"a", b"aa"], [(1, 0), (0, 2)], [{97}, set(), set()]))  # the first vanishes
@example(([b"aa"], [(0, 1), (1, 2)], [set(), set(), {97}]))  # the last one does
@example(([b"\0", b"\xff"], [(0, 1)], [set(), {0}]))
def test_remainders_are_what_is_left_below_the_nodes_group_by_group(
    case: tuple[list[bytes], list[tuple[int, int]], list[set[int]]],
) -> None:
    strings, chosen, dead = case
    trie, ends = all_of(strings)
    spelled = node_strings(trie)
    killed = np.zeros((len(dead), 256), np.bool_)
    left: list[Pairs] = [set() for _ in dead]
    for group, members in enumerate(dead):
        killed[group, list(members)] = True
    for node, group in chosen:
        above = spelled[node]
        rests = [(s[len(above) :], t) for s, t in pairs_of(strings) if s.startswith(above)]
        left[group] |= {(rest, t) for rest, t in rests if rest and rest[0] not in dead[group]}
    nodes = np.array([node for node, _ in chosen], np.int32)
    groups = np.array([group for _, group in chosen], np.int64)

    tries, roots, found = remainder_tries(trie, ends, nodes, groups, killed)

    wanted = [group for group, pairs in enumerate(left) if pairs]
    assert found.tolist() == wanted
    if wanted:
        assert_are_tries_of(tries, roots.tolist(), [left[group] for group in wanted])
    else:
        assert_is_trie_of(tries, set())


def test_types_and_shapes() -> None:
    trie, ends = all_of([b"ab", b"", b"ab", b"b"])
    assert [array.dtype for array in trie] == [np.int32] * 5
    assert [len(array) for array in trie] == [4, 4, 4, 5, 3]
    kinds = [np.uint8, np.int64, np.int32, np.int64, np.int64]
    assert [array.dtype for array in ends] == kinds
    assert [len(array) for array in ends] == [5, 4, 5, 2, 2]


def test_no_strings_make_a_root() -> None:
    for strings in ([], [b"", b""]):
        trie, _ = all_of(strings)
        assert trie.end.tolist() == [1]
        assert trie.first.tolist() == [0, 0]


def test_a_trie_is_made_of_its_rows_again() -> None:
    trie, _ = all_of([b"ab", b"", b"ab", b"b"])
    again = columns(node_rows(trie), trie.tokens)
    for one, other in zip(trie, again, strict=True):
        assert (one == other).all()
        assert one.strides == other.strides, "for other strides kernels are compiled anew"
