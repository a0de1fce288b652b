"""The ways to write a grammar: Lark's language, GBNF, a name, one regex, a list of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from constrain.errors import EmptyLanguageError, GrammarError
from constrain.grammar.builtin import builtin
from constrain.grammar.compose import compose
from constrain.grammar.gbnf import from_ebnf
from constrain.grammar.larkgrammar import from_lark
from constrain.grammar.literal import escape
from constrain.grammar.pattern import ANY_CHARACTER, check_pattern, scoped
from constrain.grammar.rules import Grammar, Production, Terminal

__all__ = ["builtin", "compose", "from_choices", "from_ebnf", "from_lark", "from_regex"]

MAX_CHOICES_NESTING = 40  # groups in one another in the pattern of a list of texts


def from_regex(pattern: str) -> Grammar:
    """Return the grammar of the texts that `re.fullmatch(pattern, text)` matches.

    Raises:
        PatternError: the pattern is malformed.
    """
    if not check_pattern(pattern).fullmatch(""):
        return _one_terminal("REGEX", scoped(pattern), name="regex")
    # The empty text becomes a production; no lexeme is empty.
    non_empty = f"(?={ANY_CHARACTER})(?:{scoped(pattern)})"
    grammar = _one_terminal("REGEX", non_empty, name="regex")
    return replace(grammar, productions=(*grammar.productions, Production("start", ())))


def from_choices(choices: Sequence[str]) -> Grammar:
    """Return the grammar of exactly the given texts.

    Args:
        choices: the empty text may be one of them; duplicates do not matter.

    Raises:
        EmptyLanguageError: there is no choice.
        GrammarError: a choice is no text.
    """
    texts = _checked_choices(choices)
    productions = [Production("start", ())] if "" in texts else []
    words = sorted(text for text in texts if text)
    if not words:
        return Grammar((), tuple(productions), "start", name="choices")
    grammar = _one_terminal("CHOICE", _trie_pattern(words), name="choices")
    return replace(grammar, productions=(*grammar.productions, *productions))


def _one_terminal(terminal: str, pattern: str, name: str) -> Grammar:
    production = Production("start", (terminal,))
    return Grammar((Terminal(terminal, pattern),), (production,), "start", name=name)


def _checked_choices(choices: Sequence[str]) -> set[str]:
    if isinstance(choices, str):
        raise GrammarError(f"the choices are one text, {choices!r:.60}; pass a list of texts")
    for choice in choices:
        if not isinstance(choice, str):
            raise GrammarError(f"the choice {choice!r:.60} is no str; pass texts")
        try:
            choice.encode()
        except UnicodeEncodeError:
            problem = f"the choice {choice!r:.60} has a surrogate, which is no character"
            raise GrammarError(problem) from None
    if not choices:
        raise EmptyLanguageError("there is no choice at all; pass at least one text")
    return set(choices)


def _trie_pattern(words: Sequence[str], skip: int = 0, depth: int = 0) -> str:
    """Return a pattern of sorted, distinct words, of which the first `skip` characters are done.

    Common beginnings are written once, so that the automaton is small from the start.
    """
    if depth == MAX_CHOICES_NESTING:
        return "|".join(escape(word[skip:]) for word in words)
    parts: list[str] = []
    start = 0
    while start < len(words):
        stop = start + 1
        first = words[start]
        if len(first) == skip:
            parts.append("")
            start = stop
            continue
        while stop < len(words) and words[stop][skip] == first[skip]:
            stop += 1
        end = _common_length(first, words[stop - 1])
        rest = _trie_pattern(words[start:stop], end, depth + 1) if stop - start > 1 else ""
        parts.append(escape(first[skip:end]) + (f"(?:{rest})" if rest else ""))
        start = stop
    return "|".join(parts)


def _common_length(first: str, last: str) -> int:
    """Return how many characters two words, so all words sorted between them, share."""
    length = min(len(first), len(last))
    return next((i for i in range(length) if first[i] != last[i]), length)
