"""A grammar of llama.cpp: its text as it is, for any model of transformers."""

import re

import constrain
from constrain import Grammar
from constrain.errors import GrammarSyntaxError
from constrain.generation.embedded import load_embedded

RECIPE = r"""
root ::= title step{2,4}
title ::= "# " words "\n"
step  ::= "- " words (" (" [1-9] [0-9]? " min)")? "\n"   # how long it takes
words ::= [A-Z] [a-z]+ (" " [a-z]+){1,3}
"""

model, tokenizer = load_embedded()
grammar = Grammar.from_ebnf(RECIPE)

text = constrain.generate(model, tokenizer, "How to make tea:\n", grammar, max_new_tokens=80)
print(text)
words = r"[A-Z][a-z]+( [a-z]+){1,3}"
assert re.fullmatch(rf"# {words}\n(- {words}( \([1-9][0-9]? min\))?\n){{2,4}}", text)

# No rule recurses, so all of them are one terminal, and a text is one lexeme.
assert len(grammar.terminals) == 1

try:
    Grammar.from_ebnf('root ::= "tea" | <[1000]>')
except GrammarSyntaxError as error:
    print(error)
    assert (error.line, error.column) == (1, 18)
