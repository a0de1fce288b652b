"""`constrain compile`: a grammar and a tokenizer become a store in the cache folder."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from constrain.cli.options import (
    Exit,
    UsageError,
    add_cache,
    add_command,
    add_grammar,
    add_tokenizer,
    cache_folder,
    read_grammar,
    store_path,
)
from constrain.compiler import Progress
from constrain.compiler import compile as compile_store
from constrain.masks.storefile import read_store

DESCRIPTION = """\
Compile a grammar for a tokenizer ahead of time. `constrain generate` and
`constrain.compile(..., cache_dir=FOLDER)` find the store in the cache folder; a second run is
a cache hit. Nothing has to be compiled ahead: without a store, masks are computed as they
are needed."""

EXAMPLES = """\
  constrain compile --grammar json
  constrain compile --grammar json --tokenizer path/to/model
  constrain compile --grammar my_language.lark --tokenizer gpt2 --cache stores
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "compile",
        run,
        summary="compile a grammar for a tokenizer ahead of time",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    add_grammar(parser)
    add_tokenizer(parser)
    add_cache(parser)


def run(options: argparse.Namespace) -> int:
    """Compile, or find compiled, and print what there is."""
    if options.schema is not None:
        raise UsageError(
            "a schema is compiled when it is needed, in milliseconds, and nothing of it is kept "
            "on disk; give it to generate, check or inspect"
        )
    grammar = read_grammar(options)
    from constrain.cli.models import load_vocabulary  # noqa: PLC0415 - imports torch

    vocabulary = load_vocabulary(options.tokenizer)
    cache = cache_folder(options)
    path = store_path(grammar, vocabulary, cache)
    is_hit = path.exists()
    started = time.perf_counter()
    with _progress_bar() as progress:
        compile_store(grammar, vocabulary, cache, progress=progress)
    elapsed = time.perf_counter() - started
    content = read_store(path, grammar=grammar.fingerprint, vocabulary=vocabulary.fingerprint)
    print(f"grammar {grammar.name}, {vocabulary.size} tokens: {path}")
    print(
        f"{'cache hit, read' if is_hit else 'compiled'} in {elapsed:.2f} s: "
        f"{len(content.members)} lexer states, {len(content.rows)} rows, "
        f"{path.stat().st_size / 1e6:.2f} MB"
    )
    return Exit.OK


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    """A bar on standard error, if that is a terminal."""
    with tqdm(disable=None, unit="row", leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress
