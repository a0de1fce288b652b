"""A language of your own, in Lark's grammar language, and a matcher to look inside."""

import constrain
from constrain import Grammar, Vocabulary
from constrain.generation.embedded import load_embedded

ROUTES = r"""
start: step (", " step)* "."
step: TURN " on " STREET
TURN: "left" | "right"
STREET: /[A-Z][a-z]{2,9} (Street|Lane)/
"""

grammar = Grammar.from_lark(ROUTES)
model, tokenizer = load_embedded()
vocabulary = Vocabulary.from_tokenizer(tokenizer, model.generation_config)
store = constrain.compile(grammar, vocabulary)

text = constrain.generate(model, tokenizer, "The way: ", store, max_new_tokens=40)
print(text)

matcher = store.matcher()
assert matcher.accept_bytes(text.encode())
assert matcher.is_accepting()

matcher = store.matcher()
assert matcher.accept_bytes(b"left on Mill")
assert not matcher.accept_bytes(b" Road")  # refused, and nothing changes
assert not matcher.is_accepting()
assert matcher.shortest_completion() == b" Lane."
assert matcher.accept_bytes(b" S")
assert matcher.forced_bytes() == b"treet"  # no other text goes on from here
print(matcher.explain())
