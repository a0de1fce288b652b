"""Fill the hole at a cursor: what comes back is Python, prefix and suffix included."""

import ast

import constrain
from constrain.generation.embedded import load_embedded

model, tokenizer = load_embedded()
prefix = "def area(width, height):\n    retu"  # the cursor may stand inside a word
suffix = "\n\n\nprint(area(2, 3))\n"

result = constrain.infill(model, tokenizer, prefix, suffix, "python", max_new_tokens=24)
print(result.text)
print(f"spelled again: {result.healed!r}; without masks the model had left Python", end=" ")
print(f"with probability {result.masked_mass:.2f}")
ast.parse(result.text)
assert result.whole.startswith(prefix.encode())
assert result.whole.endswith(suffix.encode())

# Where no middle can be, the result says why.
broken = constrain.infill(model, tokenizer, "print)", suffix, "python")
print(broken.problem)
assert broken.middle is None
