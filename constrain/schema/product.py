"""Several automata of a lexicon as one: the states of their product, found in compiled code.

A state of a product is the states that its automata are in, DEAD where one has died. Where all that
live are in one state, and no automaton that died could take its winners for its own, that
state will do: so automata that part by their first bytes cost nothing. Where some are nearly like
others, as keys are like all other keys, so are they at once, and only what differs is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from constrain.automata.lexer import DEAD
from constrain.kernel import kernel

FIRST_ROOM = 64

MAX_BASES = 8
"""States that are like one another, of which each is looked at."""

WIDER = 2
"""By how many times more bytes one automaton goes on than all others, if the product is like it."""

DONE, ASKED, NO_ROOM = 0, -1, -2
"""Results of `find_states`."""

N_FOUND, N_FILLED, START, ASKED_FOR = range(4)
"""Places of `Product.used`."""

UNSURE, APART, SHARED = range(3)
"""Whether an automaton that died could take a state's winners for its own."""


class Product(NamedTuple):
    """States of a product in the order in which they are found.

    parts:   int32[R, P], the states that its automata are in
    rows:    int32[R, 256], where they lead
    base:    int32[R], the state that each is nearly like; DEAD: none
    near:    int32[R, P], the parts of that state
    table:   int32[2R], a hash table of `parts` with open addressing; −1 where free
    chain:   int32[MAX_BASES, P], room for `_number`
    verdict: uint8[S, P], UNSURE, APART or SHARED
    used:    int64[4], see `N_FOUND`
    """

    parts: NDArray[np.int32]
    rows: NDArray[np.int32]
    base: NDArray[np.int32]
    near: NDArray[np.int32]
    table: NDArray[np.int32]
    chain: NDArray[np.int32]
    verdict: NDArray[np.uint8]
    used: NDArray[np.int64]


def find_product(
    starts: tuple[int, ...],
    transitions: NDArray[np.int32],
    like: NDArray[np.int32],
    is_apart: Callable[[int], list[bool]],
    max_states: int,
) -> tuple[Product, int]:
    """All states of the product, and the first of them.

    Args:
        starts: the states in which the automata begin, P of them.
        transitions: int32[S, 256]; the product's states are numbered from S on.
        like: int32[S], what each state is nearly like; DEAD: nothing.
        is_apart: of a state, which automata could not take its winners for their own.
        max_states: no more are looked for.
    """
    n_parts, n_states = len(starts), len(transitions)
    verdict = np.zeros((n_states, n_parts), np.uint8)
    chain, used = np.zeros((MAX_BASES, n_parts), np.int32), np.zeros(4, np.int64)
    product = _with_room(FIRST_ROOM, n_parts, chain, verdict, used)
    begin = np.array(starts, np.int32)
    while (result := find_states(product, begin, transitions, like)) != DONE:
        if result == ASKED:
            state = int(used[ASKED_FOR])
            verdict[state] = np.where(is_apart(state), APART, SHARED)
        elif len(product.parts) > max_states:
            break
        else:
            product = _longer(product)
    n = int(used[N_FOUND])
    whole = product._replace(parts=product.parts[:n], rows=product.rows[:n], base=product.base[:n])
    return whole, int(used[START])


def _with_room(
    room: int,
    n_parts: int,
    chain: NDArray[np.int32],
    verdict: NDArray[np.uint8],
    used: NDArray[np.int64],
) -> Product:
    return Product(
        np.zeros((room, n_parts), np.int32),
        np.zeros((room, 256), np.int32),
        np.zeros(room, np.int32),
        np.zeros((room, n_parts), np.int32),
        np.full(2 * room, -1, np.int32),
        chain,
        verdict,
        used,
    )


def _longer(product: Product) -> Product:
    n = len(product.parts)
    chain, verdict, used = product.chain, product.verdict, product.used
    longer = _with_room(4 * n, product.parts.shape[1], chain, verdict, used)
    for old, new in zip(product[:4], longer[:4], strict=True):
        new[:n] = old
    fill_table(longer)
    return longer


@kernel
def find_states(
    product: Product,
    starts: NDArray[np.int32],
    transitions: NDArray[np.int32],
    like: NDArray[np.int32],
) -> int:
    """Find states and where they lead, until all are; called again, it goes on.

    Returns:
        DONE; ASKED: the verdict of `used[ASKED_FOR]` is wanted; NO_ROOM.
    """
    n_states, used = len(transitions), product.used
    for i in range(len(starts)):
        product.chain[0, i] = starts[i]
    start = _number(product, transitions, like)
    if start < 0:
        return start
    used[START] = start
    while used[N_FILLED] < used[N_FOUND]:
        state = used[N_FILLED]
        parts, row, base = product.parts[state], product.rows[state], product.base[state]
        for byte in range(256):
            is_new, differs = byte == 0, base == DEAD
            for i in range(len(parts)):
                target = transitions[parts[i], byte]
                is_new |= byte > 0 and target != transitions[parts[i], byte - 1]
                differs |= target != transitions[product.near[state, i], byte]
            if not differs:
                near = transitions if base < n_states else product.rows
                row[byte] = near[base - (0 if base < n_states else n_states), byte]
            elif not is_new and base == DEAD:
                row[byte] = row[byte - 1]
            else:
                for i in range(len(parts)):
                    product.chain[0, i] = transitions[parts[i], byte]
                row[byte] = _number(product, transitions, like)
                if row[byte] < 0:
                    return int(row[byte])
        used[N_FILLED] += 1
    return DONE


@kernel
def _number(product: Product, transitions: NDArray[np.int32], like: NDArray[np.int32]) -> int:
    """The state that has the parts `chain[0]`; below zero as `find_states` says.

    What it is like is there before it is: its number is lower, and its row is filled before.
    """
    chain, n_states, n_chain = product.chain, len(transitions), 1
    known = _known(product, chain[0], n_states)
    if known != NO_ROOM:
        return known
    while n_chain < MAX_BASES:
        if not _put_base(product, n_chain, transitions, like):
            break
        n_chain += 1
    number = DEAD
    for i in range(n_chain - 1, -1, -1):
        base = number
        number = _known(product, chain[i], n_states)
        if number == NO_ROOM:
            number = _add(product, i, base if i < n_chain - 1 else DEAD, n_states)
        if number < 0:
            return number
    return number


@kernel
def _put_base(
    product: Product, place: int, transitions: NDArray[np.int32], like: NDArray[np.int32]
) -> bool:
    """Put the parts into the chain that the last ones there are nearly like; whether there are any.

    If it is not what their states are like, it is one of them alone that goes on with far more
    bytes than all others: most texts are soon the same to it.
    """
    parts, other = product.chain[place - 1], product.chain[place]
    is_other = False
    for i in range(len(parts)):
        base = like[parts[i]]
        other[i] = parts[i] if base == DEAD else base
        is_other |= base != DEAD
    if is_other:
        return True
    widest, most, n_all, n_live = 0, 0, 0, 0
    for i in range(len(parts)):
        n_bytes = 0
        for byte in range(256):
            n_bytes += transitions[parts[i], byte] != DEAD
        n_all += n_bytes
        n_live += parts[i] != DEAD
        if n_bytes > most:
            widest, most = i, n_bytes
    for i in range(len(parts)):
        other[i] = parts[i] if i == widest else DEAD
    return n_live > 1 and most > WIDER * (n_all - most)


@kernel
def _known(product: Product, parts: NDArray[np.int32], n_states: int) -> int:
    """The state that has these parts; ASKED: that takes a verdict; NO_ROOM: it is not there."""
    only, is_one, has_dead = DEAD, True, False
    for part in parts:
        if part == DEAD:
            has_dead = True
        elif only == DEAD:
            only = part
        elif part != only:
            is_one = False
    if only == DEAD:
        return DEAD
    if is_one:
        is_apart = True
        for i in range(len(parts)):
            if parts[i] == DEAD:
                verdict = product.verdict[only, i]
                if verdict == UNSURE:
                    product.used[ASKED_FOR] = only
                    return ASKED
                is_apart &= verdict == APART
        if is_apart or not has_dead:
            return only
    number = product.table[_place(product, parts)]
    return NO_ROOM if number < 0 else number + n_states


@kernel
def _add(product: Product, place: int, base: int, n_states: int) -> int:
    """The number of a new state, of a place in the chain; `base` is that of the next place."""
    number, parts = product.used[N_FOUND], product.chain[place]
    if number == len(product.parts):
        return NO_ROOM
    product.table[_place(product, parts)] = number
    for i in range(len(parts)):
        product.parts[number, i] = parts[i]
        product.near[number, i] = DEAD if base == DEAD else product.chain[place + 1, i]
    product.base[number] = base
    product.used[N_FOUND] += 1
    return int(number + n_states)


@kernel
def _place(product: Product, parts: NDArray[np.int32]) -> int:
    """Where some parts are in the hash table, or would be put."""
    size = len(product.table)
    digest = 0
    for part in parts:  # Fibonacci hashing without an overflow
        digest = ((digest ^ int(part)) & 0x7FFFFFFF) * 0x9E3779B
        digest ^= digest >> 29
    place = digest % size
    while product.table[place] >= 0:
        known = product.parts[product.table[place]]
        is_same = True
        for i in range(len(parts)):
            is_same &= known[i] == parts[i]
        if is_same:
            break
        place += 1
        if place == size:
            place = 0
    return place


@kernel
def fill_table(product: Product) -> None:
    """Put all states that are found into an empty hash table."""
    for number in range(product.used[N_FOUND]):
        product.table[_place(product, product.parts[number])] = number
