"""`constrain generate`: a model writes one text of a grammar."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from constrain.cli.diagnosis import describe_completion
from constrain.cli.options import (
    MAX_PROMPT_BYTES,
    STDIN,
    Exit,
    UsageError,
    add_cache,
    add_command,
    add_grammar,
    cache_folder,
    cached_store,
    read_grammar,
    read_text,
)
from constrain.compiler import MaskStore
from constrain.errors import BudgetError
from constrain.vocabulary import Vocabulary

DESCRIPTION = """\
Write one text of a grammar after a prompt. The text is whole within --max-new-tokens; where
the grammar's shortest text does not fit, nothing is written and the message says how many
tokens are needed.

The text goes to standard output byte for byte; a line end is added on a terminal only."""

EXAMPLES = """\
  constrain generate --grammar json --prompt "A user, as JSON:"
  constrain generate --choice yes --choice no --prompt "Is water wet? "
  constrain generate --regex '\\d{4}-\\d\\d-\\d\\d' --prompt "Today is " --temperature 0.8 --seed 7
  constrain generate --grammar my_language.lark --model path/to/model --stream
  constrain generate --gbnf chess.gbnf --prompt "1. e4 "
  cat prompt.txt | constrain generate --grammar json --prompt - > answer.json
  constrain generate --schema book.schema.json --indent 2 --prompt "A book, as JSON:"
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "generate",
        run,
        summary="a model writes one text of a grammar",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    add_grammar(parser)
    parser.add_argument(
        "--prompt", metavar="TEXT", default="", help="what the text follows; - is standard input"
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
        default=256,
        help="the most tokens to write, the end token included (%(default)s)",
    )
    parser.add_argument(
        "--no-finish",
        action="store_true",
        help="promise no whole text: it may be cut off at --max-new-tokens (exit code 1)",
    )
    parser.add_argument("--stream", action="store_true", help="write the text as it comes")
    add_cache(parser)
    add_sampling(parser)


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how tokens are chosen."""
    group = parser.add_argument_group(
        "how tokens are chosen (default: as the model's settings say)"
    )
    one = group.add_mutually_exclusive_group()
    one.add_argument("--greedy", action="store_true", help="always the likeliest token")
    one.add_argument(
        "--temperature", metavar="T", type=_temperature, help="sample, at a temperature above 0"
    )
    group.add_argument("--seed", metavar="N", type=int, help="sample the same text every time")


def run(options: argparse.Namespace) -> int:
    """Load the model, write the text, and say where it is not whole."""
    grammar = read_grammar(options)
    prompt = _read_prompt(options.prompt)
    import torch  # noqa: PLC0415 - slow, as are the two below

    from constrain.cli.models import load_model  # noqa: PLC0415
    from constrain.generation.generate import generate  # noqa: PLC0415

    model, tokenizer = load_model(options.model, options.device)
    vocabulary = Vocabulary.from_tokenizer(tokenizer, model.generation_config)
    store = cached_store(grammar, vocabulary, cache_folder(options))
    if options.seed is not None:
        torch.manual_seed(options.seed)
    try:
        text = _write(
            generate(
                model,
                tokenizer,
                prompt,
                store,
                max_new_tokens=options.max_new_tokens,
                finish=not options.no_finish,
                stream=True,
                **sampling(options),
            ),
            at_once=options.stream,
        )
    except BudgetError as error:
        error.add_note("(--max-new-tokens and --no-finish say the same on the command line)")
        raise
    return _verdict(store, text)


def _write(pieces: Iterator[str], *, at_once: bool) -> str:
    """Write a text to standard output and return it."""
    text = ""
    for piece in pieces:
        text += piece
        if at_once:
            print(piece, end="", flush=True)
    print("" if at_once else text, end="\n" if sys.stdout.isatty() else "")
    return text


def _read_prompt(text: str) -> str:
    if text == STDIN:
        return read_text(STDIN, MAX_PROMPT_BYTES)
    if not text.isprintable() and any("\ud800" <= c <= "\udfff" for c in text):
        raise UsageError("--prompt is not UTF-8; convert it")
    return text


def sampling(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_sampling`'s options are to `model.generate`."""
    if options.greedy:
        return {"do_sample": False}
    if options.temperature is not None:
        return {"do_sample": True, "temperature": options.temperature}
    return {}


def _verdict(store: MaskStore, text: str) -> Exit:
    """OK for a whole text; else a note on standard error."""
    matcher = store.matcher()
    matcher.accept_bytes(text.encode())
    if matcher.is_accepting():
        return Exit.OK
    print(
        f"constrain generate: the text was cut off; {describe_completion(matcher)}",
        file=sys.stderr,
    )
    return Exit.NOT_OF_GRAMMAR


def count(text: str) -> int:
    """A number of 1 or more, for an option."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value


def _temperature(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number above 0; for 0, use --greedy")
    return value
