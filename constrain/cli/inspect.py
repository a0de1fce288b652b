"""`constrain inspect`: the state after a text, the tokens allowed there, and why."""

from __future__ import annotations

import argparse
from typing import Any

from constrain.bitmask import allocate, token_ids
from constrain.cli.diagnosis import (
    byte_matcher,
    describe_completion,
    describe_expected,
    place_of,
    quote,
    read_viable,
    show_caret,
)
from constrain.cli.options import (
    MAX_TEXT_BYTES,
    STDIN,
    Exit,
    UsageError,
    add_command,
    add_grammar,
    add_tokenizer,
    read_bytes,
    read_grammar,
)
from constrain.compiler import compile as compile_store
from constrain.decode.matcher import Matcher
from constrain.schema.tags import AnyGrammar
from constrain.vocabulary import Vocabulary

DESCRIPTION = """\
Show the state after TEXT: the terminals that may come next, the rules in progress, how many
tokens are allowed and which, and for a given token why it is or is not allowed."""

EXAMPLES = """\
  constrain inspect '{"a": tr' --grammar json
  constrain inspect '{"a": 1' --grammar json --token '}' --token ']'
  constrain inspect '' --choice yes --choice no --tokenizer gpt2 --first 100
  cat part.json | constrain inspect - --grammar json --token-id 17
  constrain inspect '{"name": ' --schema user.schema.json
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "inspect",
        run,
        summary="the state after a text, the tokens allowed there, and why",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    parser.add_argument("text", metavar="TEXT", help="the text so far; - is standard input")
    add_grammar(parser)
    add_tokenizer(parser)
    parser.add_argument(
        "--token",
        metavar="TEXT",
        action="append",
        default=[],
        help="explain the token of this text",
    )
    parser.add_argument(
        "--token-id", metavar="ID", type=int, action="append", default=[], help="explain this token"
    )
    parser.add_argument(
        "--first", metavar="N", type=int, default=20, help="list N allowed tokens (%(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Read the text and print the state after it."""
    grammar = read_grammar(options)
    text = _read_text(options.text)
    from constrain.cli.models import load_vocabulary  # noqa: PLC0415 - imports torch

    vocabulary = load_vocabulary(options.tokenizer)
    asked = [*options.token_id, *(_token_of(t, vocabulary) for t in options.token)]
    matcher = compile_store(grammar, vocabulary).matcher()
    if not matcher.accept_bytes(text):
        _print_fault(grammar, text)
        return Exit.NOT_OF_GRAMMAR
    print(matcher.explain())
    print(describe_completion(matcher))
    _print_allowed(matcher, vocabulary, options.first)
    for token in asked:
        print(matcher.explain(token).verdict)
    return Exit.OK


def _read_text(text: str) -> bytes:
    return (
        read_bytes(STDIN, MAX_TEXT_BYTES)
        if text == STDIN
        else text.encode(errors="surrogateescape")
    )


def _token_of(text: str, vocabulary: Vocabulary) -> int:
    """The id of the token that writes `text`.

    Raises:
        UsageError: there is none.
    """
    spelling = text.encode(errors="surrogateescape")
    if not spelling or spelling not in vocabulary.tokens:
        raise UsageError(
            f"no token of the tokenizer writes exactly {text!r}; give one that does, or its "
            f"number by --token-id"
        )
    return vocabulary.tokens.index(spelling)


def _print_fault(grammar: AnyGrammar, text: bytes) -> None:
    matcher = byte_matcher(grammar)
    offset = read_viable(matcher, text)
    if offset == len(text):
        print("the text is a beginning of the grammar, but the tokenizer cannot spell the rest")
        return
    print(f"the text leaves grammar {grammar.name} at {place_of(text, offset)}")
    print(show_caret(text, offset))
    print(describe_expected(matcher))


def _print_allowed(matcher: Matcher, vocabulary: Vocabulary, first: int) -> None:
    row = allocate(vocabulary.size)
    matcher.fill_bitmask(row)
    allowed = token_ids(row).tolist()
    shown = allowed[: max(0, first)]
    print(f"allowed tokens: {len(allowed)} of {vocabulary.size}" + (":" if shown else ""))
    for token in shown:
        is_end = token in vocabulary.end_ids
        print(f"  {token:>6} {'(end of the text)' if is_end else quote(vocabulary.tokens[token])}")
    if len(shown) < len(allowed):
        print(f"  ... and {len(allowed) - len(shown)} more")
