"""The fewest bytes of a value of each expression, and what is left to write of an array or object.

What cannot be written at all costs `IMPOSSIBLE`: so costs also say which expressions are empty.
They are found for all expressions that one can reach at once, as the least solution of their
equations (Knuth, A generalization of Dijkstra's algorithm, 1977).

Costs count JSON without white space. With more of it they are lower bounds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import combinations

from constrain.automata.dfa import ByteDFA
from constrain.automata.words import count_words, iterate_words
from constrain.errors import GrammarLimitError, SchemaError
from constrain.schema import algebra, strings
from constrain.schema.counting import check_countable, fewest_within
from constrain.schema.languages import (
    ALL_STRINGS,
    NOTHING,
    Arrays,
    Class,
    Contains,
    Expr,
    Numbers,
    Objects,
    Strings,
    Values,
    encode,
    least_of,
)
from constrain.schema.numbers import plain_words
from constrain.schema.sets import intersect, subtract
from constrain.schema.space import Space

IMPOSSIBLE = 1 << 40
"""A cost no text has."""

MAX_LISTED = 64
"""Keys of a class that are listed by name, so that each is written once only."""

MANY = 1_000_000
"""Values that are as good as infinitely many: no array is that long."""

MAX_TOLD = 256
"""Members whose keys are told apart to find their cost."""

NONE_TAKEN: frozenset[bytes] = frozenset()

MAX_WITNESSES = 6
"""Members that one object must have besides the required ones."""


class Costs:
    """Costs of expressions, found on demand."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._known: dict[Expr, int] = {NOTHING: IMPOSSIBLE}
        self._of_scalars: dict[Expr, int] = {}
        self._plain: dict[Objects, Objects] = {}
        self._arrays: dict[Expr, tuple[Arrays, ...]] = {}

    def of(self, expr: Expr) -> int:
        """The fewest bytes of a value; IMPOSSIBLE where there is none.

        Raises:
            SchemaError: see `Space.values`.
        """
        if expr not in self._known:
            self._solve(expr)
        return self._known[expr]

    def is_empty(self, expr: Expr) -> bool:
        """Whether no value is of the expression."""
        return self.of(expr) >= IMPOSSIBLE

    def of_known(self, expr: Expr) -> int:
        """The same where it was found, and while it is being found what is known so far."""
        cost = self._known.get(expr)
        return self.of(expr) if cost is None else cost

    def tracks(self) -> bool:
        """Whether some items must differ, or some keys that are not listed by name."""
        arrays = any(array.unique for found in self._arrays.values() for array in found)
        return arrays or any(shape.is_distinct for shape in self._plain.values())

    def arrays(self, expr: Expr) -> tuple[Arrays, ...]:
        """The arrays of an expression; those of different items have a bound on their number.

        Raises:
            SchemaError: items that must differ are no scalars, or are asked too much else.
        """
        found = self._arrays.get(expr)
        if found is None:
            plain = [self._plain_array(array) for array in self.space.values(expr).arrays]
            found = self._arrays[expr] = tuple(a for a in plain if a is not None)
        return found

    def _plain_array(self, found: Arrays) -> Arrays | None:
        array = plain_contains(found, self.space)
        if array is None:
            return None
        if not array.unique or (array.most is not None and array.most < 2):
            return replace(array, unique="")
        try:
            n_values = self._n_different(array)
        except SchemaError as error:
            if not self.space.lenient:
                raise
            self.space.warnings.append(error)
            return replace(array, unique="")
        if n_values is not None and n_values < array.least:
            return None
        return replace(array, most=least_of(array.most, n_values))

    def _n_different(self, array: Arrays) -> int | None:
        """How many different items an array has at most; None: any number."""
        reach = len(array.prefix) + 1
        exprs = {
            array.item(i) for i in range(reach if array.most is None else min(reach, array.most))
        }
        sizes = {self._n_scalars(expr, array) for expr in exprs}
        if None in sizes and len(sizes) == 1 and not array.contains:
            return None
        if array.contains or array.prefix:
            raise refused(array, "together with `contains`, or with few values for listed items")
        return sizes.pop()

    def _n_scalars(self, expr: Expr, array: Arrays) -> int | None:
        """How many values an expression has; None: without end, or very many."""
        values = self.space.values(expr)
        if any(not self._is_nothing(o) for o in values.objects) or values.arrays:
            raise refused(array, "of arrays or objects")
        try:
            texts = None if values.strings == ALL_STRINGS else values.strings.whole()
        except GrammarLimitError:
            raise refused(array, "of strings that are so long") from None
        if texts is None:
            return None
        n_texts = count_words(texts, MANY)
        plain = plain_words(values.numbers.whole())
        n = values.null + len(values.booleans) + n_texts + count_words(plain, MANY)
        return None if n >= MANY else n

    def _is_nothing(self, shape: Objects) -> bool:
        return any(shape.names[name] == NOTHING for name in shape.required)

    def plain(self, shape: Objects) -> Objects:
        """See `plain_shape`."""
        found = self._plain.get(shape)
        if found is None:
            found = self._plain[shape] = plain_shape(shape, self.space)
        return found

    def _solve(self, root: Expr) -> None:
        """Find the costs of all expressions that `root` can reach."""
        users: dict[Expr, list[Expr]] = {root: []}
        for expr in (queue := [root]):
            for child in dict.fromkeys(self._children(expr)):
                if child in self._known:
                    continue
                if child not in users:
                    users[child] = []
                    queue.append(child)
                users[child].append(expr)
        self._known.update(dict.fromkeys(queue, IMPOSSIBLE))
        waiting = dict.fromkeys(reversed(queue))
        while waiting:
            expr = next(iter(waiting))
            del waiting[expr]
            cost = self._of_values(expr)
            if cost < self._known[expr]:
                self._known[expr] = cost
                waiting.update(dict.fromkeys(users[expr]))

    def _children(self, expr: Expr) -> Iterator[Expr]:
        values = self.space.values(expr)
        for array in values.arrays:
            if array.unique:
                yield from array.prefix
                yield array.rest
        for array in self.arrays(expr):
            starts = [contains.start for contains in array.contains]
            for index in range(max(len(array.prefix), *starts, 0) + 1):
                yield from (item for item, _ in items(array, index, self.space))
                yield array.item(index)
        for shape in map(self.plain, values.objects):
            yield from shape.names.values()
            yield from (expr for _, expr in shape.classes)
            for witnesses in _subsets(shape):
                meets = [shape.witnesses[i].expr for i in witnesses]
                for own in (*shape.names.values(), *(expr for _, expr in shape.classes)):
                    for meet in meets:
                        own = self.space.conjunction(own, meet)  # noqa: PLW2901
                    yield own

    def _of_values(self, expr: Expr) -> int:
        values = self.space.values(expr)
        if expr not in self._of_scalars:
            self._of_scalars[expr] = _of_scalars(values)
        return min(
            self._of_scalars[expr],
            *(array_cost(array, 0, 0, self) for array in self.arrays(expr)),
            *(object_cost(shape, self) for shape in values.objects),
            IMPOSSIBLE,
        )


def refused(array: Arrays, what: str) -> SchemaError:
    """The error about items that must differ and cannot be told apart."""
    return SchemaError(
        f"`uniqueItems` {what} cannot be enforced; leave it out, or let the items be scalars",
        pointer=array.unique,
        keyword="uniqueItems",
    )


def plain_contains(array: Arrays, space: Space) -> Arrays | None:
    """The same arrays with one `contains` at most; None where there are none.

    Raises:
        SchemaError: several say unlike things.
    """
    counts: dict[tuple[int, Expr], tuple[int, int | None]] = {}
    for start, expr, least, most in array.contains:
        known = counts.get((start, expr), (0, None))
        counts[start, expr] = max(known[0], least), least_of(known[1], most)
    if any(most is not None and most < least for least, most in counts.values()):
        return None
    kept = []
    for (start, expr), (least, most) in counts.items():
        if most != 0:
            kept.append(Contains(start, expr, least, most))
            continue
        other = space.complement(expr)
        own = [array.item(i) for i in range(max(start, len(array.prefix)))]
        prefix = (*own[:start], *(space.conjunction(item, other) for item in own[start:]))
        array = replace(array, prefix=prefix, rest=space.conjunction(array.rest, other))
    if len(kept) > 1:
        raise SchemaError(
            "several `contains` of one array cannot be enforced; let one alternative have one",
            pointer="#",
            keyword="contains",
        )
    return replace(array, contains=tuple(kept))


def _subsets(shape: Objects) -> list[tuple[int, ...]]:
    """The sets of witnesses that one member can be at once, the empty one left out."""
    numbers = range(len(shape.witnesses))
    return [chosen for n in numbers for chosen in combinations(numbers, n + 1)]


def _of_scalars(values: Values) -> int:
    cost = 4 if values.null or True in values.booleans else IMPOSSIBLE
    if False in values.booleans:
        cost = min(cost, 5)
    return min(cost, number_cost(values.numbers), string_cost(values.strings))


@lru_cache(maxsize=4096)
def number_cost(spellings: Numbers) -> int:
    """Bytes of the shortest number."""
    if spellings.spelling is None:
        return 1
    shortest = spellings.spelling.shortest()
    return IMPOSSIBLE if shortest is None else len(shortest)


@lru_cache(maxsize=4096)
def string_cost(texts: Strings) -> int:
    """Bytes of the shortest string, quotes included."""
    if texts.content is None:
        return IMPOSSIBLE if texts.is_empty() else 2 + texts.least
    if texts.least == 0 and texts.most is None:
        shortest = strings.spell(texts.content, any_escape=False).shortest()
        return IMPOSSIBLE if shortest is None else 2 + len(shortest)
    plain = texts.plain()
    check_countable(texts.content, max(plain.least, plain.most or 0))
    fewest = fewest_within(texts.content, texts.least, texts.most)
    return IMPOSSIBLE if fewest is None else 2 + fewest


@lru_cache(maxsize=4096)
def key_cost(keys: ByteDFA | None) -> int:
    """Bytes of the shortest key of a language, quotes and colon included."""
    return 1 + string_cost(Strings(keys))


def name_cost(name: str) -> int:
    """Bytes of a key, quotes and colon included."""
    return len(spelled(name)) + 3


@lru_cache(maxsize=65536)
def spelled(name: str) -> bytes:
    """The canonical spelling of a string, without its quotes."""
    return encode(json.dumps(name, ensure_ascii=False)[1:-1])


# --- arrays -------------------------------------------------------------------------------


def items(array: Arrays, index: int, space: Space) -> tuple[tuple[Expr, int], ...]:
    """What the item at `index` can be, each with what it adds to the count of `contains`."""
    own = array.item(index)
    if not array.contains or index < array.contains[0].start:
        return ((own, 0),)
    wanted = array.contains[0].expr
    return (
        (space.conjunction(own, wanted), 1),
        (space.conjunction(own, space.complement(wanted)), 0),
    )


def array_cost(array: Arrays, index: int, count: int, costs: Costs) -> int:
    """Bytes that complete an array from its item `index` on.

    Args:
        array: the shape.
        index: of the next item; what is written so far has no comma behind it.
        count: how many items so far are of `contains`.
        costs: of the items.

    Returns:
        With the closing bracket, and the opening one if `index` is 0; IMPOSSIBLE if nothing does.
    """
    least = _items_cost(array, index, count, costs)
    return IMPOSSIBLE if least >= IMPOSSIBLE else least + (1 if index else 2) - (index == 0 < least)


def _items_cost(array: Arrays, index: int, count: int, costs: Costs) -> int:
    """Bytes of the items to come, a comma for each."""
    n_prefix = len(array.prefix)
    if array.contains:
        n_prefix = max(n_prefix, array.contains[0].start)
    # count of `contains` → least cost of the items before the current one.
    levels = {count: 0}
    best = IMPOSSIBLE
    for i in range(index, n_prefix):
        if i >= array.least:
            best = min(best, *(c for n, c in levels.items() if _has_enough(array, n)), IMPOSSIBLE)
        if array.most is not None and i >= array.most:
            return best
        following: dict[int, int] = {}
        for n, cost in levels.items():
            for expr, added in items(array, i, costs.space):
                total = cost + costs.of_known(expr) + 1
                if total < following.get(n + added, IMPOSSIBLE):
                    following[n + added] = total
        levels = following
        if not levels:
            return best
    start = max(index, n_prefix)
    return min(
        best,
        *(cost + _rest_cost(array, start, n, costs) for n, cost in levels.items()),
        IMPOSSIBLE,
    )


def _has_enough(array: Arrays, count: int) -> bool:
    if not array.contains:
        return True
    _, _, least, most = array.contains[0]
    return count >= least and (most is None or count <= most)


def _rest_cost(array: Arrays, index: int, count: int, costs: Costs) -> int:
    """Bytes of the items from `index` on, all of which are of `array.rest`."""
    lacking = max(0, array.least - index)
    room = IMPOSSIBLE if array.most is None else array.most - index
    if room < 0:
        return IMPOSSIBLE
    if not array.contains:
        return lacking * (costs.of_known(array.rest) + 1) if lacking else 0
    _, _, least, most = array.contains[0]
    (of_wanted, _), (of_other, _) = items(array, index, costs.space)
    wanted, other = costs.of_known(of_wanted) + 1, costs.of_known(of_other) + 1
    fewest = max(0, least - count)
    greatest = IMPOSSIBLE if most is None else most - count
    best = IMPOSSIBLE
    for n_wanted in (fewest, min(max(fewest, lacking), greatest)):
        n_other = max(0, lacking - n_wanted)
        if fewest <= n_wanted <= greatest and n_wanted + n_other <= room:
            cost = (n_wanted * wanted if n_wanted else 0) + (n_other * other if n_other else 0)
            best = min(best, cost)
    return best


# --- objects ------------------------------------------------------------------------------


def object_cost(shape: Objects, costs: Costs) -> int:
    """Bytes of the shortest object of a shape; IMPOSSIBLE where there is none."""
    plain = costs.plain(shape)
    names = frozenset(plain.names)
    members = members_cost(plain, names, plain.required, 0, 0, costs)
    return IMPOSSIBLE if members >= IMPOSSIBLE else 2 + members - (members > 0)


def members_cost(
    shape: Objects,
    left: frozenset[str],
    missing: frozenset[str],
    count: int,
    met: int,
    costs: Costs,
    taken: frozenset[bytes] = NONE_TAKEN,
) -> int:
    """Bytes of the members to come, a comma for each; IMPOSSIBLE where nothing completes it.

    Args:
        shape: of the object, as `Costs.plain` gives it.
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


def named_cost(shape: Objects, name: str, costs: Costs) -> int:
    """Bytes of a member listed by name, with a comma."""
    return name_cost(name) + costs.of_known(shape.names[name]) + 1


def _cheapest(
    shape: Objects,
    names: frozenset[str],
    n_lacking: int,
    costs: Costs,
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
    shape: Objects, listed: list[int], n_lacking: int, costs: Costs, taken: frozenset[bytes]
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
    costs: Costs,
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
