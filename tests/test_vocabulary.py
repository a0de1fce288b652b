"""Token bytes, against the tokenizers' own encoders and decoders."""

# ruff: noqa: RUF001 - the texts are meant to hold characters of every kind

from __future__ import annotations

import functools
import json
import textwrap
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from constrain.errors import VocabularyError
from constrain.vocabulary import Vocabulary
from tests.conftest import TOKENIZERS

# --- small tokenizers made here ------------------------------------------------------------


def byte_level(
    *, added: Sequence[AddedToken] = (), vocab: dict[str, int] | None = None
) -> Tokenizer:
    vocab = vocab or {"a": 0, "Ġ": 1, "Ċ": 2, "Ã": 3, "©": 4, "Ġa": 5, "é": 6}
    tokenizer = Tokenizer(models.BPE(vocab, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(list(added))
    return tokenizer


def metaspace(decoder: Any, *, byte_fallback: bool = True) -> Tokenizer:
    vocab = {
        "<unk>": 0,
        "<0x41>": 1,
        "<0xe9>": 2,
        "▁a": 3,
        "▁▁": 4,
        "\ufffd": 5,
        "A": 6,
        "<0x4>": 7,
    }
    model = models.BPE(vocab, [], unk_token="<unk>", byte_fallback=byte_fallback)
    tokenizer = Tokenizer(model)
    tokenizer.decoder = decoder
    return tokenizer


LLAMA_DECODER = decoders.Sequence(
    [
        decoders.Replace("▁", " "),
        decoders.ByteFallback(),
        decoders.Fuse(),
        decoders.Strip(" ", 1, 0),
    ]
)


def test_byte_level_characters_are_bytes() -> None:
    vocabulary = Vocabulary.from_tokenizer(byte_level())

    assert vocabulary.tokens == (b"a", b" ", b"\n", b"\xc3", b"\xa9", b" a", b"\xe9")
    assert vocabulary.special_ids == frozenset()


def test_the_byte_alphabet_is_the_tokenizers_own() -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = byte_level(vocab={character: i for i, character in enumerate(alphabet)})
    vocabulary = Vocabulary.from_tokenizer(tokenizer)

    assert sorted(vocabulary.tokens) == [bytes([byte]) for byte in range(256)]
    # Every byte that UTF-8 has: all of two-byte text, then one text per longer lead byte.
    scalars = [*range(0x800), *range(0x800, 0xD800, 0x800), *range(0xE000, 0x110000, 0x1000)]
    text = "".join(map(chr, scalars))
    assert b"".join(vocabulary.tokens[i] for i in tokenizer.encode(text).ids) == text.encode()


def test_byte_level_added_text_outside_the_alphabet_is_utf8() -> None:
    added = [AddedToken(text, special=False) for text in ("  ", "\t\t", "é à", "日本")]
    vocabulary = Vocabulary.from_tokenizer(byte_level(added=added))

    assert vocabulary.tokens[7:] == (b"  ", b"\t\t", "é à".encode(), "日本".encode())


def test_metaspace_is_a_space_and_byte_tokens_are_bytes() -> None:
    vocabulary = Vocabulary.from_tokenizer(metaspace(LLAMA_DECODER))

    assert vocabulary.tokens == (
        b"",  # the unknown token, though nothing flags it special
        b"A",
        b"\xe9",
        b" a",
        b"  ",
        b"\xef\xbf\xbd",
        b"A",  # twice: both are kept
        b"<0x4>",
    )
    assert vocabulary.special_ids == {0}


def test_byte_tokens_are_text_where_nothing_falls_back_to_bytes() -> None:
    tokenizer = metaspace(decoders.Metaspace(), byte_fallback=False)

    assert Vocabulary.from_tokenizer(tokenizer).tokens[1] == b"<0x41>"


def test_unigram_ids_are_positions() -> None:
    tokenizer = Tokenizer(models.Unigram([("?", 0.0), ("▁a", -1.0), ("b", -2.0)], unk_id=0))
    tokenizer.decoder = decoders.Metaspace()

    vocabulary = Vocabulary.from_tokenizer(tokenizer)

    assert vocabulary.tokens == (b"", b" a", b"b")
    assert vocabulary.special_ids == {0}


@pytest.mark.parametrize(
    "decoder",
    [
        decoders.WordPiece(),
        decoders.BPEDecoder(),
        decoders.CTC(),
        decoders.Strip(" ", 1, 0),
        decoders.Sequence([decoders.Fuse(), decoders.Strip(" ", 1, 1)]),
        decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]),
        decoders.Sequence([decoders.ByteFallback(), decoders.Replace("▁", " ")]),
        decoders.Sequence([decoders.Fuse(), decoders.Replace("ab", "")]),
        decoders.Sequence([decoders.Fuse(), decoders.ByteFallback()]),
        decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteLevel()]),
    ],
    ids=str,
)
def test_a_decoder_that_looks_beyond_one_token_is_refused(decoder: Any) -> None:
    with pytest.raises(VocabularyError, match="depends on its neighbours"):
        Vocabulary.from_tokenizer(metaspace(decoder))


def test_bytes_that_the_decoder_forgets_are_refused() -> None:
    with pytest.raises(VocabularyError, match="add ByteFallback"):
        Vocabulary.from_tokenizer(metaspace(decoders.Metaspace()))


def test_no_decoder_is_refused() -> None:
    tokenizer = byte_level()
    tokenizer.decoder = None
    for wanting in (tokenizer, metaspace(decoders.Sequence([]))):
        with pytest.raises(VocabularyError, match="no decoder"):
            Vocabulary.from_tokenizer(wanting)


def test_a_slow_tokenizer_is_refused() -> None:
    with pytest.raises(VocabularyError, match="load the fast"):
        Vocabulary.from_tokenizer(SimpleNamespace(eos_token_id=1, get_vocab=dict))


def test_id_holes_are_no_text_and_not_special() -> None:
    vocabulary = Vocabulary.from_tokenizer(byte_level(vocab={"a": 0, "b": 3}))

    assert vocabulary.tokens == (b"a", b"", b"", b"b")
    assert vocabulary.special_ids == frozenset()


@pytest.mark.parametrize(
    "name",
    [
        "<|fim_prefix|>",
        "<tool_call>",
        "</tool_call>",
        "<｜fim▁hole｜>",
        "｜DSML｜",
        "<dsml:",
        "[@BOS@]",
        "[toxicity=0]",
        "<unused0>",
        "<mask>",
        "▁<EOT>",
        "|end|",
        "<tables>",
    ],
)
def test_a_sentinel_is_never_text(name: str) -> None:
    vocabulary = Vocabulary.from_tokenizer(byte_level(added=[AddedToken(name, special=False)]))

    assert vocabulary.tokens[7] == b""
    assert vocabulary.special_ids == {7}


@pytest.mark.parametrize("name", ["  ", "\n\n", "<table>", "</h1>", "<br/>", "SELECT", "<=", "[]"])
def test_other_added_tokens_are_text_unless_flagged(name: str) -> None:
    text = Vocabulary.from_tokenizer(byte_level(added=[AddedToken(name, special=False)]))
    flagged = byte_level()
    flagged.add_special_tokens([AddedToken(name, special=True)])
    special = Vocabulary.from_tokenizer(flagged)

    assert text.tokens[7] == name.encode()
    assert special.tokens[7] == b""
    assert special.special_ids == {7}


def test_end_tokens_come_from_tokenizer_and_generation_config() -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=byte_level(), eos_token="a")

    def ends(generation_config: Any) -> tuple[int, ...]:
        vocabulary = Vocabulary.from_tokenizer(tokenizer, generation_config)
        assert vocabulary.special_ids == set(vocabulary.end_ids)
        assert not any(vocabulary.tokens[i] for i in vocabulary.end_ids)
        return vocabulary.end_ids

    assert ends(None) == (0,)
    assert ends(SimpleNamespace(eos_token_id=None)) == (0,)
    assert ends(SimpleNamespace(eos_token_id=4)) == (0, 4)
    assert ends(SimpleNamespace(eos_token_id=[5, 2, 0])) == (0, 2, 5)


def test_an_end_token_of_another_tokenizer_is_refused() -> None:
    with pytest.raises(VocabularyError, match="end token 7 is none of the vocabulary's 7"):
        Vocabulary.from_tokenizer(byte_level(), SimpleNamespace(eos_token_id=[0, 7]))


def test_special_tokens_that_the_description_does_not_flag_are_no_text() -> None:
    tokenizer = SimpleNamespace(backend_tokenizer=byte_level(), all_special_ids=[0])
    padded = PreTrainedTokenizerFast(tokenizer_object=byte_level(), pad_token="a")

    assert Vocabulary.from_tokenizer(tokenizer).special_ids == {0}
    assert Vocabulary.from_tokenizer(padded).special_ids == {0}


# --- the value -----------------------------------------------------------------------------


def test_from_tokens_keeps_duplicates_and_drops_the_end_tokens_bytes() -> None:
    vocabulary = Vocabulary.from_tokens([b"a", b"</s>", b"a", b"", b"\xff\xfe"], [1])

    assert vocabulary.tokens == (b"a", b"", b"a", b"", b"\xff\xfe")
    assert vocabulary.end_ids == (1,)
    assert vocabulary.special_ids == {1}
    assert vocabulary.size == 5
    assert vocabulary.max_bytes == 2
    assert vocabulary.single_bytes.nonzero()[0].tolist() == [ord("a")]
    with pytest.raises(ValueError, match="read-only"):
        vocabulary.single_bytes[0] = True


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Vocabulary.from_tokens([b"a"], [1]), "end token 1 is none"),
        (lambda: Vocabulary.from_tokens([b"a"], [-1]), "end token -1 is none"),
        (lambda: Vocabulary.from_tokens(["a"]), "token 0 is 'a'; give its bytes"),  # type: ignore[list-item]
        (lambda: Vocabulary((b"", b""), (1, 0), frozenset({0, 1})).check(), "must ascend"),
        (lambda: Vocabulary((b"",), (0, 0), frozenset({0})).check(), "must ascend"),
        (lambda: Vocabulary((b"",), (0,), frozenset()).check(), "is a special id too"),
        (lambda: Vocabulary((b"",), (), frozenset({1})).check(), "special token 1 is none"),
        (lambda: Vocabulary((b"a",), (), frozenset({0})).check(), "has the bytes b'a'"),
    ],
)
def test_check_names_what_is_wrong(make: Callable[[], Vocabulary], message: str) -> None:
    with pytest.raises(VocabularyError, match=message):
        make()


def test_fingerprints_differ_with_every_part_of_the_contents() -> None:
    vocabularies = [
        Vocabulary.from_tokens([b"a", b"b", b""]),
        Vocabulary.from_tokens([b"a", b"b"]),
        Vocabulary.from_tokens([b"ab", b"", b""]),
        Vocabulary.from_tokens([b"", b"ab", b""]),
        Vocabulary.from_tokens([b"b", b"a", b""]),
        Vocabulary.from_tokens([b"a", b"b", b""], [2]),
        Vocabulary((b"a", b"b", b""), (), frozenset({2})),
        Vocabulary((b"a", b"b", b"", b""), (2,), frozenset({2, 3})),
        Vocabulary((b"a", b"b", b"", b""), (2, 3), frozenset({2, 3})),
        # Nothing but zeros: only the lengths of the parts tell these two apart.
        Vocabulary((b"",), (0,), frozenset({0})),
        Vocabulary((b"", b""), (), frozenset({0})),
    ]

    assert len({vocabulary.fingerprint for vocabulary in vocabularies}) == len(vocabularies)
    again = Vocabulary.from_tokens([b"a", b"b", b""])
    assert again.fingerprint == vocabularies[0].fingerprint


# --- real tokenizers -----------------------------------------------------------------------

# Added tokens of deepseek-coder that stand for the bytes its vocabulary lacks. Its encoder
# finds them in these characters' own text, and its decoder writes one byte for each.
DEEPSEEK_BYTES = "ÀÁõö÷øùúûüýþÿ"


@dataclass(frozen=True)
class Loaded:
    tokenizer: Any
    description: dict[str, Any]
    vocabulary: Vocabulary

    @property
    def backend(self) -> Any:
        return self.tokenizer.backend_tokenizer

    def added(self, *, text: bool) -> list[dict[str, Any]]:
        special = self.vocabulary.special_ids
        return [a for a in self.description["added_tokens"] if (a["id"] not in special) == text]

    @functools.cached_property
    def plain(self) -> Tokenizer:
        """The tokenizer as if its special tokens and sentinels did not exist."""
        stripped = self.description | {
            "added_tokens": self.added(text=True),
            "post_processor": None,
        }
        return Tokenizer.from_str(json.dumps(stripped))


@functools.lru_cache(maxsize=1)
def load(folder: Path) -> Loaded:
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    description = json.loads(tokenizer.backend_tokenizer.to_str())
    return Loaded(tokenizer, description, Vocabulary.from_tokenizer(tokenizer))


def for_each_tokenizer(test: Callable[..., None]) -> Callable[..., None]:
    # The scope groups the tests by tokenizer: one is in memory at a time.
    parametrize = pytest.mark.parametrize("name", TOKENIZERS, scope="module")
    marked: Callable[..., None] = pytest.mark.tokenizers(parametrize(test))
    return marked


def written(loaded: Loaded, text: str) -> bytes:
    """The bytes that encoding `text` keeps, by the tokenizer's normalizer."""
    normalizer = json.dumps(loaded.description["normalizer"])
    if '"NFC"' in normalizer:
        text = unicodedata.normalize("NFC", text)
    if '"Replace"' in normalizer:
        text = text.replace("▁", " ")
    if '"Prepend"' in normalizer and text:
        text = " " + text
    data = text.encode()
    if loaded.vocabulary.size == 32022:  # deepseek-coder
        for character in DEEPSEEK_BYTES:
            data = data.replace(character.encode(), character.encode("latin-1"))
    return data


def encoded(loaded: Loaded, text: str, tokenizer: Any = None) -> bytes:
    ids = (tokenizer or loaded.backend).encode(text, add_special_tokens=False).ids
    assert loaded.vocabulary.special_ids.isdisjoint(ids)
    return b"".join(loaded.vocabulary.tokens[i] for i in ids)


TEXTS = [
    "",
    " ",
    "a",
    "Hello, world!",
    "  leading and trailing  ",
    "".join(map(chr, range(128))),
    "".join(map(chr, range(128, 0x250))),
    "\t\t\tif x:\n\t    y\r\n\r\n\n\n\n\rz" + " " * 70 + "." + "\n" * 40 + "\t" * 40 + "x",
    "naïve café, Straße, über, ÿ, õ÷Á",
    "e\u0301 = é, a\u0328\u0301, \u1100\u1161\u11a8, \u212b, ﬁ, \u0344",
    "日本語の文章。中文字符，한국어 문장.",
    "👩‍👩‍👧‍👦 🇩🇪 🏴󠁧󠁢󠁥󠁮󠁧󠁿 👍🏽 ☃️ 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "עברית العربية हिन्दी ไทย ქართული",
    "▁ is U+2581, ▁▁ twice, <0x41> is no byte, � is U+FFFD, \ufeff is a mark",
    '{"a": [1, -2.5e-10, true, null], "\\u00e9": "\\"<b>\\n"}',
    "<table><tr><td>1</td></tr></table> <h1>x</h1>",
    "0123456789 3.14159 1_000_000 0xdeadbeef",
    "zero\u200bwidth no\u00a0break thin\u2009 ideographic\u3000 line\u2028 para\u2029 next\x85",
    "private \ue000\U000f0000\U0010fffd, last \U0010ffff",
    Path(textwrap.__file__).read_text(encoding="utf-8"),
]


@for_each_tokenizer
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_bytes_of_an_encoded_text_are_the_texts(name: str, text: str, shared: Path) -> None:
    loaded = load(shared / "tokenizers" / name)
    assert encoded(loaded, text) == written(loaded, text)


# Assigned characters only: what is unassigned here may be assigned, and normalised, there.
characters = st.one_of(
    st.characters(exclude_categories=("Cs", "Cn")),
    st.sampled_from(" \n\t\r\"'{}[]()<>:;,.=+-_#/\\0123abcdefXYZ"),
    st.sampled_from("éüñßœ\u0301\u0308\u200d\ufe0f日本🙂👍🏽▁�Ġ"),
)


@for_each_tokenizer
@given(text=st.text(characters, max_size=60))
def test_bytes_of_any_encoded_text_are_the_texts(name: str, text: str, shared: Path) -> None:
    loaded = load(shared / "tokenizers" / name)
    assert encoded(loaded, text) == written(loaded, text)


@for_each_tokenizer
def test_every_token_decodes_to_its_bytes(name: str, shared: Path) -> None:
    """After an `a`, because metaspace decoders drop the space before a text."""
    loaded = load(shared / "tokenizers" / name)
    anchor = loaded.backend.encode("a", add_special_tokens=False).ids[-1]
    decoded = loaded.backend.decode_batch(
        [[anchor, i] for i in range(loaded.vocabulary.size)], skip_special_tokens=False
    )
    for i, token in enumerate(loaded.vocabulary.tokens):
        if token:
            assert decoded[i] == "a" + token.decode(errors="replace")
        else:
            assert i in loaded.vocabulary.special_ids or decoded[i] == "a"


@for_each_tokenizer
def test_a_special_spelling_as_text_is_spelled_by_text_tokens(name: str, shared: Path) -> None:
    loaded = load(shared / "tokenizers" / name)
    for added in loaded.added(text=False):
        text = f"say {added['content']} now"
        assert encoded(loaded, text, loaded.plain) == written(loaded, text)


@for_each_tokenizer
def test_no_token_with_text_is_named_as_a_special_one(name: str, shared: Path) -> None:
    loaded = load(shared / "tokenizers" / name)
    specials = {a["id"] for a in loaded.description["added_tokens"] if a["special"]}

    assert specials | set(loaded.tokenizer.all_special_ids) <= loaded.vocabulary.special_ids
    assert not any(loaded.vocabulary.tokens[i] for i in loaded.vocabulary.special_ids)
    assert set(loaded.vocabulary.end_ids) == {loaded.tokenizer.eos_token_id}


# name: V, text tokens, special ids, id holes, added tokens that are text, sentinels not flagged
CONTENTS = {
    "cl100k_base": (100277, 100256, 5, 16, 0, 0),
    "deepseek-coder": (32022, 32013, 9, 0, 13, 7),
    "deepseek-v4": (129280, 127997, 1283, 0, 0, 53),
    "gemma2": (256000, 255890, 110, 0, 139, 104),
    "gpt2": (50257, 50256, 1, 0, 0, 0),
    "llama2": (32000, 31997, 3, 0, 0, 0),
    "llama3": (128256, 128000, 256, 0, 0, 0),
    "mistral-v1": (32000, 31997, 3, 0, 0, 0),
    "o200k_base": (200019, 199998, 2, 19, 0, 0),
    "qwen2.5-coder": (151665, 151643, 22, 0, 0, 8),
    "starcoder2": (49152, 49114, 38, 0, 0, 0),
    "tekken-nemo": (131072, 130072, 1000, 0, 0, 0),
}


@for_each_tokenizer
def test_every_id_is_text_special_or_a_hole(name: str, shared: Path) -> None:
    loaded = load(shared / "tokenizers" / name)
    vocabulary = loaded.vocabulary
    n_text = sum(map(bool, vocabulary.tokens))
    n_special = len(vocabulary.special_ids)
    unflagged = [a for a in loaded.added(text=False) if not a["special"]]

    assert CONTENTS[name] == (
        vocabulary.size,
        n_text,
        n_special,
        vocabulary.size - n_text - n_special,
        len(loaded.added(text=True)),
        len(unflagged),
    )


HTML_PAIRED = [
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "blockquote", "code"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "b", "i", "u", "s", "sub", "sup"),
]


@pytest.mark.tokenizers
def test_which_added_tokens_are_text(shared: Path) -> None:
    def added(name: str) -> set[str]:
        return {a["content"] for a in load(shared / "tokenizers" / name).added(text=True)}

    assert added("deepseek-coder") == set(DEEPSEEK_BYTES)
    assert added("gemma2") == {
        *("\n" * n for n in range(1, 32)),
        *("▁" * n for n in range(2, 32)),
        *("\t" * n for n in range(2, 32)),
        *(f"<{tag}>" for tag in HTML_PAIRED),
        *(f"</{tag}>" for tag in HTML_PAIRED),
    }


@pytest.mark.tokenizers
def test_which_sentinels_are_not_flagged(shared: Path) -> None:
    def sentinels(name: str) -> list[str]:
        loaded = load(shared / "tokenizers" / name)
        return [a["content"] for a in loaded.added(text=False) if not a["special"]]

    assert sentinels("qwen2.5-coder") == [
        *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"),
        *("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"),
    ]
    assert sentinels("deepseek-coder") == [
        *("<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", "<pad>"),
        *("<|User|>", "<|Assistant|>", "<|EOT|>"),
    ]
    assert set(sentinels("gemma2")) == {
        *("<mask>", "<2mass>", "[@BOS@]", "[toxicity=0]"),
        *(f"<unused{n}>" for n in range(100)),
    }
    assert {"<think>", "｜DSML｜", "<dsml:", "<｜fim▁hole｜>"} <= set(sentinels("deepseek-v4"))


@for_each_tokenizer
def test_missing_bytes_are_in_no_token(name: str, shared: Path) -> None:
    vocabulary = load(shared / "tokenizers" / name).vocabulary
    missing = {byte for byte in range(256) if not vocabulary.single_bytes[byte]}

    starcoder = {0xC0, 0xC1, 0xF1, *range(0xF5, 0x100)}
    assert missing == (starcoder if name == "starcoder2" else set())
    assert missing.isdisjoint(b"".join(vocabulary.tokens))


@pytest.mark.tokenizers
def test_starcoder_cannot_spell_the_unassigned_planes(shared: Path) -> None:
    loaded = load(shared / "tokenizers" / "starcoder2")
    assert encoded(loaded, "a\U00040000") != "a\U00040000".encode()


@for_each_tokenizer
def test_a_bare_fast_tokenizer_has_the_same_text(name: str, shared: Path) -> None:
    loaded = load(shared / "tokenizers" / name)
    path = shared / "tokenizers" / name / "tokenizer.json"
    bare = Vocabulary.from_tokenizer(PreTrainedTokenizerFast(tokenizer_file=str(path)))
    raw = Vocabulary.from_tokenizer(loaded.backend)

    assert bare.tokens == loaded.vocabulary.tokens
    assert bare.end_ids == ()
    assert raw == bare
