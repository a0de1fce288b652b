"""What is left to write of an object: which members, and in how many bytes.

Shapes are made plain first: then all keys of one class are the same to every witness, and whatever
is told apart by its key is listed by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import combinations

from constrain.automata.dfa import ByteDFA
from constrain.automata.words import count_words, iterate_words
from constrain.errors import SchemaError
from constrain.schema import algebra, strings
from constrain.schema.languages import NOTHING, Class, Expr, Objects
from constrain.schema.sets import intersect, subtract
from constrain.schema.shortest import IMPOSSIBLE, Known, key_cost, name_cost, spelled
from constrain.schema.space import Space

MAX_LISTED = 64
"""Keys of a class that are listed by name, so that each is written once only."""

MAX_TOLD = 256
"""Members whose keys are told apart to find their cost."""

MAX_WITNESSES = 6
"""Members that one object must have besides the required ones."""

NONE_TAKEN: frozenset[bytes] = frozenset()


# --- which objects there are --------------------------------------------------------------


def plain_shape(shape: Objects, space: Space) -> Objects:
    """The same objects, so that keys of one class are all witnesses or none.

    Keys that a witness excludes, and those of a class with few keys, are listed by name.

    Raises:
        SchemaError: it has too many witnesses.
    """
    if len(shape.witnesses) > MAX_WITNESSES:
        raise SchemaError(
            f"the combination asks for more than {MAX_WITNESSES} members that are not listed",
            pointer="#",
            keyword="not",
        )
    names = dict(shape.names)
    for witness in shape.witnesses:
        names.update({name: shape.of(name) for name in sorted(witness.others) if name not in names})
    classes = [c for c in shape.classes if c.expr != NOTHING]
    for witness in shape.witnesses:
        if witness.keys is not None:
            classes = [part for c in classes for part in _halves(c, witness.keys)]
    kept = []
    for keys, expr in classes:
        if keys is not None and count_words(keys, MAX_LISTED + 1) <= MAX_LISTED:
            found = [word.decode() for word in iterate_words(keys, MAX_LISTED)]
            names.update({name: expr for name in found if name not in names})
        else:
            kept.append(Class(keys, expr))
    relevant = tuple(
        frozenset(
            i
            for i, witness in enumerate(shape.witnesses)
            if (both := algebra.both_keys(keys, witness.keys)) is None or not both.is_empty()
        )
        for keys, _ in kept
    )
    is_distinct = bool(kept) and (shape.least > 1 or any(relevant))
    return replace(
        shape, names=names, classes=tuple(kept), relevant=relevant, is_distinct=is_distinct
    )


def _halves(one: Class, keys: ByteDFA) -> list[Class]:
    """A class, cut in two by a language of keys."""
    whole = strings.ANY if one.keys is None else one.keys
    parts = intersect(whole, keys), subtract(whole, keys)
    return [Class(part, one.expr) for part in parts if not part.is_empty()]


def subsets(shape: Objects) -> list[tuple[int, ...]]:
    """The sets of witnesses that one member can be at once, the empty one left out."""
    numbers = range(len(shape.witnesses))
    return [chosen for n in numbers for chosen in combinations(numbers, n + 1)]


# --- what is left in bytes ----------------------------------------------------------------


def object_cost(shape: Objects, costs: Known) -> int:
    """Bytes of the shortest object of a plain shape; IMPOSSIBLE where there is none."""
    members = _all_members_cost(shape, costs)
    return IMPOSSIBLE if members >= IMPOSSIBLE else 2 + members - (members > 0)


def is_possible(shape: Objects, costs: Known) -> bool:
    """Whether a plain shape has objects."""
    return _all_members_cost(shape, costs) < IMPOSSIBLE


def _all_members_cost(shape: Objects, costs: Known) -> int:
    """Bytes of all members of the shortest object of a plain shape, a comma for each."""
    return members_cost(shape, frozenset(shape.names), shape.required, 0, 0, costs)


def members_cost(
    shape: Objects,
    left: frozenset[str],
    missing: frozenset[str],
    count: int,
    met: int,
    costs: Known,
    taken: frozenset[bytes] = NONE_TAKEN,
) -> int:
    """Bytes of the members to come, a comma for each; IMPOSSIBLE where nothing completes it.

    Args:
        shape: of the object, as `plain_shape` gives it.
        left: names whose members may still be written.
        missing: names whose members must still be written.
        count: members written so far.
        met: the witnesses met so far, as bits.
        costs: of the values.
        taken: keys, spelled, that are not listed by name and must not come again.
    """
    if not missing <= left:
        return IMPOSSIBLE
    total = sum(named_cost(shape, name, costs) for name in missing)
    if total >= IMPOSSIBLE:
        return IMPOSSIBLE
    lacking = [i for i in range(len(shape.witnesses)) if not met >> i & 1]
    room = IMPOSSIBLE if shape.most is None else shape.most - count - len(missing)
    n_lacking = max(0, shape.least - count - len(missing))
    if lacking:
        return total + _with_witnesses(shape, left, missing, lacking, costs, n_lacking, room)
    if room < n_lacking:
        return IMPOSSIBLE
    return min(IMPOSSIBLE, total + _cheapest(shape, left - missing, n_lacking, costs, taken))


def named_cost(shape: Objects, name: str, costs: Known) -> int:
    """Bytes of a member listed by name, with a comma."""
    return name_cost(name) + costs.of_known(shape.names[name]) + 1


def _cheapest(
    shape: Objects,
    names: frozenset[str],
    n_lacking: int,
    costs: Known,
    taken: frozenset[bytes] = NONE_TAKEN,
) -> int:
    """Bytes of so many members more."""
    if not n_lacking:
        return 0
    listed = sorted(named_cost(shape, name, costs) for name in names)
    if shape.is_distinct:
        return _cheapest_different(shape, listed, n_lacking, costs, taken)
    other = min(
        (key_cost(keys) + costs.of_known(expr) + 1 for keys, expr in shape.classes),
        default=IMPOSSIBLE,
    )
    chosen = [cost for cost in listed[:n_lacking] if cost < other]
    rest = n_lacking - len(chosen)
    return min(IMPOSSIBLE, sum(chosen) + (rest * other if rest else 0))


def _cheapest_different(
    shape: Objects, listed: list[int], n_lacking: int, costs: Known, taken: frozenset[bytes]
) -> int:
    """The same where no key may come twice; of very many members a lower bound."""
    n_told = min(n_lacking, MAX_TOLD)
    used = taken | {spelled(name) for name in shape.names}
    found = list(listed)
    for keys, expr in shape.classes:
        own = costs.of_known(expr) + len(b'"":,')
        words = shortest_keys(keys, 1 << (n_told + len(used)).bit_length())
        found += [own + len(word) for word in words if word not in used][:n_told]
    found = sorted(cost for cost in found if cost < IMPOSSIBLE)[:n_told]
    if len(found) < n_told:
        return IMPOSSIBLE
    return sum(found) + (n_lacking - n_told) * found[-1]


@lru_cache(maxsize=1024)
def shortest_keys(keys: ByteDFA | None, limit: int) -> tuple[bytes, ...]:
    """The shortest spellings of a language of keys."""
    content = strings.ANY if keys is None else keys
    return tuple(iterate_words(strings.spell(content, any_escape=False), limit))


def _with_witnesses(
    shape: Objects,
    left: frozenset[str],
    missing: frozenset[str],
    lacking: list[int],
    costs: Known,
    n_lacking: int,
    room: int,
) -> int:
    """What the witnesses take besides the missing members: each is one of these, or one more."""
    best = IMPOSSIBLE

    def place(i: int, slots: dict[str | int, Expr]) -> None:
        """Find a member for each witness from the i-th on; `slots`: those that are some already."""
        nonlocal best
        if i < len(lacking):
            witness = shape.witnesses[lacking[i]]
            for slot, own in _slots(shape, left, lacking[i], witness.has):
                expr = costs.space.conjunction(slots.get(slot, own), witness.expr)
                if costs.of_known(expr) < IMPOSSIBLE:
                    place(i + 1, slots | {slot: expr})
            return
        cost, n_more = 0, 0
        for slot, expr in slots.items():
            cost += costs.of_known(expr) + 1
            if isinstance(slot, int):
                cost += key_cost(shape.classes[slot].keys)
                n_more += 1
            elif slot in missing:
                cost -= costs.of_known(shape.names[slot]) + 1
            else:
                cost += name_cost(slot)
                n_more += 1
        others = left - missing - {slot for slot in slots if isinstance(slot, str)}
        if n_more <= room and max(n_lacking, n_more) <= room:
            rest = _cheapest(shape, others, max(0, n_lacking - n_more), costs)
            best = min(best, cost + rest)

    place(0, {})
    return best


def _slots(
    shape: Objects, left: frozenset[str], number: int, has: Callable[[str], bool]
) -> Iterator[tuple[str | int, Expr]]:
    """The members that can be a witness, by name or by the number of their class."""
    for name in shape.names:
        if name in left and has(name):
            yield name, shape.names[name]
    for i, (_, expr) in enumerate(shape.classes):
        if number in shape.relevant[i]:
            yield i, expr
