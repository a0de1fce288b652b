"""The byte trie against sorted lists of prefixes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from constrain.masks.trie import FlatTrie, build_trie, remainder_trie

# Three letters, so that strings share prefixes; bytes of both ends, so that order matters.
STRINGS = st.lists(st.lists(st.sampled_from([0, 97, 255]), max_size=5).map(bytes), max_size=40)


def node_strings(trie: FlatTrie) -> list[bytes]:
    """What each node spells, read off `byte` and `depth` alone."""
    found: list[bytes] = [b""]
    path = b""
    for byte, depth in zip(trie.byte[1:].tolist(), trie.depth[1:].tolist(), strict=True):
        assert 1 <= depth <= len(path) + 1
        path = path[: depth - 1] + bytes([byte])
        found.append(path)
    return found


def assert_is_trie_of(trie: FlatTrie, pairs: set[tuple[bytes, int]]) -> None:
    """Nodes, subtrees and tokens are those of `pairs`."""
    prefixes = sorted({string[:n] for string, _ in pairs for n in range(len(string) + 1)} | {b""})
    assert node_strings(trie) == prefixes  # preorder is the order of the strings
    for node, prefix in enumerate(prefixes):
        below = [n for n, other in enumerate(prefixes) if other.startswith(prefix)]
        assert trie.end[node] == below[-1] + 1
        here = trie.tokens[trie.first[node] : trie.first[node + 1]].tolist()
        assert here == sorted(token for string, token in pairs if string == prefix)
        under = trie.tokens[trie.first[node] : trie.first[trie.end[node]]].tolist()
        assert sorted(under) == sorted(t for s, t in pairs if s.startswith(prefix))
    assert trie.first[-1] == len(trie.tokens) == len(pairs)


def pairs_of(strings: Sequence[bytes]) -> set[tuple[bytes, int]]:
    return {(string, token) for token, string in enumerate(strings) if string}


@given(strings=STRINGS)
def test_a_trie_holds_all_strings_that_are_not_empty(strings: list[bytes]) -> None:
    assert_is_trie_of(build_trie(strings), pairs_of(strings))


@given(strings=STRINGS, data=st.data())
def test_token_ids_may_be_given(strings: list[bytes], data: st.DataObject) -> None:
    ids = data.draw(st.permutations(range(len(strings))))
    pairs = {(string, token) for string, token in zip(strings, ids, strict=True) if string}
    assert_is_trie_of(build_trie(strings, ids), pairs)


@given(strings=STRINGS, data=st.data())
def test_remainders_are_what_is_left_below_the_nodes(
    strings: list[bytes], data: st.DataObject
) -> None:
    trie = build_trie(strings)
    spelled = node_strings(trie)
    nodes = data.draw(st.lists(st.integers(0, len(spelled) - 1), max_size=5))
    left = {
        (string[len(spelled[node]) :], token)
        for node in nodes
        for string, token in pairs_of(strings)
        if string.startswith(spelled[node]) and string != spelled[node]
    }
    assert_is_trie_of(remainder_trie(trie, np.array(nodes, np.int32), strings), left)


def test_types_and_shapes() -> None:
    trie = build_trie([b"ab", b"", b"ab", b"b"])
    assert [array.dtype for array in trie] == [np.uint8, *[np.int32] * 4]
    assert [len(array) for array in trie] == [4, 4, 4, 5, 3]


def test_no_strings_make_a_root() -> None:
    trie = build_trie([b"", b""])
    assert trie.end.tolist() == [1]
    assert trie.first.tolist() == [0, 0]
