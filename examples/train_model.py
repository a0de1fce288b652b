r"""Train the small language model that the package carries, from nothing but this machine.

    python examples/train_model.py --minutes 78            train, then write constrain/embedded
    python examples/train_model.py --minutes 78 --resume   go on where it was stopped
    python examples/train_model.py --evaluate              bits per byte of the model in --out
    python examples/train_model.py --list-held-out         the files never trained on

A look at the whole recipe in a minute or two, which leaves the embedded model alone:

    python examples/train_model.py --minutes 0.5 --characters 400000 --no-compile \
        --work build/try --out build/try/model

The steps, in order: texts (`train_texts.py`), a tokenizer, rows of token ids packed once into
a numpy file, a training loop whose learning rate follows the clock, an export. The state and
the model so far are in --work (`checkpoint.pt`, `latest`); --out is written at the end only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from train_texts import (
    Corpus,
    file_pieces,
    held_out_corpus,
    mixture,
    prompted_texts,
    standard_library,
    training_corpus,
)
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

END = "<|endoftext|>"
FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX = "<fim_prefix>", "<fim_middle>", "<fim_suffix>"
SPECIALS = (END, FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX)

VOCABULARY_SIZE = 4096
CONTEXT = 1024
PADDING = -1
IGNORED = -100
# A word takes one sign before it (`"name`, `.append`, ` with`); digits stand alone.
WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

FIM_RATE = 0.5
PSM_RATE = 0.5
# Muon turns each matrix by a rotation of this length; Adam moves the embedding and the norms.
MATRIX_RATE = 0.02
VECTOR_RATE = 4e-3
WARM_UP = 0.02
SAVE_EVERY_S = 180.0
EXPORT_EVERY_S = 600.0

LAYOUT = {
    "psm": (FIM_PREFIX, "prefix", FIM_SUFFIX, "suffix", FIM_MIDDLE, "middle"),
    "spm": (FIM_PREFIX, FIM_SUFFIX, "suffix", FIM_MIDDLE, "prefix", "middle"),
}


# Tokenizer ---------------------------------------------------------------------------------


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE: the specials first, then the 256 bytes, then merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=24,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        additional_special_tokens=[FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX],
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
    )


def encode(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text; a special token's spelling in a text is only text."""
    backend = tokenizer.backend_tokenizer
    backend.encode_special_tokens = True
    ids = [e.ids for e in backend.encode_batch(list(texts), add_special_tokens=False)]
    backend.encode_special_tokens = False
    return ids


# Documents to rows -------------------------------------------------------------------------


@dataclass(frozen=True)
class Document:
    """A text as it is laid out for the model: sentinels and parts, in order.

    Attributes:
        parts: sentinels (members of `SPECIALS`) and texts; each text is encoded by itself.
        learnt_from: index of the part that a FIM evaluation begins to count at.
    """

    parts: tuple[tuple[str, bool], ...]
    learnt_from: int = 0


def plain_document(text: str) -> Document:
    """The text as it is, read from left to right."""
    return Document(((text, False),))


def fim_document(text: str, rng: random.Random, layout: str) -> Document:
    """Cut the text at two characters, wherever in a word, and lay the pieces out."""
    first, second = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
    cut = {"prefix": text[:first], "middle": text[first:second], "suffix": text[second:]}
    parts = tuple((cut.get(name, name), name not in cut) for name in LAYOUT[layout])
    return Document(parts, len(parts) - 1)


def draw_document(text: str, rng: random.Random) -> Document:
    """Plain, PSM or SPM, by the rates above."""
    if rng.random() >= FIM_RATE:
        return plain_document(text)
    return fim_document(text, rng, "psm" if rng.random() < PSM_RATE else "spm")


def document_ids(
    documents: Sequence[Document], tokenizer: PreTrainedTokenizerFast
) -> Iterator[tuple[list[int], int]]:
    """Each document's ids, its end token last, and where its learnt part begins."""
    texts = [text for d in documents for text, is_sentinel in d.parts if not is_sentinel]
    encoded = iter(encode(tokenizer, texts))
    special = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIALS}
    for document in documents:
        ids: list[int] = []
        begin = 0
        for i, (part, is_sentinel) in enumerate(document.parts):
            begin = len(ids) if i == document.learnt_from else begin
            ids += [special[part]] if is_sentinel else next(encoded)
        yield [*ids, special[END]], begin


def pack(documents: Iterable[list[int]], rng: random.Random, end_id: int) -> NDArray[np.int16]:
    """Put whole documents into rows; none is cut, and the rest of a row is padding.

    Half of the rows begin with the end token, as a document in mid-row has one before it; half
    begin bare, as a prompt does.

    Returns:
        int16[N, CONTEXT + 1], `PADDING` where nothing is.
    """
    full: list[list[int]] = []
    open_rows: list[list[int]] = []
    for ids in documents:
        if len(ids) > CONTEXT:
            continue
        row = next((r for r in open_rows if len(r) + len(ids) <= CONTEXT + 1), None)
        if row is None:
            row = [end_id] if rng.random() < 0.5 else []
            open_rows.append(row)
        row += ids
        if len(row) > CONTEXT - 8:
            full.append(row)
            open_rows.remove(row)
        elif len(open_rows) > 32:
            full.append(open_rows.pop(0))
    rows = np.full((len(full) + len(open_rows), CONTEXT + 1), PADDING, np.int16)
    for i, row in enumerate([*full, *open_rows]):
        rows[i, : len(row)] = row
    return rows


def build_rows(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, seed: int
) -> NDArray[np.int16]:
    """Lay out, encode and pack all texts, a slice at a time."""
    rng = random.Random(seed)

    def encoded() -> Iterator[list[int]]:
        for begin in tqdm(range(0, len(texts), 4096), desc="encode", mininterval=5):
            documents = [draw_document(t, rng) for t in texts[begin : begin + 4096]]
            yield from (ids for ids, _ in document_ids(documents, tokenizer))

    rows = pack(encoded(), rng, tokenizer.eos_token_id)
    np.random.default_rng(seed).shuffle(rows)
    return rows


# Model -------------------------------------------------------------------------------------


def new_model(seed: int) -> LlamaForCausalLM:
    """An untrained model of the embedded shape."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY_SIZE,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=3,
        num_key_value_heads=3,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=SPECIALS.index(END),
        pad_token_id=SPECIALS.index(END),
    )
    return LlamaForCausalLM(config)


def export(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a bf16 copy of the model, and the tokenizer, as transformers loads them."""
    copy = deepcopy(model).to("cpu", torch.bfloat16)
    copy.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    copy.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # Weights are written readable by their owner alone, and a package is for everyone.
    (folder / "model.safetensors").chmod(0o644)


# Training ----------------------------------------------------------------------------------


@dataclass
class Progress:
    """How far a training run is; saved with it."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0


class Training:
    """A model, its two optimizers, and the clock they follow."""

    def __init__(self, model: LlamaForCausalLM, device: str) -> None:
        self.model = model.to(device)
        self.device = device
        matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
        known = {id(p) for p in matrices}
        others = [p for p in model.parameters() if id(p) not in known]
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, lr=MATRIX_RATE, weight_decay=0.01, momentum=0.95),
            torch.optim.AdamW(others, lr=VECTOR_RATE, betas=(0.9, 0.95), weight_decay=0.0),
        ]
        self.peaks = (MATRIX_RATE, VECTOR_RATE)
        self.progress = Progress()

    def save(self, path: Path) -> None:
        """Write the whole state to a temporary name, then rename."""
        state = {
            "model": self.model.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "progress": vars(self.progress),
        }
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(path)

    def load(self, path: Path) -> None:
        """Take up the state that `save` wrote."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.progress = Progress(**state["progress"])

    def set_rates(self, part: float) -> None:
        """Learning rates after this part (0 to 1) of the time: warm up, then fall to 0."""
        scale = min(part / WARM_UP, (1 - part) / (1 - WARM_UP))
        for optimizer, peak in zip(self.optimizers, self.peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * max(scale, 0.0)

    def step(self, rows: NDArray[np.int16], loss_of: Callable[..., torch.Tensor]) -> float:
        """One update on rows int16[B, CONTEXT + 1]; returns the loss in nats a token."""
        ids = torch.from_numpy(rows.astype(np.int64)).to(self.device)
        loss = loss_of(ids)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.progress.step += 1
        self.progress.tokens += int((rows >= 0).sum())
        return float(loss.detach())


def make_loss(model: LlamaForCausalLM, device: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """The mean loss of the next token, computed in bf16 where that is safe.

    Args of the returned function:
        ids: int64[B, T + 1], `PADDING` where nothing is.
    """

    def loss_of(ids: torch.Tensor) -> torch.Tensor:
        inputs = ids[:, :-1].clamp(min=0)
        targets = ids[:, 1:].masked_fill(ids[:, 1:] < 0, IGNORED)
        with torch.autocast(device, torch.bfloat16):
            hidden = model.model(inputs, use_cache=False).last_hidden_state
            logits = model.lm_head(hidden)
        return cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED)

    return loss_of


def endless_batches(rows: NDArray[np.int16], batch: int, first: int) -> Iterator[NDArray[np.int16]]:
    """Batches from number `first` on; a new order each time around."""
    per_pass = len(rows) // batch
    number = first
    while True:
        order = np.random.default_rng(number // per_pass).permutation(len(rows))
        for i in range(number % per_pass, per_pass):
            yield rows[order[i * batch : (i + 1) * batch]]
            number += 1


def train(args: argparse.Namespace) -> None:
    """Run the whole recipe and leave the annealed model in `args.out`."""
    args.work.mkdir(parents=True, exist_ok=True)
    tokenizer, rows = prepare(args)
    training = Training(new_model(args.seed), args.device)
    checkpoint = args.work / "checkpoint.pt"
    if args.resume and checkpoint.exists():
        training.load(checkpoint)
    held_out = evaluation_texts(held_out_corpus(), args.seed, 12)
    loss_of = make_loss(training.model, args.device)
    if args.compile:
        loss_of = torch.compile(loss_of)
        # The first call compiles for a minute: not part of the schedule.
        loss_of(torch.from_numpy(rows[: args.batch].astype(np.int64)).to(args.device)).backward()
        training.model.zero_grad()
    loop(args, training, tokenizer, rows, held_out, loss_of)
    training.save(checkpoint)
    export(training.model, tokenizer, args.out)
    show_evaluation(training.model, tokenizer, held_out)


def loop(
    args: argparse.Namespace,
    training: Training,
    tokenizer: PreTrainedTokenizerFast,
    rows: NDArray[np.int16],
    held_out: dict[str, list[str]],
    loss_of: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    """Update until the time is over; save and export on the way."""
    budget = args.minutes * 60.0
    progress = training.progress
    saved = exported = progress.seconds
    mean = 0.0
    bar = tqdm(total=round(budget), initial=round(progress.seconds), unit="s", mininterval=20)
    for batch in endless_batches(rows, args.batch, progress.step):
        started = time.monotonic()
        training.set_rates(progress.seconds / budget)
        loss = training.step(batch, loss_of)
        mean = loss if not mean else 0.97 * mean + 0.03 * loss
        progress.seconds += time.monotonic() - started
        bar.set_postfix(
            loss=f"{mean:.3f}",
            step=progress.step,
            Mtok=f"{progress.tokens / 1e6:.2f}",
            refresh=False,
        )
        bar.update(round(progress.seconds) - bar.n)
        if progress.seconds >= budget:
            break
        if progress.seconds - saved > SAVE_EVERY_S:
            saved = progress.seconds
            training.save(args.work / "checkpoint.pt")
        if progress.seconds - exported > EXPORT_EVERY_S:
            exported = progress.seconds
            export(training.model, tokenizer, args.work / "latest")
            show_evaluation(training.model, tokenizer, held_out)
    bar.close()


def prepare(args: argparse.Namespace) -> tuple[PreTrainedTokenizerFast, NDArray[np.int16]]:
    """The tokenizer and the packed rows; made once, then read from the work folder."""
    stored, folder = args.work / "rows.npy", args.work / "tokenizer"
    if stored.exists() and folder.exists():
        return PreTrainedTokenizerFast.from_pretrained(folder), np.load(stored, mmap_mode="r")
    corpus = training_corpus()
    print(f"{len(corpus.files)} files to train on; writing {args.characters:,} characters of text")
    texts = mixture(args.seed, corpus, args.characters)
    tokenizer = train_tokenizer(texts[: len(texts) // 4])
    tokenizer.save_pretrained(folder)
    rows = build_rows(texts, tokenizer, args.seed)
    np.save(stored, rows)
    print(f"{len(rows):,} rows, {int((rows >= 0).sum()):,} tokens")
    return tokenizer, rows


# Evaluation --------------------------------------------------------------------------------


def evaluation_texts(corpus: Corpus, seed: int, count: int) -> dict[str, list[str]]:
    """Held-out texts: `count` pieces of held-out files, and as many generated ones."""
    rng = random.Random(f"{seed} held out")
    pieces = [p for path in corpus.files for p in file_pieces(path, 1900) if len(p) < 2400]
    prompted = islice(prompted_texts(rng, corpus), count)
    return {"python": rng.sample(pieces, min(count, len(pieces))), "json": list(prompted)}


def bits_per_byte(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, documents: Sequence[Document]
) -> float:
    """Bits the model needs for the learnt parts and the end token, over the parts' bytes."""
    bits = 0.0
    size = 0
    for document, (ids, begin) in zip(documents, document_ids(documents, tokenizer), strict=True):
        bits += _bits(model, [tokenizer.eos_token_id, *ids], begin + 1)
        size += len(document.parts[-1][0].encode())
    return bits / size


@torch.no_grad()
def _bits(model: LlamaForCausalLM, ids: list[int], begin: int) -> float:
    """Bits of ids[begin:] given what stands before each."""
    row = torch.tensor([ids], device=model.device)
    logits = model(row[:, :-1]).logits[0, begin - 1 :].float()
    return float(cross_entropy(logits, row[0, begin:], reduction="sum")) / float(np.log(2))


def evaluate(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, held_out: dict[str, list[str]]
) -> dict[str, float]:
    """Bits per byte of whole texts, and of middles in both FIM layouts."""
    model.eval()
    numbers: dict[str, float] = {}
    for name, texts in held_out.items():
        numbers[name] = bits_per_byte(model, tokenizer, [plain_document(t) for t in texts])
        for layout in LAYOUT:
            rng = random.Random(0)
            documents = [fim_document(t, rng, layout) for t in texts]
            numbers[f"{name}, {layout} middle"] = bits_per_byte(model, tokenizer, documents)
    model.train()
    return numbers


def show_evaluation(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, held_out: dict[str, list[str]]
) -> None:
    """Print the numbers of `evaluate`."""
    numbers = evaluate(model, tokenizer, held_out)
    tqdm.write("bits per byte: " + "; ".join(f"{k} {v:.3f}" for k, v in numbers.items()))
    sys.stdout.flush()


def parse_rate(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]
) -> float:
    """How often the greedy answer to a prompt, with no grammar at all, is whole JSON."""
    whole = 0
    for text in tqdm(texts, desc="answer"):
        answer = text.find("{") if "[" not in text else min(_at(text, "{"), _at(text, "["))
        whole += _is_json(complete(model, tokenizer, text[:answer].rstrip() + "\n", 400))
    return whole / len(texts)


def _at(text: str, sign: str) -> int:
    return text.find(sign) if sign in text else len(text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def complete(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompt: str, longest: int
) -> str:
    """The greedy continuation of the prompt, up to the end token."""
    inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False).to(model.device)
    ids = model.generate(**inputs, do_sample=False, max_new_tokens=longest)
    new = ids[0, inputs["input_ids"].shape[1] :]
    return str(tokenizer.decode(new, skip_special_tokens=True))


def evaluate_stored(args: argparse.Namespace) -> None:
    """Load the model in `args.out` and print all there is to know about it."""
    model = LlamaForCausalLM.from_pretrained(args.out, dtype=torch.float32).to(args.device)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(args.out)
    corpus = held_out_corpus()
    held_out = evaluation_texts(corpus, args.seed, 200)
    for name, number in evaluate(model, tokenizer, held_out).items():
        print(f"{number:7.3f} bits per byte  {name}")
    model.eval()
    rate = parse_rate(model, tokenizer, held_out["json"][:60])
    print(f"{rate:7.1%} of 60 greedy answers, no grammar, are JSON")


# Command line ------------------------------------------------------------------------------


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the description's lines, and tells every default."""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Help)
    add = parser.add_argument
    add("--minutes", type=float, default=78.0, help="time to train; the rate falls to 0 at its end")
    add("--out", type=Path, default=root / "constrain" / "embedded", help="folder of the model")
    add("--work", type=Path, default=root / "build" / "model", help="folder of rows and checkpoint")
    add("--characters", type=int, default=64_000_000, help="how much text to prepare")
    add("--batch", type=int, default=4, help=f"rows of {CONTEXT} tokens in an update")
    add("--seed", type=int, default=0, help="seed of texts, cuts and weights")
    add("--threads", type=int, default=os.cpu_count() or 1, help="threads torch may use")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    add("--compile", action=argparse.BooleanOptionalAction, default=True, help="torch.compile")
    add("--resume", action="store_true", help="go on from the checkpoint in --work")
    add("--evaluate", action="store_true", help="only measure the model in --out")
    add("--list-held-out", action="store_true", help="only list the files never trained on")
    return parser.parse_args(arguments)


def main() -> None:
    """Train, measure or list, as asked."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    transformers.logging.disable_progress_bar()
    if args.list_held_out:
        for path in held_out_corpus().files:
            print(path.relative_to(standard_library()))
    elif args.evaluate:
        evaluate_stored(args)
    else:
        train(args)


if __name__ == "__main__":
    main()
