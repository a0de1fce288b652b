"""One random schema on trial: its judge, its store, and texts of values near it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import strategies as st

import constrain
from constrain import Grammar, MaskStore, Matcher, Vocabulary
from constrain.errors import EmptyLanguageError, GrammarLimitError, SchemaError
from tests.oracles.schema import Judge
from tests.schema.strategies import Near, spelled
from tests.test_exactness import tell

BYTES = Vocabulary.from_tokens([bytes([b]) for b in range(256)] + [b""], [256])
LONGER = (
    b'{"', b'":', b'", "', b'","', b'": ', b'"a"', b'{"a":', b'"a": ', b'"b":"', b'":"', b'"}',
    b'":1,"', b'1,"a":', b'{}', b'[]', b'[[', b']]', b'],', b'},{', b'}]', b'1,', b', ', b'10',
    b'.5', b'1,1', b'[1,', b'null', b'null,', b'true', b'alse', b'":null,"b":', b'","b":', b'a"',
    b'ab', b'aa', b'\\u00', b'\xc3\xa9', b'b": {"', b'  ', b'\n', b' {', b'"a","', b'2]',
    b'"a","a"',
)  # fmt: skip
TOKENS = Vocabulary.from_tokens(
    [bytes([b]) for b in range(256)] + [*LONGER, b""], [256 + len(LONGER)]
)
N_VALUES = 12
SEEDS = st.integers(0, 1 << 30)


def compiled(
    schema: dict[str, Any], vocabulary: Vocabulary = BYTES, **style: Any
) -> MaskStore | None:
    """The store of a schema; None where it has no value.

    Raises:
        SchemaError, GrammarLimitError: it is refused.
    """
    try:
        grammar = Grammar.from_json_schema(schema, **{"order": "any", **style})
        return constrain.compile(grammar, vocabulary)
    except EmptyLanguageError:
        tell("no value")
        return None


def is_accepted(store: MaskStore | None, text: str) -> bool:
    if store is None:
        return False
    matcher = store.matcher()
    return matcher.accept_bytes(text.encode()) and matcher.is_accepting()


def told(schema: dict[str, Any], text: str | bytes, problem: str) -> str:
    """The whole counterexample."""
    return f"{problem}\n{json.dumps(schema, ensure_ascii=False)}\n{text!r}"


class Trial:
    """A schema, its judge and its store; refused schemas raise `Refused`."""

    def __init__(
        self,
        schema: dict[str, Any],
        seed: int = 0,
        vocabulary: Vocabulary = BYTES,
        **style: Any,
    ) -> None:
        self.schema = schema
        self.random = Random(seed)
        self.near = Near(schema, seed)
        self.judge = Judge(json.dumps(schema))
        self.refusal: Exception | None = None
        try:
            self.store = compiled(schema, vocabulary, **style)
        except (SchemaError, GrammarLimitError) as error:
            tell(f"refused: {type(error).__name__}")
            self.refusal = error
            self.store = None

    @property
    def is_refused(self) -> bool:
        return self.refusal is not None

    def is_valid(self, text: str | bytes) -> bool:
        return self.judge.complaint(text if isinstance(text, str) else text.decode()) is None

    def texts(self, n_texts: int = N_VALUES) -> Iterator[str]:
        """Texts of values near the schema."""
        for _ in range(n_texts):
            yield spelled(self.near.value(), self.random)

    def valid_texts(self, n_texts: int = N_VALUES) -> Iterator[str]:
        return (text for text in self.texts(n_texts) if self.is_valid(text))

    def assert_completes(self, matcher: Matcher) -> bytes:
        """What the matcher has read can be completed, by a text that jsonschema finds valid."""
        completion = matcher.shortest_completion()
        text = matcher.text + completion
        assert self.is_valid(text), told(self.schema, text, f"completed behind {matcher.text!r}")
        after = matcher.fork()
        assert not completion or after.accept_bytes(completion)
        assert after.is_accepting(), told(self.schema, text, "the completion is not whole")
        return completion
