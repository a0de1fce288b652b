"""Options and inputs that several commands share, and the exit codes of all."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import Any

from constrain.compiler import MaskStore
from constrain.compiler import compile as compile_store
from constrain.errors import GrammarError
from constrain.grammar.builtin import builtin_names
from constrain.grammar.rules import Grammar
from constrain.masks.storefile import store_name
from constrain.schema.grammar import SchemaGrammar, from_json_schema
from constrain.schema.tags import AnyGrammar
from constrain.vocabulary import Vocabulary

MIB = 1 << 20
MAX_GRAMMAR_BYTES = 4 * MIB
MAX_SCHEMA_BYTES = 16 * MIB
MAX_TEXT_BYTES = 16 * MIB
MAX_PROMPT_BYTES = 4 * MIB

STDIN = "-"

READS_STDIN = ("file", "text", "prompt")
"""Options that may name standard input besides the schema."""


class Exit(IntEnum):
    """What the process returns."""

    OK = 0
    NOT_OF_GRAMMAR = 1
    USAGE = 2
    LIBRARY_ERROR = 3
    INTERRUPTED = 130
    BROKEN_PIPE = 141


EXIT_CODES = """\
exit codes:
  0    ok
  1    the text is not of the grammar, or not whole
  2    usage: an option is wrong, or a file or model cannot be read
  3    the library refused, and the message says why: a grammar that cannot be used,
       a damaged store, a budget that no text fits into
  130  interrupted
  141  the reader of the output went away"""


class UsageError(Exception):
    """What the user asked for cannot be tried."""


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    summary: str,
    description: str,
    examples: str,
) -> argparse.ArgumentParser:
    """Add a command whose help ends with examples and the exit codes."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"examples:\n{examples}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser


def add_grammar(parser: argparse.ArgumentParser, *, is_required: bool = True) -> None:
    """Add the options that say what texts may be."""
    group = parser.add_argument_group("the grammar (one of the first five)")
    one = group.add_mutually_exclusive_group(required=is_required)
    one.add_argument(
        "--grammar",
        metavar="NAME|FILE",
        help=f"a built-in grammar ({', '.join(builtin_names())}), or a file in Lark's language",
    )
    one.add_argument("--gbnf", metavar="FILE", help="a file in GBNF, llama.cpp's grammar language")
    one.add_argument("--regex", metavar="PATTERN", help="a Python re pattern, for the whole text")
    one.add_argument(
        "--choice", metavar="TEXT", action="append", help="one of the texts; give it repeatedly"
    )
    one.add_argument(
        "--schema",
        metavar="FILE",
        help="JSON that fits the JSON Schema in a file; - is standard input",
    )
    group.add_argument(
        "--start", metavar="RULE", help="of a grammar file: the rule of a whole text (start)"
    )
    group.add_argument(
        "--lexing",
        choices=("longest", "any"),
        help="of a grammar file: where a lexeme may end; only where no longer match is "
        "possible (longest, the default), or wherever its terminal matches (any)",
    )
    _add_schema_options(parser)


def _add_schema_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("with --schema")
    group.add_argument(
        "--order",
        choices=("schema", "any"),
        help="members come as in `properties` (schema, the default), or in any order",
    )
    group.add_argument(
        "--whitespace",
        choices=("flexible", "compact"),
        help="as JSON allows it (flexible, the default), or none (compact)",
    )
    group.add_argument("--indent", metavar="N", type=int, help="exactly that of indented JSON")
    group.add_argument(
        "--escapes",
        choices=("canonical", "any"),
        help="how keys and listed strings may be spelled: in one way (canonical, the default), "
        "or with any escapes",
    )
    group.add_argument(
        "--lenient",
        action="store_true",
        default=None,
        help="ignore keywords that cannot be enforced, and warn of each on standard error",
    )


GRAMMAR_OPTIONS = ("grammar", "gbnf", "regex", "choice", "schema")

SCHEMA_OPTIONS = ("order", "whitespace", "indent", "escapes", "lenient")


def has_grammar(options: argparse.Namespace) -> bool:
    """Whether one of `add_grammar`'s options names a grammar."""
    return any(getattr(options, name) is not None for name in GRAMMAR_OPTIONS)


def read_grammar(options: argparse.Namespace) -> AnyGrammar:
    """The grammar that `add_grammar`'s options name.

    Raises:
        UsageError: its file cannot be read, or an option does not go with it.
        GrammarError: it is no grammar, or there is no built-in of this name; or a schema that
            cannot be enforced.
    """
    name = options.grammar
    is_file = name is not None and name not in builtin_names() and _names_file(name)
    if not is_file and (options.start or options.lexing):
        raise UsageError("--start and --lexing go with --grammar FILE only")
    if is_file:
        return _read_grammar_file(Path(name), options)
    given = {n: v for n in SCHEMA_OPTIONS if (v := getattr(options, n)) is not None}
    if options.schema is not None:
        return _read_schema(options, given)
    if given:
        raise UsageError(f"--{next(iter(given))} goes with --schema FILE only")
    if options.gbnf is not None:
        return _read_by(Grammar.from_ebnf, Path(options.gbnf))
    if name is not None:
        return Grammar.builtin(name)
    if options.regex is not None:
        return Grammar.from_regex(options.regex)
    return Grammar.from_choices(options.choice)


def add_tokenizer(parser: argparse.ArgumentParser) -> None:
    """Add the option that says whose tokens are meant."""
    parser.add_argument(
        "--tokenizer",
        metavar="NAME|FOLDER",
        help="a folder with a tokenizer.json, or a model's name on the Hugging Face hub "
        "(default: the embedded model's)",
    )


def add_cache(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where stores are kept."""
    parser.add_argument(
        "--cache",
        metavar="FOLDER",
        type=Path,
        help="where compiled grammars are kept (default: ~/.cache/constrain)",
    )


def cache_folder(options: argparse.Namespace) -> Path:
    """The folder that `add_cache`'s option names.

    Raises:
        UsageError: it names none, and the user has no home folder.
    """
    if options.cache is not None:
        return Path(options.cache)
    try:
        base = os.environ.get("XDG_CACHE_HOME")
        return (Path(base) if base else Path.home() / ".cache") / "constrain"
    except RuntimeError as error:
        raise UsageError(f"{error}; name the cache's folder by --cache") from error


def store_path(grammar: AnyGrammar, vocabulary: Vocabulary, cache: Path) -> Path:
    """Where in the folder `cache` the store of both is kept."""
    return cache / store_name(grammar.fingerprint, vocabulary.fingerprint)


def cached_store(grammar: AnyGrammar, vocabulary: Vocabulary, cache: Path) -> MaskStore:
    """The store in `cache`, if it is there; else one that grows as it is used.

    Raises:
        GrammarError: the grammar cannot be used.
        StoreError: the file in the cache is damaged.
    """
    is_cached = store_path(grammar, vocabulary, cache).exists()
    return compile_store(grammar, vocabulary, cache if is_cached else None)


def read_bytes(name: str, limit: int) -> bytes:
    """The bytes of a file, or of standard input for `-`.

    Raises:
        UsageError: it cannot be read, or is longer than `limit`.
    """
    try:
        if name == STDIN:
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{label(name)} cannot be read: {error}") from error
    if len(data) > limit:
        raise UsageError(
            f"{label(name)} is longer than {limit} bytes ({limit // MIB} MiB), the most that "
            f"is read here; give a shorter text"
        )
    return data


def read_text(name: str, limit: int) -> str:
    """`read_bytes`, as characters.

    Raises:
        UsageError: it cannot be read, is too long, or not UTF-8.
    """
    try:
        return read_bytes(name, limit).decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{label(name)} is not UTF-8: byte {error.object[error.start]:#04x} at offset "
            f"{error.start}; convert it"
        ) from error


def label(name: str) -> str:
    """What to call a file in messages."""
    return "standard input" if name == STDIN else name


def _names_file(name: str) -> bool:
    path = Path(name)
    return path.suffix == ".lark" or len(path.parts) != 1 or path.is_file()


def _read_grammar_file(path: Path, options: argparse.Namespace) -> Grammar:
    def read(text: str) -> Grammar:
        return Grammar.from_lark(
            text,
            start=options.start or "start",
            lexing=options.lexing or "longest",
            base_path=path.parent,
        )

    return _read_by(read, path)


def _read_by(read: Callable[[str], Grammar], path: Path) -> Grammar:
    text = read_text(str(path), MAX_GRAMMAR_BYTES)
    try:
        grammar = read(text)
    except GrammarError as error:
        error.add_note(f"the grammar is {path}")
        raise
    return replace(grammar, name=path.stem)


def _read_schema(options: argparse.Namespace, given: dict[str, Any]) -> SchemaGrammar:
    """The grammar of a schema's file; what it does not enforce is told on standard error."""
    name = options.schema
    if name == STDIN and STDIN in (getattr(options, other, None) for other in READS_STDIN):
        raise UsageError("standard input cannot be both the schema and the text; put one in a file")
    text = read_text(name, MAX_SCHEMA_BYTES)
    try:
        grammar = from_json_schema(
            text, **given, name="schema" if name == STDIN else Path(name).stem
        )
    except ValueError as error:
        raise UsageError(f"{error}") from error
    except GrammarError as error:
        error.add_note(f"the schema is {label(name)}")
        raise
    for warning in grammar.warnings:
        print(f"constrain {options.command}: not enforced: {warning}", file=sys.stderr)
    return grammar
