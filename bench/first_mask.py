"""The child of `bench.start`: from nothing to a first mask, with the times on the way as JSON.

    python -m bench.first_mask BEGIN TOKENIZER_JSON [STORES]

Nothing is imported before the clock that a user would not import.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Do what a user does, and print the seconds of each part, by name."""
    began, file, stores = float(sys.argv[1]), sys.argv[2], sys.argv[3:]
    marks = {"python": time.time() - began}
    last = time.time()

    def mark(name: str) -> None:
        nonlocal last
        marks[name] = time.time() - last
        last = time.time()

    import constrain  # noqa: PLC0415 - timed

    mark("import")
    from tokenizers import Tokenizer  # noqa: PLC0415 - timed

    tokenizer = Tokenizer.from_file(file)
    mark("tokenizer")
    vocabulary = constrain.Vocabulary.from_tokenizer(tokenizer)
    mark("vocabulary")
    grammar = constrain.Grammar.builtin("json")
    mark("grammar")
    store = constrain.compile(grammar, vocabulary, Path(stores[0]) if stores else None)
    mark("compile")
    store.matcher().mask()
    mark("first mask")
    print(json.dumps({**marks, "total": time.time() - began}))


if __name__ == "__main__":
    main()
