"""A pydantic model in, an object of it out: whatever the language model writes fits."""

from pydantic import BaseModel, Field

import constrain
from constrain import Grammar
from constrain.generation.embedded import load_embedded


class Book(BaseModel):
    title: str = Field(min_length=1, max_length=60)
    author: str
    year: int = Field(ge=1450, le=2100)
    tags: list[str] = Field(default=[], max_length=3)


model, tokenizer = load_embedded()
grammar = Grammar.from_json_schema(Book)
prompt = "A JSON object describing a book:\n"

text = constrain.generate(model, tokenizer, prompt, grammar, max_new_tokens=150, do_sample=False)
book = Book.model_validate_json(text)  # raises where the text does not fit
print(book)
assert 1450 <= book.year <= 2100

# The same white space as `json.dumps(…, indent=2)` writes it.
indented = Grammar.from_json_schema(Book, indent=2)
text = constrain.generate(model, tokenizer, prompt, indented, max_new_tokens=150, do_sample=False)
print(text)
assert text.startswith('{\n  "title": "')
assert isinstance(Book.model_validate_json(text), Book)
