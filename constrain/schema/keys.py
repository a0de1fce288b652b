"""Keys of objects as states of a lexicon: those listed by name, and the languages of all others.

A lexeme goes on behind the closing quote up to the colon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from constrain.automata.dfa import ByteDFA
from constrain.automata.lexer import DEAD
from constrain.schema import strings
from constrain.schema.lexicon import QUOTE, Lexicon, row_to

Entry = tuple[bytes, int]  # the spelling of a key, and its winner; REFUSED: it must not come
REFUSED = -1


def listed_keys(
    lexicon: Lexicon, entries: Iterable[Entry], others: int, colon: bytes | None
) -> int:
    """The state behind the opening quote of a key.

    Args:
        lexicon: where the states are made.
        entries: the keys listed by name, and those that must not come.
        others: the state behind the opening quote of all other keys.
        colon: what comes between the closing quote and the colon; None: white space.
    """
    return _keys(lexicon, tuple(sorted(entries)), others, colon)


def _keys(lexicon: Lexicon, entries: tuple[Entry, ...], others: int, colon: bytes | None) -> int:
    if not entries:
        return others
    key = ("keys", entries, others, colon)
    state = lexicon.made.get(key)
    if state is None:
        state = lexicon.made[key] = _chain(lexicon, entries, others, colon)
    return state


def _chain(lexicon: Lexicon, entries: tuple[Entry, ...], others: int, colon: bytes | None) -> int:
    """A state of `_keys`: down to where the keys part, then back up."""
    common = _common_prefix(entries)
    passed = [others]
    for byte in common:
        passed.append(int(lexicon.next[passed[-1], byte]))
    rest = tuple((spelling[len(common) :], winner) for spelling, winner in entries)
    row = lexicon.next[passed[-1]].copy()
    by_byte: dict[int, list[Entry]] = {}
    for spelling, winner in rest:
        if not spelling:
            row[QUOTE] = DEAD if winner == REFUSED else _colon(lexicon, winner, colon)
        else:
            by_byte.setdefault(spelling[0], []).append((spelling[1:], winner))
    for byte, below in by_byte.items():
        row[byte] = _keys(lexicon, tuple(below), int(lexicon.next[passed[-1], byte]), colon)
    if not row.any():  # no key is left: nor are those before it, where no other key is
        state = DEAD
        for byte, before in zip(reversed(common), reversed(passed[:-1]), strict=True):
            row = lexicon.next[before].copy()
            row[byte] = state
            state = lexicon.like(lexicon.state(row), before)
        return state
    return lexicon.along(common, passed, row)


def _colon(lexicon: Lexicon, winner: int, colon: bytes | None) -> int:
    return lexicon.behind(colon, row_to({ord(":"): lexicon.end(winner)}))


def key_class(
    lexicon: Lexicon,
    languages: Mapping[int, ByteDFA | None],
    colon: bytes | None,
    *,
    any_escape: bool,
) -> int:
    """The state behind the opening quote of a key of disjoint languages.

    Args:
        lexicon: where the states are made.
        languages: by the winner that such a key is; None: any key.
        colon: see `listed_keys`.
        any_escape: keys may be spelled with any escapes.
    """
    parts = []
    for winner, keys in languages.items():
        content = strings.ANY if keys is None else keys
        key = ("class", content.content_hash, winner, colon, any_escape)
        if key not in lexicon.made:
            spelling = strings.spell(content, any_escape=any_escape)
            lexicon.made[key] = lexicon.embed_before(
                spelling, QUOTE, _colon(lexicon, winner, colon)
            )
        parts.append(lexicon.made[key])
    return parts[0] if len(parts) == 1 else lexicon.product(tuple(parts)) if parts else DEAD


def _common_prefix(entries: tuple[Entry, ...]) -> bytes:
    """Sorted entries have what the first and the last have in common."""
    first, last = entries[0][0], entries[-1][0]
    n = 0
    while n < min(len(first), len(last)) and first[n] == last[n]:
        n += 1
    return first[:n]
