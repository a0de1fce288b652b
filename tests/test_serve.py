"""The example that serves the embedded model, asked by OpenAI's own client and by bare HTTP."""

from __future__ import annotations

import json
import runpy
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

import jsonschema
import pytest
import torch

SERVE = Path(__file__).parents[1] / "examples" / "serve.py"
BOOK: dict[str, Any] = {
    "type": "object",
    "properties": {"title": {"type": "string", "maxLength": 30}, "year": {"type": "integer"}},
    "required": ["title", "year"],
    "additionalProperties": False,
}
MESSAGES = [{"role": "user", "content": "A JSON object describing a book:"}]
TOOL = {"type": "function", "function": {"name": "find_book", "parameters": BOOK}}


def wanted(schema: object, name: str = "book") -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "strict": True, "schema": schema},
    }


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a server that runs as long as the tests of this module."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    server = runpy.run_path(str(SERVE))["server"]()
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()
    torch.set_num_threads(before)


def post(url: str, body: bytes, path: str = "/chat/completions") -> tuple[int, dict[str, Any]]:
    """The status and the content of the answer."""
    request = urllib.request.Request(url + path, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def ask(url: str, **request: Any) -> tuple[int, dict[str, Any]]:
    return post(url, json.dumps({"model": "embedded", "messages": MESSAGES, **request}).encode())


def test_the_answer_fits_the_schema(url: str) -> None:
    status, answer = ask(url, response_format=wanted(BOOK), max_tokens=80)
    assert status == 200
    assert answer["object"] == "chat.completion"
    (choice,) = answer["choices"]
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    jsonschema.validate(json.loads(choice["message"]["content"]), BOOK)
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert ask(url, response_format=wanted(BOOK), max_tokens=80)[1]["choices"] == answer["choices"]


def test_requests_at_once_each_get_their_own_schema(url: str) -> None:
    schemas = [
        {**BOOK, "properties": {**BOOK["properties"], "year": {"enum": [1900 + i]}}}
        for i in range(8)
    ]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda s: ask(url, response_format=wanted(s), max_tokens=60), schemas)
        )
    for i, (status, answer) in enumerate(answers):
        assert status == 200
        assert json.loads(answer["choices"][0]["message"]["content"])["year"] == 1900 + i


def test_any_object_and_any_text(url: str) -> None:
    status, answer = ask(url, response_format={"type": "json_object"}, max_tokens=40)
    assert status == 200
    assert isinstance(json.loads(answer["choices"][0]["message"]["content"]), dict)
    for response_format in ({}, {"response_format": {"type": "text"}}):
        status, answer = ask(url, **response_format, max_tokens=10, temperature=1.0, seed=3)
        assert status == 200
        assert isinstance(answer["choices"][0]["message"]["content"], str)


def test_a_tool_is_called_with_arguments_of_its_schema(url: str) -> None:
    status, answer = ask(url, tools=[TOOL], tool_choice="required", max_tokens=80)
    assert status == 200
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "tool_calls"
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "find_book"
    jsonschema.validate(json.loads(call["function"]["arguments"]), BOOK)
    assert ask(url, tools=[TOOL], tool_choice="none", max_tokens=5)[0] == 200


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (
            {"response_format": wanted({"properties": {"a": {"unevaluatedItems": False}}})},
            "SchemaError",
            "#/json_schema/schema/properties/a/unevaluatedItems: `unevaluatedItems` cannot be",
        ),
        (
            {"response_format": wanted({"type": "strin"})},
            "SchemaError",
            "#/json_schema/schema/type",
        ),
        ({"response_format": wanted(False)}, "EmptyLanguageError", "no JSON value fits"),
        ({"response_format": {"type": "xml"}}, "SchemaError", "#/type: the type of a"),
        ({"response_format": wanted(BOOK), "max_tokens": 3}, "BudgetError", "max_new_tokens=3"),
        ({"messages": [{}]}, "KeyError", "content"),
    ],
)
def test_what_cannot_be_answered_is_a_bad_request(
    url: str, request_: dict[str, Any], code: str, message: str
) -> None:
    status, answer = ask(url, **request_)
    assert status == 400
    assert (answer["error"]["code"], answer["error"]["type"]) == (code, "invalid_request_error")
    assert message in answer["error"]["message"]


def test_what_is_no_request_is_told(url: str) -> None:
    assert post(url, b"{")[0] == 400
    assert post(url, b"[]")[0] == 400
    assert post(url, b"{}", path="/models")[0] == 404


# --- OpenAI's client ----------------------------------------------------------------------


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    """The client of the `openai` package."""
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as found:
        yield found


def test_openais_client_reads_the_answer(client: Any) -> None:
    answer = client.chat.completions.create(
        model="embedded", messages=MESSAGES, response_format=wanted(BOOK), max_tokens=80
    )
    jsonschema.validate(json.loads(answer.choices[0].message.content), BOOK)


def test_openais_client_parses_a_pydantic_model(client: Any) -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Book", title=(str, ...), pages=(int, ...))
    answer = client.chat.completions.parse(
        model="embedded", messages=MESSAGES, response_format=model, max_tokens=80
    )
    assert isinstance(answer.choices[0].message.parsed, model)


def test_openais_client_reads_a_call_of_a_tool(client: Any) -> None:
    answer = client.chat.completions.create(
        model="embedded", messages=MESSAGES, tools=[TOOL], tool_choice="required", max_tokens=80
    )
    (call,) = answer.choices[0].message.tool_calls
    jsonschema.validate(json.loads(call.function.arguments), BOOK)


def test_openais_client_is_told_of_a_bad_schema(client: Any) -> None:
    openai = pytest.importorskip("openai")
    with pytest.raises(openai.BadRequestError, match="#/json_schema/schema/type"):
        client.chat.completions.create(
            model="embedded", messages=MESSAGES, response_format=wanted({"type": 3})
        )
