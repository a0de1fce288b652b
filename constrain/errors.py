"""Every exception the library raises, one hierarchy.

A message says what is wrong, where, what was wanted, and what to do. The same
facts are fields, so that a program can act on them.
"""

from __future__ import annotations

from pathlib import Path


class ConstrainError(Exception):
    """Base of every error this library raises on purpose."""


class VocabularyError(ConstrainError):
    """A tokenizer's token ids could not be read as exact bytes."""


class GrammarError(ConstrainError):
    """A grammar cannot be used; `line` and `column` are 1-based where known.

    Attributes:
        problem: what is wrong and what to do, without the place.
        line, column: where in the grammar's text, or None.
        source: the grammar's text, or None.
    """

    def __init__(
        self,
        problem: str,
        *,
        line: int | None = None,
        column: int | None = None,
        source: str | None = None,
    ) -> None:
        self.problem = problem
        self.line = line
        self.column = column
        self.source = source
        super().__init__(problem + _caret(line, column, source))


class GrammarSyntaxError(GrammarError):
    """The grammar's text is not of the grammar language."""


class UndefinedSymbolError(GrammarError):
    """A rule or terminal is used and nowhere defined."""


class EmptyLanguageError(GrammarError):
    """No text at all belongs to the grammar."""


class EmptyTerminalError(GrammarError):
    """A terminal matches the empty string, which no lexer can act on."""


class UnreachableTerminalError(GrammarError):
    """Longest match always lets one terminal swallow the start of the next.

    Attributes:
        swallower, swallowed: the names of the two terminals.
    """

    def __init__(self, swallower: str, swallowed: str, problem: str) -> None:
        self.swallower = swallower
        self.swallowed = swallowed
        super().__init__(problem)


class UnspellableError(GrammarError):
    """The vocabulary's tokens can spell no text of the grammar."""


class GrammarLimitError(GrammarError):
    """A stated bound on a grammar's size was passed; the bound is in the message."""


class UnsupportedFormatError(GrammarError):
    """A format of JSON Schema has no exact automaton here.

    Attributes:
        name: the format's.
    """

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(f"the format {name} is refused: {problem}")


class PatternError(GrammarError):
    """A regular expression is malformed or is not regular.

    Attributes:
        pattern: the whole expression.
        position: 0-based index of the offending character in it, or None.
    """

    def __init__(
        self,
        problem: str,
        *,
        pattern: str,
        position: int | None = None,
        line: int | None = None,
        column: int | None = None,
        source: str | None = None,
    ) -> None:
        self.pattern = pattern
        self.position = position
        self._what = problem
        shown = f"{problem}\n  {pattern}"
        if position is not None and "\n" not in pattern:
            shown += "\n  " + " " * position + "^"
        super().__init__(shown, line=line, column=column, source=source)

    def of_terminal(self, name: str) -> PatternError:
        """The same error with the terminal named."""
        return PatternError(
            f"terminal {name}: {self._what}", pattern=self.pattern, position=self.position
        )


class SchemaError(GrammarError):
    """A JSON Schema cannot be enforced, or is none.

    Attributes:
        pointer: where in the schema, a JSON pointer (RFC 6901) behind `#`.
        keyword: the keyword that cannot be enforced; empty if it is none.
        is_open: a schema was asked for its values while they were being found.
    """

    def __init__(
        self, problem: str, *, pointer: str, keyword: str = "", is_open: bool = False
    ) -> None:
        self.pointer = pointer
        self.keyword = keyword
        self.is_open = is_open
        self._what = problem
        super().__init__(f"{pointer}: {problem}")

    def within(self, pointer: str) -> SchemaError:
        """The same error about a schema that stands at `pointer` in a larger document."""
        place = pointer + self.pointer.removeprefix("#")
        return SchemaError(self._what, pointer=place, keyword=self.keyword)


class TagError(GrammarError):
    """Tags that do not say where free text ends and their contents begin."""


class StoreError(ConstrainError):
    """A mask store on disk cannot be used."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path}: {problem}")


class StoreCorruptError(StoreError):
    """The file is truncated, damaged, or no mask store at all."""


class StoreVersionError(StoreError):
    """The file was written by another version of the format."""


class StoreMismatchError(StoreError):
    """The file was compiled for another grammar or vocabulary."""


class MatcherError(ConstrainError):
    """A matcher was asked for something impossible in its state."""


class ViabilityLimitError(ConstrainError):
    """Whether a text can be completed was not decided within the stated bound."""


class DeadEndError(ConstrainError):
    """No token at all may follow: impossible with an exact mask, so never ignored.

    Attributes:
        text: the bytes generated so far.
    """

    def __init__(self, text: bytes, problem: str) -> None:
        self.text = text
        super().__init__(f"{problem}; text so far: {text!r}")


class TokenNotAllowedError(ConstrainError):
    """A sequence holds a token that the grammar forbids where it stands.

    Attributes:
        row: of the batch.
        position: 0-based, in the generated part.
        token: its id.
        text: the generated bytes before it.
    """

    def __init__(self, row: int, position: int, token: int, text: bytes, problem: str) -> None:
        self.row = row
        self.position = position
        self.token = token
        self.text = text
        super().__init__(
            f"row {row}: the grammar does not allow token {token} as generated token "
            f"{position}, after the text {text!r}; {problem}"
        )


class PromptError(ConstrainError):
    """A processor cannot tell where the prompt ends and the generated text begins."""


class LogitsError(ConstrainError):
    """A model's logits do not fit the vocabulary of the mask."""


class UnfinishedError(ConstrainError):
    """Generation stopped before the text was whole.

    Attributes:
        text: the bytes generated.
    """

    def __init__(self, text: bytes, problem: str) -> None:
        self.text = text
        super().__init__(f"{problem}; text so far: {text!r}")


class BudgetError(ConstrainError):
    """`max_new_tokens` is smaller than the shortest completion.

    Attributes:
        needed: tokens that the shortest completion takes, its end token included.
        given: the budget.
    """

    def __init__(self, needed: int, given: int) -> None:
        self.needed = needed
        self.given = given
        super().__init__(
            f"max_new_tokens={given} is too small: the shortest text of the grammar "
            f"takes {needed} tokens here; raise max_new_tokens to at least {needed}, "
            f"or pass finish=False to allow a text that is cut off"
        )


class SuffixError(ConstrainError):
    """A suffix cannot be kept in view exactly by the vocabulary's masks.

    Attributes:
        offset: of the suffix's first byte that no token writes.
    """

    def __init__(self, offset: int, problem: str) -> None:
        self.offset = offset
        super().__init__(problem)


class FimFormatError(ConstrainError):
    """A model cannot be asked for a middle in the way that is wanted, or in none that is known."""


class InfillError(ConstrainError):
    """There is no middle where one is asked for; the message says why."""


class BitmaskError(ConstrainError):
    """An array is not the packed bitmask that was wanted: its type, shape or width."""


class CanonicalError(ConstrainError):
    """Which token sequences a tokenizer writes is not known exactly."""


class ByteTextError(ConstrainError):
    """A byte string has no probability under the law asked for: no tokens spell it.

    Attributes:
        prefix: its longest beginning that tokens spell.
        text: all of it.
    """

    def __init__(self, prefix: bytes, text: bytes, problem: str) -> None:
        self.prefix = prefix
        self.text = text
        rest = text[len(prefix) :][:20]
        super().__init__(
            f"{problem}; it is spelled up to byte {len(prefix)}, where {rest!r} follows "
            f"{prefix[-20:]!r}"
        )


class ContextLengthError(ConstrainError):
    """A context and a text are longer than the model reads.

    Attributes:
        needed: tokens of both.
        limit: what the model reads.
    """

    def __init__(self, needed: int, limit: int) -> None:
        self.needed = needed
        self.limit = limit
        super().__init__(
            f"the context and the text's tokens are {needed} and the model reads {limit}; "
            f"shorten the context or the text"
        )


class EmbeddedModelError(ConstrainError):
    """The model that the package carries is not whole.

    Attributes:
        folder: where its files were looked for.
        missing: names of the files that are not there.
    """

    def __init__(self, folder: Path, missing: list[str]) -> None:
        self.folder = folder
        self.missing = missing
        super().__init__(
            f"{folder} lacks {', '.join(missing)}: the embedded model is not whole; install the "
            f"package again, make the model with examples/train_model.py, or name another model"
        )


def _caret(line: int | None, column: int | None, source: str | None) -> str:
    if line is None:
        return ""
    where = f"\n  at line {line}" + (f", column {column}" if column is not None else "")
    lines = source.split("\n") if source is not None else []
    if not 1 <= line <= len(lines):
        return where
    text = lines[line - 1].expandtabs(1)
    shown = f"{where}\n    {text}"
    return shown if column is None else shown + "\n    " + " " * (column - 1) + "^"
