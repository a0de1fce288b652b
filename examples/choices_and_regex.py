"""Grammars without a grammar file: a list of texts, and one regular expression."""

import re

import constrain
from constrain import Grammar
from constrain.errors import BudgetError, PatternError
from constrain.generation.embedded import load_embedded

model, tokenizer = load_embedded()

colour = Grammar.from_choices(["red", "green", "blue"])
text = constrain.generate(model, tokenizer, "The sky is ", colour)
print(text)
assert text in {"red", "green", "blue"}

DATE = r"(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
texts = constrain.generate(
    model, tokenizer, ["She was born on ", "The date: "], Grammar.from_regex(DATE)
)
print(texts)
assert all(re.fullmatch(DATE, text) for text in texts)

# What cannot be done is refused by name, before the first token.
try:
    constrain.generate(model, tokenizer, "", Grammar.from_regex("[a-z]{50}"), max_new_tokens=5)
except BudgetError as error:
    print(error)
    assert error.given == 5 < error.needed
try:
    Grammar.from_regex("(a")
except PatternError as error:
    print(error)
