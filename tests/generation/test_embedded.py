"""The embedded model: whole, small, exact about bytes, and better than chance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from constrain.errors import EmbeddedModelError
from constrain.generation import embedded
from constrain.generation.embedded import load_embedded

SENTINELS = ("<fim_prefix>", "<fim_middle>", "<fim_suffix>")
LIMIT = 16 * 2**20

# Written for this test: in no training text.
JSON_TEXT = """A lighthouse with name, height and keepers:
{"name": "Cape Ann", "height": 38, "keepers": ["Ada", "Tom"], "lit": true, "notes": null}"""
TABLES = (
    [{"name": name, "height": h, "lit": h > 30} for name, h in (("Ann", 38), ("Bell", 9))],
    [{"id": i, "title": t, "pages": 100 * i} for i, t in ((5, "Night"), (7, "Ferry"))],
    [{"city": c, "humidity": h, "wind": None} for c, h in (("Porto", 61), ("Oslo", 4))],
)
PYTHON_TEXT = """def find_lighthouse(self, name, default=None):
    for item in self.lighthouses:
        if item.name == name:
            return item
    return default
"""

Loaded = tuple[PreTrainedModel, PreTrainedTokenizerFast]


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load_embedded()


def bits_per_byte(model: PreTrainedModel, ids: list[int], text: str) -> float:
    """Bits of ids[1:] over the text's bytes."""
    row = torch.tensor([ids])
    with torch.no_grad():
        logits = model(row[:, :-1]).logits[0]
    return float(cross_entropy(logits, row[0, 1:], reduction="sum")) / (
        len(text.encode()) * float(torch.log(torch.tensor(2.0)))
    )


def as_document(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    end = tokenizer.eos_token_id
    return [end, *tokenizer.encode(text), end]


def test_files_are_all_there_and_small() -> None:
    files = {path.name: path.stat().st_size for path in embedded.FOLDER.iterdir()}

    assert set(embedded.FILES) <= set(files)
    assert sum(files.values()) <= LIMIT


def test_weights_are_bf16_on_disk_and_float32_in_memory(loaded: Loaded) -> None:
    config = json.loads((embedded.FOLDER / "config.json").read_text("utf-8"))

    assert config["dtype"] == "bfloat16"
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert loaded[0].dtype == torch.float32
    assert not loaded[0].training
    assert 2_000_000 <= loaded[0].num_parameters() <= 8_000_000


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "FOLDER", tmp_path)
    (tmp_path / "config.json").write_text("{}", "utf-8")

    with pytest.raises(EmbeddedModelError) as caught:
        load_embedded()

    assert caught.value.missing == [n for n in embedded.FILES if n != "config.json"]
    assert "tokenizer.json" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " leading and trailing  ",
        "tabs\tand\r\nline ends\n\n\n",
        '{"a": [1, 2.5e-3, null], "é": "世界 🙂 \\u00e9"}',
        "".join(map(chr, range(0x20, 0x250))),
        "\x00\x01\x7f\ufeff\u2028",
        "don 't , and . stay as they are",
    ],
)
def test_text_comes_back_byte_for_byte(loaded: Loaded, text: str) -> None:
    tokenizer = loaded[1]

    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_every_byte_is_a_token(loaded: Loaded) -> None:
    tokenizer = loaded[1]
    texts = [chr(c) for c in (*range(0x250), 0x800, 0x1000, 0xFFFD, 0x10000, 0x10FFFF)]
    ids = {i for text in texts for i in tokenizer.encode(text)}

    assert tokenizer.unk_token_id is None
    assert ids
    assert len(single_byte_tokens(tokenizer)) == 256


def single_byte_tokens(tokenizer: PreTrainedTokenizerFast) -> set[str]:
    """Tokens of one character of the byte alphabet, each of which stands for one byte."""
    special = set(tokenizer.all_special_tokens)
    return {t for t in tokenizer.get_vocab() if len(t) == 1 and t not in special}


def test_sentinels_and_end_are_single_special_tokens(loaded: Loaded) -> None:
    model, tokenizer = loaded
    for name in (*SENTINELS, "<|endoftext|>"):
        ids = tokenizer.encode(name)
        assert len(ids) == 1
        assert tokenizer.added_tokens_decoder[ids[0]].special
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert tokenizer.encode("{}")[0] != tokenizer.bos_token_id, "no token is put before a text"
    assert model.config.vocab_size == len(tokenizer)


@pytest.mark.parametrize(
    ("text", "limit"), [(JSON_TEXT, 3.0), (PYTHON_TEXT, 3.0)], ids=["json", "python"]
)
def test_model_has_learnt(loaded: Loaded, text: str, limit: float) -> None:
    model, tokenizer = loaded
    torch.manual_seed(0)
    untrained = LlamaForCausalLM(model.config)
    ids = as_document(tokenizer, text)

    trained_bits = bits_per_byte(model, ids, text)

    assert trained_bits < limit
    assert trained_bits < bits_per_byte(untrained, ids, text) / 2


def test_end_is_likely_only_where_the_json_is_whole(loaded: Loaded) -> None:
    model, tokenizer = loaded
    ids = as_document(tokenizer, JSON_TEXT)
    with torch.no_grad():
        end = model(torch.tensor([ids[:-1]])).logits[0].softmax(-1)[:, tokenizer.eos_token_id]

    assert end[-1] > 0.5
    assert end[1:-1].max() < 0.5


@pytest.mark.parametrize("layout", ["psm", "spm"])
def test_middles_are_likelier_with_their_own_suffix(loaded: Loaded, layout: str) -> None:
    """Than with that of another table, written in another style.

    On the whole: for a single cut, a model this small may well prefer another suffix.
    """
    own = other = 0.0
    for table, wrong in zip(TABLES, [*TABLES[1:], TABLES[0]], strict=True):
        for indent, wrong_indent in ((None, 2), (2, None)):
            text = json.dumps(table, indent=indent)
            suffix = json.dumps(wrong, indent=wrong_indent)[40:]
            for first in range(2, len(text) // 2 - 20, 3):
                before, middle, after = text[:first], text[first : first + 24], text[first + 24 :]
                own += middle_nats(loaded, layout, before, middle, after)
                other += middle_nats(loaded, layout, before, middle, suffix)
    assert own < 0.9 * other


def middle_nats(loaded: Loaded, layout: str, before: str, middle: str, after: str) -> float:
    """Nats of the middle and the end token behind it."""
    model, tokenizer = loaded
    prefix_id, middle_id, suffix_id = (tokenizer.convert_tokens_to_ids(s) for s in SENTINELS)
    p, s, m = (tokenizer.encode(t) for t in (before, after, middle))
    context = (
        [prefix_id, *p, suffix_id, *s, middle_id]
        if layout == "psm"
        else [prefix_id, suffix_id, *s, middle_id, *p]
    )
    ids = [*context, *m, tokenizer.eos_token_id]
    with torch.no_grad():
        logits = model(torch.tensor([ids[:-1]])).logits[0, len(context) - 1 :]
    return float(cross_entropy(logits, torch.tensor(ids[len(context) :]), reduction="sum"))
