"""Why the mask is as it is: the state of a sequence in the words of its grammar.

Input:  a machine's threads, and perhaps a token.
Output: `Explanation`, which prints as text. For people; no hot path comes here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from constrain.decode.machine import Machine, Thread, Threads
from constrain.decode.words import Words, words_of
from constrain.vocabulary import Vocabulary


@dataclass(frozen=True)
class TokenVerdict:
    """Whether one token may come next.

    Attributes:
        token: its id.
        spelling: its bytes; empty for a token that is no text.
        is_allowed: the mask holds it.
        alive: how many of its bytes could be read.
        expected: terminals that were open where it died, or at its end.
        reason: one sentence.
    """

    token: int
    spelling: bytes
    is_allowed: bool
    alive: int
    expected: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        verdict = "allowed" if self.is_allowed else "not allowed"
        return f"token {self.token} {self.spelling!r}: {verdict}; {self.reason}"


@dataclass(frozen=True)
class Explanation:
    """The state of a sequence.

    Attributes:
        text: accepted so far.
        pointer: where in a JSON value the text stands, if it is of a schema; else empty.
        is_accepting: the text is whole.
        terminals: that the open lexeme may become, or that may begin here.
        complete: terminals that the open lexeme is if it ends here.
        after: terminals that may follow if the open lexeme ends here.
        rules: items in progress, innermost first, as `lhs → done • to come`; for a schema, what
            is open at each depth.
        verdict: on the token asked for, if any.
    """

    text: bytes
    is_accepting: bool
    terminals: tuple[str, ...]
    complete: tuple[str, ...]
    after: tuple[str, ...]
    rules: tuple[str, ...]
    verdict: TokenVerdict | None = None
    pointer: str = ""

    def __str__(self) -> str:
        lines = [
            f"text: {self.text!r}" + (" (whole)" if self.is_accepting else ""),
            *([f"place: {self.pointer}"] if self.pointer else []),
            f"open terminals: {', '.join(self.terminals) or 'none'}",
            f"complete terminals: {', '.join(self.complete) or 'none'}",
            f"behind a complete one: {', '.join(self.after) or 'nothing'}",
            "rules in progress:",
            *(f"  {rule}" for rule in self.rules),
        ]
        return "\n".join([*lines, str(self.verdict)] if self.verdict else lines)


def explain_state(
    machine: Machine,
    vocabulary: Vocabulary,
    threads: Threads,
    *,
    accepting: bool,
    is_terminated: bool,
    text: bytes,
    token: int | None,
    is_viable: Callable[[Thread], bool],
) -> Explanation:
    """Describe `threads`, and `token` against them; there are none behind an end token."""
    words = words_of(machine)
    if token is None:
        verdict = None
    elif is_terminated:
        verdict = TokenVerdict(token, b"", False, 0, (), "an end token was accepted before")
    else:
        verdict = _judge(machine, words, vocabulary, threads, token, is_viable, accepting=accepting)
    return Explanation(
        text=text,
        is_accepting=accepting,
        terminals=words.opened(threads, text),
        complete=words.complete(threads, text[-1:]),
        after=words.following(threads),
        rules=words.progress(threads),
        verdict=verdict,
        pointer=words.pointer(text),
    )


def _judge(
    machine: Machine,
    words: Words,
    vocabulary: Vocabulary,
    threads: Threads,
    token: int,
    is_viable: Callable[[Thread], bool],
    *,
    accepting: bool,
) -> TokenVerdict:
    if token in vocabulary.end_ids:
        reason = "the text is whole" if accepting else "the text is not whole yet"
        return TokenVerdict(token, b"", accepting, 0, words.opened(threads), reason)
    spelling = vocabulary.tokens[token] if 0 <= token < vocabulary.size else b""
    if not spelling:
        reason = "it is a special token or names none, and never text"
        return TokenVerdict(token, b"", False, 0, (), reason)
    for place, byte in enumerate(spelling):
        before = threads
        threads = machine.step(threads, byte)
        if not threads:
            expected = tuple(sorted({*words.opened(before), *words.following(before)}))
            reason = (
                f"it dies at its byte {place}, {bytes([byte])!r}, where "
                f"{' or '.join(expected) or 'the end of the text'} was expected"
            )
            return TokenVerdict(token, spelling, False, place, expected, reason)
    expected = words.opened(threads)
    if any(is_viable(thread) for thread in threads):
        reason = f"it leaves {' or '.join(expected)} open" if expected else "it ends a lexeme"
        return TokenVerdict(token, spelling, True, len(spelling), expected, reason)
    reason = "no text that this vocabulary can spell completes it"
    return TokenVerdict(token, spelling, False, len(spelling), expected, reason)
