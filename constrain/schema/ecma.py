r"""A regular expression of JSON Schema → the DFA of the strings in which it matches somewhere.

`^` and `$` stand for the ends of the string, and never for those of a line. What ECMA-262 gives
a meaning has it here, also where that is not what was meant: `\A` and `\Z` are the letters A
and Z by Annex B.
"""

from __future__ import annotations

from functools import lru_cache

from constrain.automata.dfa import ByteDFA
from constrain.automata.regex import MAX_PATTERN, compile_tree
from constrain.automata.regex_tree import ANY, AT_END, AT_START, EMPTY, Alt, Cat, Repeat, Tree
from constrain.errors import PatternError
from constrain.schema.ecma_tree import parse_ecma

MAX_ITEMS = 1_000_000
"""As in `constrain.automata.subset`: a bound on time, about a second."""

_ANY_TEXT = Repeat(ANY, 0, None)


@lru_cache(maxsize=1024)
def compile_ecma(pattern: str) -> ByteDFA:
    """The DFA of the strings, encoded as UTF-8, in which a pattern of ECMA-262 matches.

    Args:
        pattern: read as under the `u` flag where it is valid so, else by Annex B.

    Raises:
        PatternError: the pattern is malformed, has a back-reference, a property that Python has
            no data of, or flags of a group, or is too large for a stated bound.
    """
    if len(pattern) > MAX_PATTERN:
        raise PatternError(
            f"the pattern has {len(pattern)} characters; at most {MAX_PATTERN} are read",
            pattern=f"{pattern[:60]}…",
        )
    try:
        tree = _searched(_searched(parse_ecma(pattern), at_start=True), at_start=False)
    except RecursionError:
        raise PatternError(
            "the pattern's groups are nested too deeply for Python's stack; flatten them",
            pattern=pattern,
        ) from None
    return compile_tree(tree, pattern, max_items=MAX_ITEMS)


def _searched(tree: Tree, *, at_start: bool) -> Tree:
    """The tree with any text before it, or behind it, but where an anchor stands at that end.

    An anchor at the end of an alternative is taken away with the text that it forbids: what
    is left has no look-around, which would cost more.
    """
    anchor = AT_START if at_start else AT_END
    if tree == anchor:
        return EMPTY
    if isinstance(tree, Alt) and _has_anchor(tree, at_start):
        free = tuple(part for part in tree.parts if not _has_anchor(part, at_start))
        held = [part for part in tree.parts if _has_anchor(part, at_start)]
        groups = [*held, Alt(free)] if free else held
        return Alt(tuple(_searched(part, at_start=at_start) for part in groups))
    parts = tree.parts if isinstance(tree, Cat) else (tree,)
    if not parts or not _has_anchor(tree, at_start):
        return Cat((_ANY_TEXT, *parts) if at_start else (*parts, _ANY_TEXT))
    if at_start:
        return Cat((_searched(parts[0], at_start=True), *parts[1:]))
    return Cat((*parts[:-1], _searched(parts[-1], at_start=False)))


def _has_anchor(tree: Tree, at_start: bool) -> bool:
    """Whether some alternative begins, or ends, with its anchor."""
    if isinstance(tree, Alt):
        return any(_has_anchor(part, at_start) for part in tree.parts)
    if isinstance(tree, Cat):
        return bool(tree.parts) and _has_anchor(tree.parts[0 if at_start else -1], at_start)
    return tree == (AT_START if at_start else AT_END)
