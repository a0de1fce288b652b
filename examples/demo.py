"""The embedded model answers prompts with JSON. `make demo` runs this.

Every answer is read by Python's own json module before it is called valid.
"""

import json
import time
from typing import Any

from transformers.utils import logging

import constrain
from constrain.generation.embedded import load_embedded

PROMPTS = (
    "A user with name, email, age and city:\n",
    "A JSON object describing a book:\n",
    "A product with name, price and tags as JSON:\n",
    "A JSON array of two cities:\n",
    "An event with title, date and location:\n",
    "Settings with host, port and debug as JSON:\n",
)
MAX_NEW_TOKENS = 160


def answer(model: Any, tokenizer: Any, prompt: str) -> str:
    return constrain.generate(
        model, tokenizer, prompt, "json", max_new_tokens=MAX_NEW_TOKENS, do_sample=False
    )


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is Python's, but not JSON's")


def main() -> None:
    logging.disable_progress_bar()
    model, tokenizer = load_embedded()
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"The embedded model: {n_parameters / 1e6:.1f} M parameters.")
    print(f"Its answers may be no longer than {MAX_NEW_TOKENS} tokens; masks keep them JSON.")
    for prompt in PROMPTS:
        start = time.perf_counter()
        text = answer(model, tokenizer, prompt)
        seconds = time.perf_counter() - start
        value = json.loads(text, parse_constant=refuse_constant)  # raises where it is no JSON
        print(f"\n> {prompt.rstrip()}\n{text.strip()}")
        print(f"  valid JSON: {type(value).__name__}, {len(text.encode())} bytes, {seconds:.1f} s")
    print(f"\n{len(PROMPTS)} of {len(PROMPTS)} answers are valid JSON.")


if __name__ == "__main__":
    main()
