"""The embedded model behind HTTP, as OpenAI's clients expect it: `response_format` and `tools`.

python examples/serve.py 8000        # then: OpenAI(base_url="http://127.0.0.1:8000/v1", …)
"""

import json
import sys
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

import torch

import constrain
from constrain import ConstrainError, Grammar, Tag
from constrain.generation.embedded import load_embedded

MAX_BODY, MAX_TOKENS = 1 << 20, 1_000
BEGIN, END = "<function=", "</function>"
ANY_TEXT = Grammar.from_regex(r"[\s\S]*")

model, tokenizer = load_embedded()
vocabulary = constrain.Vocabulary.from_tokenizer(tokenizer, model.generation_config)
one_at_a_time = Lock()  # a model writes one text after another; schemas are compiled beside it


def grammar_of(request: dict[str, Any]) -> Any:
    tools = [tool["function"] for tool in request.get("tools") or ()]
    if not tools or request.get("tool_choice") == "none":
        wanted = request.get("response_format") or {"type": "text"}
        return Grammar.from_response_format(wanted) or ANY_TEXT
    tags = [
        Tag(f"{BEGIN}{t['name']}>", t.get("parameters", {"type": "object"}), END) for t in tools
    ]
    least = 1 if request.get("tool_choice") == "required" else 0
    return Grammar.tags(tags, triggers=[BEGIN], at_least=least, at_most=1)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    prompt = "\n".join(str(message["content"]) for message in request["messages"]) + "\n"
    store = constrain.compile(grammar_of(request), vocabulary)  # or found: the last ones are kept
    most = min(request.get("max_completion_tokens") or request.get("max_tokens") or 200, MAX_TOKENS)
    warmth = request.get("temperature") or 0
    options = {"do_sample": True, "temperature": warmth} if warmth else {"do_sample": False}
    with one_at_a_time:
        torch.manual_seed(request.get("seed") or 0)
        text = constrain.generate(model, tokenizer, prompt, store, max_new_tokens=most, **options)
    message: dict[str, Any] = {"role": "assistant", "content": text}
    reason = "stop"
    if request.get("tools") and BEGIN in text:
        before, _, call = text.partition(BEGIN)
        name, _, rest = call.partition(">")
        arguments = rest[: json.JSONDecoder().raw_decode(rest, len(rest) - len(rest.lstrip()))[1]]
        function = {"name": name, "arguments": arguments.strip()}
        called = {"id": f"call_{uuid.uuid4().hex}", "type": "function", "function": function}
        message, reason = {**message, "content": before, "tool_calls": [called]}, "tool_calls"
    used = [len(tokenizer(part)["input_ids"]) for part in (prompt, text)]
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": "embedded",
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": {
            "prompt_tokens": used[0],
            "completion_tokens": used[1],
            "total_tokens": sum(used),
        },
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        try:
            size = int(self.headers.get("Content-Length") or 0)
            if self.path != "/v1/chat/completions" or not 0 < size <= MAX_BODY:
                self.close_connection = True  # what was sent is not read
                return self.reply(404, {"error": {"message": "POST /v1/chat/completions, 1 MiB"}})
            self.reply(200, answer(json.loads(self.rfile.read(size))))
        except (ConstrainError, ValueError, KeyError, TypeError, AttributeError) as error:
            told = {"message": str(error), "type": "invalid_request_error", "param": None}
            self.reply(400, {"error": {**told, "code": type(error).__name__}})

    def reply(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def server(port: int = 0) -> ThreadingHTTPServer:
    """A server on a port of this machine; 0: any that is free."""
    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    with server(int(sys.argv[1]) if len(sys.argv) > 1 else 8000) as running:
        print(f"http://127.0.0.1:{running.server_port}/v1")
        running.serve_forever()
