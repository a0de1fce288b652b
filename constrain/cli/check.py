"""`constrain check`: whether a text belongs to a grammar, or where and why not.

Needs no model and no tokenizer, and so never imports torch.
"""

from __future__ import annotations

import argparse
from typing import Any

from constrain.cli.diagnosis import (
    byte_matcher,
    describe_completion,
    describe_expected,
    place_of,
    read_viable,
    show_caret,
)
from constrain.cli.options import (
    MAX_TEXT_BYTES,
    MIB,
    Exit,
    add_command,
    add_grammar,
    label,
    read_bytes,
    read_grammar,
)

DESCRIPTION = f"""\
Say whether the text in FILE belongs to a grammar. Where it does not: the line, the
column, the byte, and what was expected there. Where it is the beginning of a text: the
shortest completion.

Every byte counts, a line end at the end of the file too. FILE may hold any bytes,
{MAX_TEXT_BYTES // MIB} MiB at most."""

EXAMPLES = """\
  constrain check settings.json --grammar json
  echo -n '{"a": [1,]}' | constrain check - --grammar json
  constrain check query.txt --grammar my_language.lark
  constrain check move.txt --gbnf chess.gbnf
  echo -n 2024-13-01 | constrain check - --regex '\\d{4}-(0[1-9]|1[0-2])-\\d\\d'
  constrain check order.json --schema order.schema.json
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "check",
        run,
        summary="whether a text belongs to a grammar, or where and why not",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="the text; - is standard input")
    add_grammar(parser)


def run(options: argparse.Namespace) -> int:
    """Read the text and print the verdict."""
    grammar = read_grammar(options)
    data = read_bytes(options.file, MAX_TEXT_BYTES)
    name = label(options.file)
    matcher = byte_matcher(grammar)
    offset = read_viable(matcher, data)
    if offset == len(data) and matcher.is_accepting():
        print(f"{name}: accepted by grammar {grammar.name}, {len(data)} bytes")
        return Exit.OK
    place = place_of(data, offset)
    if offset < len(data):
        print(f"{name}: not of grammar {grammar.name}: {place}")
    else:
        print(f"{name}: not whole: a beginning of grammar {grammar.name} that ends at {place}")
    print(show_caret(data, offset))
    print(describe_expected(matcher))
    if offset == len(data):
        print(describe_completion(matcher))
    return Exit.NOT_OF_GRAMMAR
