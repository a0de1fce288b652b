"""The command line: what it prints, what it returns, and what it never does."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import constrain
from constrain import Grammar, Vocabulary
from constrain.__main__ import _parser, main
from constrain.cli import check
from constrain.cli.diagnosis import byte_matcher, place_of, read_viable, show_caret, spell_bytes
from constrain.cli.options import MAX_TEXT_BYTES, Exit
from constrain.decode import diagnosis
from constrain.decode.matcher import Matcher
from constrain.grammar.builtin import builtin_names

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other cost a small model more than they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """`run(arguments, stdin=b"")`: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            code = main(arguments)
        except SystemExit as error:
            code = int(error.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def in_process(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "constrain", *arguments]
    return subprocess.Popen(command, env=buffered, **options)


# --- help ---------------------------------------------------------------------------------


def command_parsers() -> dict[str, argparse.ArgumentParser]:
    (commands,) = (a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(commands.choices)


@pytest.mark.parametrize("name", ["generate", "infill", "compile", "check", "inspect"])
def test_help_shows_examples_that_parse_and_the_exit_codes(name: str, run: Run) -> None:
    code, out, _ = run(name, "--help")
    examples, codes = out.split("examples:\n")[1].split("\nexit codes:\n")
    assert code == Exit.OK
    assert [int(line.split()[0]) for line in codes.splitlines() if re.match(r"  \d", line)] == [
        *Exit
    ]
    assert len(examples.splitlines()) >= 3
    for line in examples.splitlines():
        command = re.search(r"constrain (.*?)(?: > \S+)?$", line)
        assert command is not None, line
        options = _parser().parse_args(shlex.split(command[1]))
        assert options.command == name


def test_every_command_has_help() -> None:
    assert set(command_parsers()) == {"generate", "infill", "compile", "check", "inspect"}


def test_without_a_command_there_is_help_and_a_usage_error(run: Run) -> None:
    code, out, _ = run()
    assert code == Exit.USAGE
    assert "examples:" in out


def test_list_grammars_names_them_all(run: Run) -> None:
    code, out, _ = run("--list-grammars")
    assert (code, tuple(out.split())) == (Exit.OK, builtin_names())
    assert "json" in out.split()


# --- check --------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [b"1", b' {"a": [1, "\xc3\xa9"]}\n', b"[" * 500 + b"]" * 500])
def test_check_accepts(text: bytes, run: Run) -> None:
    Path("a.json").write_bytes(text)
    expected = f"accepted by grammar json, {len(text)} bytes\n"
    assert run("check", "a.json", "--grammar", "json") == (Exit.OK, f"a.json: {expected}", "")
    assert run("check", "-", "--grammar", "json", stdin=text)[:2] == (
        Exit.OK,
        f"standard input: {expected}",
    )


def test_check_shows_where_a_text_leaves_the_grammar(run: Run) -> None:
    text = b'{"a": [1,\n  "\xc3\xa9!", tru]}'
    assert run("check", "-", "--grammar", "json", stdin=text) == (
        Exit.NOT_OF_GRAMMAR,
        "standard input: not of grammar json: line 2, column 12 (byte 22)\n"
        '      "é!", tru]}\n'
        "               ^\n"
        'expected: "true"\n'
        "next byte: 'e'\n",
        "",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"[1,]", '"[", "false", "null", "true", "{", NUMBER, STRING or WS'),
        (b"[1 2]", '",", "]" or WS'),
        (b"{} {}", "WS or the end of the text"),
        (b"01", "NUMBER, WS or the end of the text"),
        (b"-x", "NUMBER"),
    ],
)
def test_check_says_what_was_expected(text: bytes, expected: str, run: Run) -> None:
    _, out, _ = run("check", "-", "--grammar", "json", stdin=text)
    assert f"\nexpected: {expected}\n" in out


def test_check_completes_a_beginning(run: Run) -> None:
    assert run("check", "-", "--grammar", "json", stdin=b'{"a": [1, "x') == (
        Exit.NOT_OF_GRAMMAR,
        "standard input: not whole: a beginning of grammar json that ends at "
        "line 1, column 13 (byte 12)\n"
        '    {"a": [1, "x\n'
        "                ^\n"
        "expected: STRING\n"
        "next byte: ' '..'\\x7f' 0xc2..0xf4\n"
        "shortest completion: '\"]}'\n",
        "",
    )


def test_check_counts_every_byte(run: Run) -> None:
    assert run("check", "-", "--regex", "[0-9]{2}", stdin=b"12")[0] == Exit.OK
    code, out, _ = run("check", "-", "--regex", "[0-9]{2}", stdin=b"12\n")
    assert code == Exit.NOT_OF_GRAMMAR
    assert "expected: the end of the text" in out


@pytest.mark.parametrize("bad", [b"\xff", b"\x80", b"\xed\xa0\x80", b"\xc0\xaf", b"\x00"])
def test_check_reads_any_bytes(bad: bytes, run: Run) -> None:
    code, out, err = run("check", "-", "--grammar", "json", stdin=b'"' + bad + b'"')
    assert (code, err) == (Exit.NOT_OF_GRAMMAR, "")
    assert "line 1, column 2 (byte " in out


def test_check_bounds_the_size(run: Run) -> None:
    with Path("big").open("wb") as file:
        file.truncate(MAX_TEXT_BYTES + 1)
    code, out, err = run("check", "big", "--grammar", "json")
    assert (code, out) == (Exit.USAGE, "")
    assert f"longer than {MAX_TEXT_BYTES} bytes (16 MiB)" in err


def test_check_bounds_the_size_of_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MAX_TEXT_BYTES", 10)
    assert run("check", "-", "--grammar", "json", stdin=b"1" * 10)[0] == Exit.OK
    code, out, err = run("check", "-", "--grammar", "json", stdin=b"1" * 11)
    assert (code, out) == (Exit.USAGE, "")
    assert "standard input is longer than 10 bytes" in err


def test_check_completes_what_is_nested_deeply(run: Run) -> None:
    code, out, err = run("check", "-", "--grammar", "json", stdin=b"[" * 1000)
    assert (code, err) == (Exit.NOT_OF_GRAMMAR, "")
    assert f"shortest completion: '{']' * 200}' and 800 bytes more\n" in out


def test_check_says_that_a_completion_is_too_long(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("constrain.decode.completion.MAX_EXPANSIONS", -4_000)
    code, out, err = run("check", "-", "--grammar", "json", stdin=b"[" * 1000)
    assert (code, err) == (Exit.NOT_OF_GRAMMAR, "")
    assert "shortest completion: too long to be searched for\n" in out


def test_check_imports_no_torch(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    program = (
        "import sys; from constrain.__main__ import main; "
        f"code = main(['check', {str(tmp_path / 'a.json')!r}, '--grammar', 'json']); "
        "sys.exit(code or 50 * ('torch' in sys.modules) or 60 * ('transformers' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


texts = st.lists(st.sampled_from([*"aé\t", "\n", "日", "\r\n", "𝄞", "̈"]), max_size=12).map("".join)


@given(text=texts, data=st.data())
def test_places_count_lines_and_characters(text: str, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(text)))
    offset = len(text[:index].encode())
    line = text.count("\n", 0, index) + 1
    column = index - (text.rfind("\n", 0, index) + 1) + 1
    inside = data.draw(st.integers(0, max(0, len(text[index : index + 1].encode()) - 1)))

    place = place_of(text.encode(), offset + inside)

    assert (place.line, place.column) == (line, column)


@given(data=st.binary(max_size=300), offset=st.integers(0, 300))
def test_a_caret_is_shown_in_any_bytes(data: bytes, offset: int) -> None:
    offset = min(offset, len(data))
    shown, caret = show_caret(data, offset).split("\n")
    assert shown.isprintable()
    assert caret.strip() == "^"
    assert len(shown) <= 2 * diagnosis.MARGIN + 4
    assert place_of(data, offset).column >= 1


def test_a_caret_stands_below_wide_characters_too() -> None:
    assert show_caret("日é!".encode(), 5) == "    日é!\n       ^"
    assert show_caret("a\u0308!".encode(), 3) == "    a\u0308!\n     ^"


def test_a_caret_in_a_long_line_shows_what_is_near() -> None:
    shown, caret = show_caret(b"a" * 1000 + b"!" + b"b" * 1000, 1000).split("\n")
    assert shown[len(caret) - 1] == "!"
    assert len(shown) == 2 * diagnosis.MARGIN + 4


@pytest.fixture(scope="module")
def json_matcher() -> Matcher:
    return byte_matcher(Grammar.builtin("json"))


near_json = st.lists(
    st.sampled_from([b"[", b"]", b"1", b",", b'"a\xc3\xa9"', b" ", b"tru", b"e", b"{", b":", b"x"]),
    max_size=30,
).map(b"".join)


@given(text=near_json, chunk=st.integers(1, 9))
def test_the_longest_viable_beginning_is_found(
    json_matcher: Matcher, text: bytes, chunk: int
) -> None:
    slow = json_matcher.fork()
    viable = 0
    while viable < len(text) and slow.accept_bytes(text[viable : viable + 1]):
        viable += 1

    fast = json_matcher.fork()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnosis, "CHUNK", chunk)
        assert read_viable(fast, text) == viable

    assert fast.text == text[:viable]


def test_bytes_are_spelled_as_ranges() -> None:
    allowed = constrain.bitmask.unpack(constrain.bitmask.allocate(256), 256)
    assert spell_bytes(allowed) == ""
    allowed[list(b"\n,0123ab")] = True
    allowed[200:256] = True
    assert spell_bytes(allowed) == r"'\n' ',' '0'..'3' 'a' 'b' 0xc8..0xff"


# --- errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "-"],
        ["check", "-", "--grammar", "json", "--regex", "a"],
        ["check", "absent", "--grammar", "json"],
        ["check", ".", "--grammar", "json"],
        ["check", "-", "--grammar", "absent.lark"],
        ["check", "-", "--grammar", "json", "--start", "value"],
        ["check", "-", "--gram", "json"],
        ["check", "-", "--grammar", "json", "--gbnf", "g.gbnf"],
        ["check", "-", "--gbnf", "absent.gbnf"],
        ["check", "-", "--gbnf", "a_file", "--start", "value"],
        ["check", "-", "--gbnf", "a_file", "--lexing", "longest"],
        ["generate", "--choice", "a", "--temperature", "0"],
        ["generate", "--choice", "a", "--temperature", "1", "--greedy"],
        ["generate", "--choice", "a", "--max-new-tokens", "0"],
        ["generate", "--choice", "a", "--model", "./absent"],
        ["generate", "--choice", "a", "--device", "absent"],
        ["compile", "--choice", "a", "--tokenizer", "./absent"],
        ["compile", "--choice", "a", "--cache", "a_file/cache"],
        ["inspect", "", "--choice", "a", "--token", "no such token"],
        ["absent"],
    ],
    ids=" ".join,
)
def test_usage_errors(arguments: list[str], run: Run) -> None:
    Path("a_file").touch()
    code, out, err = run(*arguments)
    assert (code, out) == (Exit.USAGE, "")
    assert err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--grammar", "jsno"], "the names are: calc, go"),
        (["--regex", "(a"], "(a\n  ^"),
        (["--regex", r"(a)\1"], r"(a)\1"),
        (["--grammar", "bad.lark"], "line 2, column"),
        (["--grammar", "bad.lark"], "the grammar is bad.lark"),
        (["--gbnf", "bad.gbnf"], "line 1, column 16"),
        (["--gbnf", "bad.gbnf"], "the grammar is bad.gbnf"),
    ],
)
def test_errors_of_the_library_are_messages(arguments: list[str], said: str, run: Run) -> None:
    Path("bad.lark").write_text('start: "a"\n  | b\n')
    Path("bad.gbnf").write_text('root ::= "a" | b\n')
    code, out, err = run("check", "-", *arguments)
    assert (code, out) == (Exit.LIBRARY_ERROR, "")
    assert said in err
    assert err.startswith("constrain check: ")
    assert "Traceback" not in err


def test_a_grammar_file_that_is_not_utf8_is_refused(run: Run) -> None:
    Path("latin.lark").write_bytes(b'start: "\xe9"\n')
    code, _, err = run("check", "-", "--grammar", "latin.lark")
    assert code == Exit.USAGE
    assert "byte 0xe9 at offset 8" in err


def test_a_grammar_file_is_read_with_its_options(run: Run) -> None:
    Path("g.lark").write_text("other: A B\nA: /ab*/\nB: /b/\n")
    arguments = ("check", "-", "--grammar", "g.lark", "--start", "other")
    code, _, err = run(*arguments, stdin=b"abb")
    assert code == Exit.LIBRARY_ERROR
    assert "A" in err
    assert "B" in err
    code, out, _ = run(*arguments, "--lexing", "any", stdin=b"abb")
    assert (code, out) == (Exit.OK, "standard input: accepted by grammar g, 3 bytes\n")


def test_a_gbnf_file_is_read(run: Run) -> None:
    Path("pairs.gbnf").write_text('root ::= "(" root ")" |\n  [a-z]+ # a name\n')
    arguments = ("check", "-", "--gbnf", "pairs.gbnf")
    code, out, _ = run(*arguments, stdin=b"((ab))")
    assert (code, out) == (Exit.OK, "standard input: accepted by grammar pairs, 6 bytes\n")
    code, out, _ = run(*arguments, stdin=b"((ab]")
    assert code == Exit.NOT_OF_GRAMMAR
    assert "line 1, column 5" in out
    assert "next byte: ')' 'a'..'z'" in out


def test_an_interrupt_ends_quietly(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "read_grammar", interrupted)
    assert run("check", "-", "--grammar", "json") == (Exit.INTERRUPTED, "", "")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupted_process_returns_130(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # A job in a shell's background ignores it, and so would its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with (
        in_process("check", str(fifo), "--grammar", "json", stderr=subprocess.PIPE) as process,
        fifo.open("wb"),  # opens once the process reads, and never writes
    ):
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (Exit.INTERRUPTED, b"")


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_broken_pipe_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with in_process(
        "check", os.devnull, "--grammar", "json", stdout=writer, stderr=subprocess.PIPE
    ) as process:
        os.close(writer)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (Exit.BROKEN_PIPE, b"")


# --- compile ------------------------------------------------------------------------------


def test_compile_says_what_it_made_and_then_that_it_is_there(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("compile", "--grammar", "json")
    (store,) = (tmp_path / "cache" / "constrain").glob("*.safetensors")
    assert code == Exit.OK
    assert str(store) in out
    found = re.search(r"compiled in \d+\.\d\d s: (\d+) lexer states, (\d+) rows, (.*) MB\n", out)
    assert found is not None
    assert int(found[1]) > 10
    assert int(found[2]) > 10
    assert float(found[3]) == pytest.approx(store.stat().st_size / 1e6, abs=0.01)

    before = store.read_bytes()
    code, again, _ = run("compile", "--grammar", "json")
    assert code == Exit.OK
    assert "cache hit, read in " in again
    assert again.splitlines()[1].partition(": ")[2] == out.splitlines()[1].partition(": ")[2]
    assert store.read_bytes() == before


def test_generate_uses_the_compiled_store_and_refuses_a_damaged_one(
    run: Run, tmp_path: Path
) -> None:
    arguments = ("generate", "--choice", "yes", "--choice", "no")
    assert run(*arguments)[0] == Exit.OK
    assert not list((tmp_path / "cache").rglob("*.safetensors"))  # kernels may be there
    assert run("compile", *arguments[1:], "--cache", "stores")[0] == Exit.OK
    (store,) = Path("stores").iterdir()
    store.write_bytes(store.read_bytes()[:-1])
    code, out, err = run(*arguments, "--cache", "stores")
    assert (code, out) == (Exit.LIBRARY_ERROR, "")
    assert store.name in err


# --- generate -----------------------------------------------------------------------------

PROMPT = "A user with name and age:\n"


def test_generate_writes_json_that_check_accepts(run: Run) -> None:
    code, out, _ = run("generate", "--grammar", "json", "--prompt", PROMPT, "--greedy")
    assert code == Exit.OK
    json.loads(out)
    assert run("check", "-", "--grammar", "json", stdin=out.encode())[0] == Exit.OK
    assert run("generate", "--grammar", "json", "--prompt", PROMPT, "--stream") == (0, out, "")
    assert run("generate", "--grammar", "json", "--prompt", "-", stdin=PROMPT.encode())[1] == out


def test_generate_adds_not_even_a_line_end(run: Run) -> None:
    assert run("generate", "--choice", "yes")[:2] == (Exit.OK, "yes")


def test_generate_takes_a_model_by_its_folder(run: Run) -> None:
    from constrain.generation.embedded import FOLDER  # noqa: PLC0415 - imports torch

    arguments = ("generate", "--regex", "[a-z]{3,5}", "--greedy")
    assert run(*arguments, "--model", str(FOLDER))[:2] == run(*arguments)[:2]


def test_generate_samples_the_same_text_for_the_same_seed(run: Run) -> None:
    arguments = ("generate", "--regex", "[a-z]{12}", "--temperature", "1.5", "--seed")
    texts = [run(*arguments, seed)[1] for seed in ("1", "1", "2", "3")]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1
    assert all(re.fullmatch("[a-z]{12}", text) for text in texts)


def test_generate_refuses_a_budget_before_the_first_token(run: Run) -> None:
    code, out, err = run("generate", "--regex", "[a-z]{40}", "--max-new-tokens", "4")
    assert (code, out) == (Exit.LIBRARY_ERROR, "")
    assert "--max-new-tokens" in err


def test_generate_says_that_a_text_was_cut_off(run: Run) -> None:
    code, out, err = run(
        "generate", "--regex", "[a-z]{40}!", "--max-new-tokens", "4", "--no-finish"
    )
    assert code == Exit.NOT_OF_GRAMMAR
    assert re.fullmatch("[a-z]{4,39}", out)
    assert "cut off" in err
    completion = re.search("shortest completion: '(.*)'", err)
    assert completion is not None
    assert re.fullmatch("[a-z]{40}!", out + completion[1])


@pytest.mark.parametrize(("ends", "expected"), [(None, (0,)), (5, (5,)), ([0, 5], (0, 5))])
def test_a_tokenizer_has_the_vocabulary_of_its_model(
    ends: int | list[int] | None, expected: tuple[int, ...], tmp_path: Path
) -> None:
    from constrain.cli.models import load_model, load_vocabulary  # noqa: PLC0415 - imports torch
    from constrain.generation.embedded import FOLDER  # noqa: PLC0415

    folder = tmp_path / "model"
    shutil.copytree(FOLDER, folder)
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    del tokenizer["eos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    if ends is None:
        (folder / "generation_config.json").unlink()
    else:
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))

    model, model_tokenizer = load_model(str(folder), "cpu")
    wanted = Vocabulary.from_tokenizer(model_tokenizer, model.generation_config)

    assert load_vocabulary(str(folder)).fingerprint == wanted.fingerprint
    assert wanted.end_ids == expected


# --- inspect ------------------------------------------------------------------------------


def test_inspect_shows_the_state_and_the_reasons(run: Run) -> None:
    code, out, _ = run(
        *("inspect", '{"a": tr', "--grammar", "json", "--first", "1"),
        *("--token", "ue", "--token", "}", "--token-id", "0"),
    )
    assert code == Exit.OK
    assert 'open terminals: "true"\n' in out
    assert 'member → STRING ":" • value\n' in out
    assert "shortest completion: 'ue}'\n" in out
    assert re.search(r"allowed tokens: 2 of \d+:\n +\d+ 'u'\n  \.\.\. and 1 more\n", out)
    assert re.search(r"token \d+ b'ue': allowed; ", out)
    assert re.search(r"token \d+ b'}': not allowed; it dies at its byte 0", out)
    assert re.search(r"token 0 b'': not allowed; the text is not whole yet", out)


def test_inspect_shows_the_end_of_a_whole_text(run: Run) -> None:
    code, out, _ = run("inspect", "-", "--choice", "yes", stdin=b"yes")
    assert code == Exit.OK
    assert "text: b'yes' (whole)\n" in out
    assert re.search(r"allowed tokens: 1 of \d+:\n +0 \(end of the text\)\n$", out)


def test_inspect_says_where_a_text_leaves_the_grammar(run: Run) -> None:
    code, out, _ = run("inspect", "[1,]", "--grammar", "json")
    assert code == Exit.NOT_OF_GRAMMAR
    assert out.startswith("the text leaves grammar json at line 1, column 4 (byte 3)\n    [1,]\n")


@pytest.mark.tokenizers
def test_inspect_and_compile_read_a_folder_with_a_tokenizer_only(run: Run, shared: Path) -> None:
    folder = str(shared / "tokenizers" / "gpt2")
    code, out, _ = run("inspect", "", "--choice", "yes", "--tokenizer", folder)
    assert code == Exit.OK
    assert re.search(r"allowed tokens: 3 of 50257:", out)
    assert run("compile", "--choice", "yes", "--tokenizer", folder)[0] == Exit.OK


# --- schemas ------------------------------------------------------------------------------

BOOK = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "year": {"type": "integer", "minimum": 0}},
    "required": ["title", "year"],
    "additionalProperties": False,
}


@pytest.fixture
def book(run: Run) -> str:
    """The file of a schema, in the folder where `run` works."""
    Path("book.schema.json").write_text(json.dumps(BOOK))
    return "book.schema.json"


def test_check_accepts_what_fits_a_schema(run: Run, book: str) -> None:
    Path("a.json").write_text('{"title": "A", "year": 1999}')
    assert run("check", "a.json", "--schema", book) == (
        Exit.OK,
        "a.json: accepted by grammar book.schema, 28 bytes\n",
        "",
    )
    code, out, _ = run("check", "a.json", "--schema", "-", stdin=json.dumps(BOOK).encode())
    assert (code, out) == (Exit.OK, "a.json: accepted by grammar schema, 28 bytes\n")


def test_check_shows_where_a_text_leaves_its_schema(run: Run, book: str) -> None:
    text = b'{"title": "A",\n "yeah": 1999}'
    assert run("check", "-", "--schema", book, stdin=text) == (
        Exit.NOT_OF_GRAMMAR,
        "standard input: not of grammar book.schema: line 2, column 6 (byte 20)\n"
        '     "yeah": 1999}\n'
        "         ^\n"
        'expected: "year":\n'
        "next byte: 'r'\n",
        "",
    )
    _, out, _ = run("check", "-", "--schema", book, stdin=b'{"title": [')
    assert "\nexpected: string\n" in out


def test_check_completes_the_beginning_of_a_value(run: Run, book: str) -> None:
    code, out, _ = run("check", "-", "--schema", book, stdin=b'{"title": "A"')
    assert code == Exit.NOT_OF_GRAMMAR
    assert "shortest completion: ',\"year\":0}'" in out


@pytest.mark.parametrize(
    ("options", "text", "accepted"),
    [
        ([], '{"title": "A", "year": 1}', True),
        ([], '{"year": 1, "title": "A"}', False),
        (["--order", "any"], '{"year": 1, "title": "A"}', True),
        (["--whitespace", "compact"], '{"title": "A", "year": 1}', False),
        (["--whitespace", "compact"], '{"title":"A","year":1}', True),
        (["--indent", "2"], '{"title": "A", "year": 1}', False),
        (["--indent", "2"], '{\n  "title": "A",\n  "year": 1\n}', True),
    ],
)
def test_options_of_schemas(
    options: list[str], text: str, accepted: bool, run: Run, book: str
) -> None:
    code, _, err = run("check", "-", "--schema", book, *options, stdin=text.encode())
    assert (code == Exit.OK, err) == (accepted, "")


def test_listed_strings_may_be_spelled_with_any_escapes(run: Run) -> None:
    Path("s.json").write_text('{"enum": ["a"]}')
    for options, code in (((), Exit.NOT_OF_GRAMMAR), (("--escapes", "any"), Exit.OK)):
        assert run("check", "-", "--schema", "s.json", *options, stdin=b'"\\u0061"')[0] == code


def test_what_cannot_be_enforced_is_refused_or_told(run: Run) -> None:
    Path("s.json").write_text('{"items": {"unevaluatedItems": false}}')
    code, out, err = run("check", "-", "--schema", "s.json", stdin=b"[1]")
    assert (code, out) == (Exit.LIBRARY_ERROR, "")
    assert err.startswith("constrain check: #/items/unevaluatedItems: `unevaluatedItems` cannot")
    assert err.endswith("\n  the schema is s.json\n")
    code, out, err = run("check", "-", "--schema", "s.json", "--lenient", stdin=b"[1]")
    assert code == Exit.OK
    assert err.startswith("constrain check: not enforced: #/items/unevaluatedItems: ")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["check", "a", "--schema", "absent.json"], Exit.USAGE, "absent.json cannot be read"),
        (["check", "-", "--schema", "-"], Exit.USAGE, "both the schema and the text"),
        (
            ["check", "a", "--grammar", "json", "--lenient"],
            Exit.USAGE,
            "--lenient goes with --schema",
        ),
        (
            ["check", "a", "--choice", "a", "--indent", "0"],
            Exit.USAGE,
            "--indent goes with --schema",
        ),
        (["check", "a", "--schema", "-", "--indent", "99"], Exit.USAGE, "from 0 to 16"),
        (["check", "a", "--schema", "-", "--start", "a"], Exit.USAGE, "--grammar FILE only"),
        (["compile", "--schema", "s.json"], Exit.USAGE, "compiled when it is needed"),
    ],
)
def test_usage_of_schemas(arguments: list[str], code: Exit, message: str, run: Run) -> None:
    found, out, err = run(*arguments, stdin=b"{}")
    assert (found, out) == (code, "")
    assert message in err


def test_a_file_that_is_no_schema_is_refused(run: Run) -> None:
    for text, message in ((b"{", "no JSON"), (b"[]", "an object or a boolean"), (b'"', "no JSON")):
        code, _, err = run("check", "a", "--schema", "-", stdin=text)
        assert code == Exit.LIBRARY_ERROR
        assert message in err
        assert "the schema is standard input" in err


def test_inspect_tells_place_types_and_tokens(run: Run, book: str) -> None:
    code, out, _ = run("inspect", '{"title": "A", "year": ', "--schema", book, "--token-id", "0")
    assert code == Exit.OK
    assert "\nplace: #/year\n" in out
    assert "\nopen terminals: number\n" in out
    assert "shortest completion: '0}'" in out


def test_generate_writes_what_fits_a_schema(run: Run, book: str) -> None:
    code, out, err = run(
        "generate",
        "--schema",
        book,
        "--indent",
        "2",
        "--prompt",
        "A book:",
        "--max-new-tokens",
        "60",
    )
    assert (code, err) == (Exit.OK, "")
    value = json.loads(out)
    assert list(value) == ["title", "year"]
    assert out == json.dumps(value, indent=2, ensure_ascii=False)


# --- infill -------------------------------------------------------------------------------


def test_infill_writes_the_filled_file(run: Run, tmp_path: Path) -> None:
    text = '{"name": "Al, "age": 3}\n'
    (tmp_path / "a.json").write_text(text)
    arguments = ("infill", "a.json", "--cursor", "1:13", "--max-new-tokens", "16", "--greedy")
    code, out, err = run(*arguments)
    assert (code, err) == (Exit.OK, "")
    assert json.loads(out)["age"] == 3
    assert out.startswith(text[:12]) and out.endswith(text[12:])
    assert run(*arguments, "--stream") == (Exit.OK, out, "")
    middle = out[12 : len(out) - len(text[12:])]
    assert run(*arguments, "--middle")[1] == middle
    assert (tmp_path / "a.json").read_text() == text


def test_infill_says_why_there_is_no_middle(run: Run) -> None:
    code, out, err = run("infill", "-", "--grammar", "json", "--cursor", "1:5", stdin=b"[1]]  ")
    assert code == Exit.NOT_OF_GRAMMAR and out == ""
    assert "the prefix is of no text of the grammar: line 1, column 4" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-", "--cursor", "2:1", "--grammar", "json"), "the file has 1 lines"),
        (("-", "--cursor", "1:9", "--grammar", "json"), "line 1 ends at 3"),
        (("-", "--cursor", "0:9", "--grammar", "json"), "'0:9' is no place"),
        (("-", "--cursor", "1:1"), "standard input does not tell its grammar"),
        (("-", "--cursor", "1:1", "--no-grammar", "--regex", "a"), "goes with no other grammar"),
    ],
)
def test_infill_refuses_what_it_cannot_do(
    run: Run, arguments: tuple[str, ...], message: str
) -> None:
    code, _, err = run("infill", *arguments, stdin=b"[1]")
    assert code == Exit.USAGE and message in err


def test_infill_counts_columns_in_characters(run: Run) -> None:
    text = '["\u00e9\u00e9", 1'
    code, out, _ = run(
        "infill", "-", "--grammar", "json", "--cursor", f"1:{len(text) + 1}", stdin=text.encode()
    )
    assert code == Exit.OK and out.startswith(text) and json.loads(out)[0] == "\u00e9\u00e9"
