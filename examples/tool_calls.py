"""Calls of tools in free text: a begin string opens a schema, an end string closes it."""

import json

import constrain
from constrain import Grammar, Tag
from constrain.generation.embedded import load_embedded

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "days": {"enum": [1, 3, 7]}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
BEGIN, END = "<function=get_weather>", "</function>"

tags = [
    Tag(BEGIN, WEATHER, END),
    Tag("<function=stop>", Grammar.from_choices(["now", "later"]), END),
]
grammar = Grammar.tags(tags, triggers=["<function="], at_least=1, at_most=1)
model, tokenizer = load_embedded()

text = constrain.generate(model, tokenizer, "A city: ", grammar, max_new_tokens=80, do_sample=False)
print(text)
said, _, call = text.partition("<function=")
name, _, content = call.partition(">")
assert "<function=" not in said
if name == "get_weather":
    assert json.loads(content[: content.rindex(END)])["days"] in (1, 3, 7)
else:
    assert content.startswith(("now", "later"))

vocabulary = constrain.Vocabulary.from_tokenizer(tokenizer, model.generation_config)
matcher = constrain.compile(grammar, vocabulary).matcher()
assert matcher.accept_bytes(b'Let me see. <function=get_weather>{"city": "Rome", "days": ')
assert not matcher.accept_bytes(b"2")  # refused, and nothing changes
assert matcher.accept_bytes(b"3}</function>")
assert matcher.is_accepting()
print(matcher.explain())
