"""The fewest bytes of a value of each expression.

What cannot be written at all costs `IMPOSSIBLE`: so costs also say which expressions are empty.
They are found for all expressions that one can reach at once, as the least solution of their
equations (Knuth, A generalization of Dijkstra's algorithm, 1977).

Costs count JSON without white space. With more of it they are lower bounds.
"""

from __future__ import annotations

from collections.abc import Iterator

from constrain.schema.items import array_cost, items, plain_array
from constrain.schema.languages import NOTHING, Arrays, Expr, Objects
from constrain.schema.members import object_cost, plain_shape, subsets
from constrain.schema.shortest import IMPOSSIBLE, scalar_cost
from constrain.schema.space import Space


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
            plain = [plain_array(array, self.space) for array in self.space.values(expr).arrays]
            found = self._arrays[expr] = tuple(a for a in plain if a is not None)
        return found

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
            for witnesses in subsets(shape):
                meets = [shape.witnesses[i].expr for i in witnesses]
                for own in (*shape.names.values(), *(expr for _, expr in shape.classes)):
                    for meet in meets:
                        own = self.space.conjunction(own, meet)  # noqa: PLW2901
                    yield own

    def _of_values(self, expr: Expr) -> int:
        values = self.space.values(expr)
        if expr not in self._of_scalars:
            self._of_scalars[expr] = scalar_cost(values)
        return min(
            self._of_scalars[expr],
            *(array_cost(array, 0, 0, self) for array in self.arrays(expr)),
            *(object_cost(self.plain(shape), self) for shape in values.objects),
            IMPOSSIBLE,
        )
