"""The shortest way to JSON: a model, a prompt, the name of a grammar."""

import json

import constrain
from constrain.generation.embedded import load_embedded

model, tokenizer = load_embedded()
prompt = "A JSON object describing a user:\n"

text = constrain.generate(model, tokenizer, prompt, "json", max_new_tokens=100, do_sample=False)
print(text)
value = json.loads(text)
assert isinstance(value, dict | list | str | float | int | bool | None)

# max_new_tokens is a promise: a small budget gives a shorter text, not a broken one.
for budget in (2, 5, 20):
    short = constrain.generate(model, tokenizer, prompt, "json", max_new_tokens=budget)
    print(f"{budget:>3} tokens: {json.loads(short)!r}")

# Pieces come as soon as they are final; together they are the same text.
pieces = constrain.generate(
    model, tokenizer, prompt, "json", max_new_tokens=100, do_sample=False, stream=True
)
assert "".join(pieces) == text
