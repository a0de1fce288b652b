"""What it pays to put regular parts together: `python -m bench.fusing`.

JSON in GBNF, as llama.cpp's users write it, once with its regular parts put together into
terminals and once with a terminal for each literal and set of characters. The texts are those
of `bench.masks`; *cold* is the first walk of all texts, *warm* the second.
"""

from __future__ import annotations

import argparse
from typing import Any

import constrain
from bench.corpora import corpus, encode, read_tokenizer
from bench.engines import Constrain
from bench.measures import microseconds, seconds
from bench.walks import walk
from constrain import Grammar, Vocabulary
from constrain.grammar.determinism import Budget
from constrain.grammar.gbnf import from_ebnf

JSON = r"""
root   ::= ws value
value  ::= (object | array | string | number | "true" | "false" | "null") ws
object ::= "{" ws (member ("," ws member)*)? "}"
member ::= string ws ":" ws value
array  ::= "[" ws (value ("," ws value)*)? "]"
string ::= "\"" char* "\""
char   ::= [^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})
number ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ([eE] [-+]? [0-9]+)?
ws     ::= [ \t\n\r]*
"""


class OfGrammar(Constrain):
    """This library with another grammar than the built-in one."""

    def __init__(self, vocabulary: Vocabulary, grammar: Grammar) -> None:
        super().__init__(vocabulary)
        self._other = grammar

    def compile(self) -> None:
        """From the grammar to a first mask."""
        self.store = constrain.compile(self._other, self._vocabulary)
        self.begin()
        self.mask()


def measure(vocabulary: Vocabulary, grammar: Grammar, texts: list[list[int]]) -> dict[str, Any]:
    engine = OfGrammar(vocabulary, grammar)
    compile_s = seconds(engine.compile)
    found: dict[str, Any] = {
        "terminals": len(grammar.terminals),
        "productions": len(grammar.productions),
        "first_mask_ms": round(1e3 * compile_s, 1),
    }
    for turn in ("cold", "warm"):
        masks: list[int] = []
        advances: list[int] = []
        for text in texts:
            assert walk(engine, text, masks, advances)
        found[f"{turn}_us"] = microseconds(masks)
        found[f"{turn}_advance_us"] = microseconds(advances)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fusing", description=__doc__)
    parser.add_argument("--tokenizer", default="llama3", help="a folder of `tokenizers`")
    parser.add_argument("--texts", type=int, default=60)
    options = parser.parse_args()
    name, tokenizer = read_tokenizer(options.tokenizer)
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    texts = corpus("json", options.texts).texts
    encoded = [encode(tokenizer, text) for text in texts]
    # Pays for the kernels, which are compiled late.
    measure(vocabulary, from_ebnf(JSON), encoded[:3])
    print(f"JSON in GBNF, {name}: {sum(map(len, encoded))} masks a walk")
    for label, budget in (("put together", None), ("left apart", Budget(0))):
        print(f"\n{label}")
        grammar = from_ebnf(JSON, budget=budget)
        for key, value in measure(vocabulary, grammar, encoded).items():
            print(f"  {key}: {value}")


if __name__ == "__main__":
    main()
