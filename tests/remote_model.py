"""A server of the standard library that answers in OpenAI's words, and recipes whose model is behind it."""

import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tunesmith.recipe import Recipe, from_mapping

__all__ = ["FEW_SHOT", "PRICES", "Server", "by_examples", "completion", "labels", "right", "served", "texts"]

Messages = list[dict[str, str]]
FEW_SHOT = {"method": "none", "context": {"name": "few_shot", "shots": [2]}}
PRICES = {"price_per_million_input": 1.0, "price_per_million_output": 10.0}


class Server(http.server.BaseHTTPRequestHandler):
    """Answers what `say` makes of the messages: a text, or (status, document, headers)."""

    say: Callable[[Messages], Any]
    asked: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        kind = type(self)
        kind.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        said = kind.say(kind.asked[-1]["messages"])
        status, document, headers = said if isinstance(said, tuple) else (200, completion(said), {})
        body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def completion(text: str, **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 20, "completion_tokens": 2}
    return {"choices": [{"message": {"content": text}, "finish_reason": "stop"}], "usage": usage, "system_fingerprint": "fp1", **more}


def right(messages: Messages) -> str:
    return "Positive." if "good" in messages[-1]["content"] else "negative"


def by_examples(messages: Messages) -> str:
    """Knows nothing without examples."""
    return right(messages) if any(message["role"] == "assistant" for message in messages) else "negative"


@contextlib.contextmanager
def served() -> Iterator[str]:
    """`openai:NAME@URL` of the server, which answers as `by_examples` until a test says otherwise."""
    Server.asked, Server.say = [], staticmethod(by_examples)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    before = set(threading.enumerate())
    try:
        yield f"openai:tiny@http://127.0.0.1:{server.server_address[1]}"
    finally:
        for thread in set(threading.enumerate()) - before:  # what a run that was stopped had sent
            with contextlib.suppress(RuntimeError):  # one that is about to begin
                thread.join(timeout=30)
        server.shutdown()
        server.server_close()


def labels(
    source: str, file: Path, out: Path, *, num_test: int = 20, chat_template: str | None = None, label_texts: Any = None, **changes: Any
) -> Recipe:
    spec = {"source": source, **changes.pop("model", {})}
    recipe: dict[str, Any] = {
        "model": spec,
        "data": {
            "train": str(file),
            "columns": {"text": "review", "label": "sentiment"},
            "limit": {"test": num_test, "validation": 10},
            "chat_template": chat_template,
            "label_texts": label_texts,
        },
        "output_dir": str(out),
        **FEW_SHOT,
        **changes,
    }
    return from_mapping(recipe, name="remote")


def texts(source: str, data: Path, out: Path, **changes: Any) -> Recipe:
    return from_mapping({"model": source, "data": str(data), "output_dir": str(out), **FEW_SHOT, **changes}, name="remote")
