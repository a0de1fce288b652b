"""A terminal's pattern → its `ByteDFA`.

pattern ─► tree (regex_tree) ─► NFA over classes of characters (nfa) ─► DFA (subset, dfa)
                                 ▲ classes and their bytes (charset, utf8) ─► ByteDFA ┘
"""

from __future__ import annotations

from functools import lru_cache

from constrain.automata.dfa import ByteDFA, from_characters, minimise
from constrain.automata.nfa import Nfa, Table, build_nfa, character_sets
from constrain.automata.regex_tree import Tree, looks, parse, shortest_parts
from constrain.automata.subset import MAX_ITEMS, before_contexts, determinise, sees_what_follows
from constrain.automata.utf8 import byte_tree, partition
from constrain.errors import GrammarLimitError, PatternError

MAX_PATTERN = 1_000_000  # characters


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str, *, in_context: bool = False) -> ByteDFA:
    """The DFA of the texts that `re.fullmatch(pattern, text)` matches, encoded as UTF-8.

    Texts that are not valid UTF-8 never match. Look-arounds, anchors and word boundaries are
    compiled away.

    Args:
        pattern: of Python's `re`, for str.
        in_context: the text will stand inside a longer one. A pattern whose look-arounds
            would see what stands around is refused.

    Raises:
        PatternError: the pattern is malformed, not regular, too large for a stated bound, or
            sees what stands around its text.
    """
    if len(pattern) > MAX_PATTERN:
        raise PatternError(
            f"the pattern has {len(pattern)} characters; at most {MAX_PATTERN} are read",
            pattern=f"{pattern[:60]}…",
        )
    try:
        tree = parse(pattern)
    except RecursionError:
        raise _too_deep(pattern) from None
    return compile_tree(tree, pattern, in_context=in_context)


def compile_tree(
    tree: Tree, pattern: str, *, in_context: bool = False, max_items: int = MAX_ITEMS
) -> ByteDFA:
    """The DFA of the texts that a tree matches as a whole, encoded as UTF-8.

    Args:
        tree: whatever language of patterns it was read from.
        pattern: what errors show.
        in_context: see `compile_pattern`.
        max_items: a bound on time, see `constrain.automata.subset.MAX_ITEMS`.

    Raises:
        PatternError: it is too large for a stated bound, or sees what stands around its text.
    """
    try:
        return _compile(tree, pattern, in_context, max_items)
    except GrammarLimitError as error:
        raise PatternError(error.problem, pattern=pattern) from None
    except RecursionError:
        raise _too_deep(pattern) from None


def _too_deep(pattern: str) -> PatternError:
    return PatternError(
        "the pattern's groups are nested too deeply for Python's stack; flatten them",
        pattern=pattern,
    )


def _compile(tree: Tree, pattern: str, in_context: bool, max_items: int) -> ByteDFA:
    sets = list(dict.fromkeys(character_sets(tree)))
    alphabet, members = partition(sets)
    classes = dict(zip(sets, members, strict=True))

    def automaton(part: Tree) -> Nfa:
        return build_nfa(part, classes, alphabet.n_classes, shortest)

    def shortest(part: Tree) -> Table:
        """The minimal DFA of the matches of `part` without a match as a proper beginning."""
        table, accepting = determinise(automaton(part))
        table[accepting] = 0
        return minimise(table, accepting)

    def is_self_contained(part: Tree) -> bool:
        return not looks(part) or _what_it_sees(automaton(part)) is None

    if looks(tree):
        tree = shortest_parts(tree, is_self_contained)
    nfa = automaton(tree)
    if in_context and looks(tree):
        problem = _what_it_sees(nfa)
        if problem is not None:
            raise PatternError(problem, pattern=pattern)
    table, accepting = minimise(*determinise(nfa, max_items=max_items))
    return from_characters(table, accepting, byte_tree(alphabet))


def _what_it_sees(nfa: Nfa) -> str | None:
    """What of its surroundings a pattern's matches depend on; None if on nothing."""
    languages = set()
    for behind in before_contexts(nfa):
        if sees_what_follows(nfa, behind):
            return (
                "a look-ahead, `$` or `\\b` at the end of a terminal sees what follows its "
                "lexeme, which belongs to the next one; leave it out: a lexeme is the longest "
                "match anyway"
            )
        table, accepting = minimise(*determinise(nfa, behind))
        languages.add((table.tobytes(), accepting.tobytes()))
    if len(languages) > 1:
        return (
            "a look-behind, `^` or `\\b` at the beginning of a terminal sees what stands before "
            "its lexeme, which belongs to another one; leave it out"
        )
    return None
