"""`constrain infill`: a model fills a hole in a file."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import PurePath
from typing import Any

from constrain.cli.generate import add_sampling, count, sampling
from constrain.cli.options import (
    MAX_TEXT_BYTES,
    Exit,
    UsageError,
    add_cache,
    add_command,
    add_grammar,
    cache_folder,
    cached_store,
    has_grammar,
    label,
    read_bytes,
    read_grammar,
)
from constrain.grammar.rules import Grammar
from constrain.schema.tags import AnyGrammar

DESCRIPTION = """\
Fill the hole at a cursor in a file, and write the whole file to standard output; the file
itself is not changed. With a grammar the whole file is a text of it, or nothing is written and
the message says why. Where no option names the grammar, the file's name tells it (.py, .go,
.json, .sql).

The cursor stands before a character: 1:1 is the beginning of the file."""

EXAMPLES = """\
  constrain infill settings.json --cursor 4:12
  constrain infill module.py --cursor 10:5 --middle
  constrain infill module.py --cursor 10:5 --no-grammar --healing none
  constrain infill answer.txt --cursor 2:1 --schema answer.schema.json --seed 7
  cat module.go | constrain infill - --cursor 7:2 --grammar go --stream
"""

BY_SUFFIX = {".py": "python", ".go": "go", ".json": "json", ".sql": "sql"}
"""The built-in grammar of files whose names end so."""

_CURSOR = re.compile(r"([0-9]{1,9}):([0-9]{1,9})")


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "infill",
        run,
        summary="a model fills a hole in a file",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="the file; - is standard input")
    parser.add_argument(
        "--cursor",
        metavar="LINE:COLUMN",
        type=_cursor,
        required=True,
        help="where the hole is; both count from 1, columns in characters",
    )
    parser.add_argument("--middle", action="store_true", help="write what fills the hole only")
    parser.add_argument("--stream", action="store_true", help="write the text as it comes")
    parser.add_argument(
        "--healing",
        choices=("exact", "mask", "none"),
        default="exact",
        help="how the last tokens before the hole are spelled again (%(default)s)",
    )
    parser.add_argument(
        "--layout",
        choices=("auto", "psm", "spm"),
        default="auto",
        help="prefix or suffix first, as the model was trained (%(default)s)",
    )
    parser.add_argument(
        "--model",
        metavar="NAME|FOLDER",
        help="a folder, or a name on the Hugging Face hub (default: the embedded model)",
    )
    parser.add_argument("--device", help="where the model runs (default: a GPU, if there is one)")
    parser.add_argument(
        "--max-new-tokens",
        metavar="N",
        type=count,
        default=128,
        help="the most tokens to write, the end token included (%(default)s)",
    )
    add_grammar(parser, is_required=False)
    parser.add_argument("--no-grammar", action="store_true", help="any text may fill the hole")
    add_cache(parser)
    add_sampling(parser)


def run(options: argparse.Namespace) -> int:
    """Load the model, fill the hole, and say where that cannot be."""
    grammar = _grammar(options)
    text = read_bytes(options.file, MAX_TEXT_BYTES)
    place = _offset(text, *options.cursor)
    prefix, suffix = text[:place], text[place:]
    import torch  # noqa: PLC0415 - slow, as are the three below

    from constrain.cli.models import load_model  # noqa: PLC0415
    from constrain.generation.fim import fim_vocabulary  # noqa: PLC0415
    from constrain.generation.infill import infill  # noqa: PLC0415

    model, tokenizer = load_model(options.model, options.device)
    store = None
    if grammar is not None:
        vocabulary = fim_vocabulary(model, tokenizer)
        store = cached_store(grammar, vocabulary, cache_folder(options))
    if options.seed is not None:
        torch.manual_seed(options.seed)
    how: dict[str, Any] = {
        "healing": options.healing,
        "layout": options.layout,
        "max_new_tokens": options.max_new_tokens,
        **sampling(options),
    }
    out = sys.stdout.buffer
    if options.stream:
        _write(b"" if options.middle else prefix)
        for piece in infill(model, tokenizer, prefix, suffix, store, stream=True, **how):
            _write(piece.encode())
        _write(b"" if options.middle else suffix)
        return Exit.OK
    result = infill(model, tokenizer, prefix, suffix, store, **how)
    if result.middle is None:
        print(f"constrain infill: {result.problem}", file=sys.stderr)
        return Exit.NOT_OF_GRAMMAR
    _write(result.middle if options.middle else result.whole)
    if options.middle and sys.stdout.isatty():
        out.write(b"\n")
    return Exit.OK


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _grammar(options: argparse.Namespace) -> AnyGrammar | None:
    if options.no_grammar:
        if has_grammar(options):
            raise UsageError("--no-grammar goes with no other grammar")
        return None
    if has_grammar(options):
        return read_grammar(options)
    name = BY_SUFFIX.get(PurePath(options.file).suffix)
    if name is None:
        raise UsageError(
            f"{label(options.file)} does not tell its grammar; name it by --grammar, or say "
            f"--no-grammar"
        )
    return Grammar.builtin(name)


def _cursor(text: str) -> tuple[int, int]:
    found = _CURSOR.fullmatch(text)
    if found is None or "0" in found.groups():
        raise argparse.ArgumentTypeError(f"{text!r} is no place such as 10:5, counted from 1")
    return int(found[1]), int(found[2])


def _offset(text: bytes, line: int, column: int) -> int:
    """The offset of a line's column; lines end at line feeds.

    Raises:
        UsageError: the text has no such place.
    """
    lines = text.split(b"\n")
    if line > len(lines):
        raise UsageError(f"the cursor is in line {line}, and the file has {len(lines)} lines")
    here = lines[line - 1].decode(errors="surrogateescape")
    if column > len(here) + 1:
        raise UsageError(f"the cursor is in column {column}, and line {line} ends at {len(here)}")
    before = here[: column - 1].encode(errors="surrogateescape")
    return sum(len(one) + 1 for one in lines[: line - 1]) + len(before)
