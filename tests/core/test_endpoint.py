"""An endpoint of OpenAI's kind, held against a server of the standard library on this machine."""

import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tunesmith.core import endpoint
from tunesmith.core.endpoint import Endpoint, NoAnswer, Reply
from tunesmith.core.errors import FetchError, UsageError
from tunesmith.core.fetch import IndexSettings
from tunesmith.core.types import Message

MESSAGES = [Message("user", "Héllo")]
OPTIONS = {"max_tokens": 8, "temperature": 0.5, "top_p": 0.9, "seed": 3}


def completion(text: str, reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}]}


class Server(http.server.BaseHTTPRequestHandler):
    """Gives one prepared answer after another: (status, document or text, headers); notes what it was asked."""

    answers: list[tuple[int, Any, dict[str, str]]] = []
    asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append((self.path, dict(self.headers), content))
        status, document, headers = type(self).answers.pop(0)
        body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        raise AssertionError("a redirect was followed")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's settings take a second to ask for."""
    monkeypatch.setattr(endpoint, "index_settings", lambda: IndexSettings(proxy="http://127.0.0.1:9"))


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    Server.answers, Server.asked = [], []
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # a proxy that is not there: this machine is asked without
    monkeypatch.setattr(endpoint, "_PAUSES_SECONDS", (0.0, 0.0, 0.0))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_request_is_openais_and_its_answer_is_read(url: str) -> None:
    Server.answers = [(200, completion("Hi."), {}), (200, completion("Hi, I", "length"), {})]
    asked = Endpoint.named(f"some@model@{url}")
    assert asked.chat(MESSAGES, **OPTIONS) == Reply("Hi.", is_cut=False)  # type: ignore[arg-type]
    assert asked.chat(MESSAGES, **OPTIONS) == Reply("Hi, I", is_cut=True)  # type: ignore[arg-type]
    path, headers, content = Server.asked[0]
    assert path == "/v1/chat/completions"
    assert "Authorization" not in headers
    assert content == {"model": "some@model", "messages": [{"role": "user", "content": "Héllo"}], **OPTIONS}


def test_what_the_server_says_of_its_answer_is_read_as_far_as_it_does(url: str) -> None:
    told = completion("Hi.") | {"usage": {"prompt_tokens": 9, "completion_tokens": 2}, "system_fingerprint": "fp"}
    odd = completion("Hi.") | {"usage": {"prompt_tokens": "9"}, "system_fingerprint": 3}
    Server.answers = [(200, told, {}), (200, odd, {}), (200, completion("Hi.") | {"usage": None}, {})]
    asked = Endpoint.named(f"m@{url}")
    assert asked.chat(MESSAGES, **OPTIONS) == Reply("Hi.", False, 9, 2, "fp")  # type: ignore[arg-type]
    assert asked.chat(MESSAGES, **OPTIONS) == asked.chat(MESSAGES, **OPTIONS) == Reply("Hi.", False)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/api/v3", "/api/v3/", "/api/v3/chat/completions"])
def test_the_address_may_have_a_path_of_its_own(url: str, path: str) -> None:
    assert Endpoint.named(f"m@{url}{path}").url == f"{url}/api/v3/chat/completions"


def test_the_key_is_the_environment_variables_and_is_in_no_text(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    Server.answers = [(200, completion("a"), {}), (401, {"error": {"message": "wrong key"}}, {})]
    asked = Endpoint.named(f"m@{url}")
    asked.chat(MESSAGES, **OPTIONS)  # type: ignore[arg-type]
    assert Server.asked[0][1]["Authorization"] == "Bearer sk-secret"
    with pytest.raises(FetchError, match=r"HTTP 401 wrong key. The key in OPENAI_API_KEY is not accepted") as failed:
        asked.chat(MESSAGES, **OPTIONS)  # type: ignore[arg-type]
    assert "sk-secret" not in f"{failed.value}{asked!r}"


def test_the_key_is_not_sent_in_the_clear_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert Endpoint.named("m@http://example.org/v1").key is None
    assert Endpoint.named("m@https://example.org/v1").key == "sk-secret"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_or_broken_server_is_asked_again(url: str, status: int) -> None:
    Server.answers = [(status, "", {"Retry-After": "0"}), (status, "busy", {}), (200, completion("a"), {})]
    assert Endpoint.named(f"m@{url}").chat(MESSAGES, **OPTIONS).text == "a"  # type: ignore[arg-type]


def test_the_pauses_grow_and_a_wish_for_a_longer_one_is_granted_up_to_a_minute(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = list[float]()
    monkeypatch.setattr(endpoint, "_PAUSES_SECONDS", (0.0, 1.0, 2.0, 4.0))
    monkeypatch.setattr(endpoint, "sleep", slept.append)
    Server.answers = [(429, "", {"Retry-After": "7"}), (429, "", {"Retry-After": "3600"}), (503, "", {}), (200, completion("a"), {})]
    Endpoint.named(f"m@{url}").chat(MESSAGES, **OPTIONS)  # type: ignore[arg-type]
    assert slept == [0.0, 7.0, 60.0, 4.0]


def test_a_pause_until_a_date_is_granted_and_told_with_its_reason(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slept, told = list[float](), list[tuple[float, str]]()
    monkeypatch.setattr(endpoint, "sleep", slept.append)
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    Server.answers = [(429, {"error": "slow down"}, {"Retry-After": until}), (429, "", {"Retry-After": "soon"}), (200, completion("a"), {})]
    Endpoint.named(f"m@{url}").chat(MESSAGES, **OPTIONS, paused=lambda *pause: told.append(pause))  # type: ignore[arg-type]
    assert 20 < slept[1] <= 30
    assert (slept[0], slept[2]) == (0, 0)
    assert told == [(slept[1], "HTTP 429 slow down"), (0, "HTTP 429 Too Many Requests")]


def test_an_answer_that_breaks_off_is_asked_for_again(url: str) -> None:
    Server.answers = [(200, '{"choices": [{"mess', {"Content-Length": "200", "Connection": "close"}), (200, completion("a"), {})]
    assert Endpoint.named(f"m@{url}").chat(MESSAGES, **OPTIONS).text == "a"  # type: ignore[arg-type]


@pytest.mark.parametrize(("status", "is_of_this_request"), [(400, True), (413, True), (422, True), (401, False), (404, False)])
def test_what_is_wrong_with_one_request_is_told_from_what_is_wrong_with_all(url: str, status: int, is_of_this_request: bool) -> None:
    Server.answers = [(status, "", {})]
    with pytest.raises(FetchError) as failed:
        Endpoint.named(f"m@{url}").chat(MESSAGES, **OPTIONS)  # type: ignore[arg-type]
    assert isinstance(failed.value, NoAnswer) == is_of_this_request


def test_a_server_that_stays_broken_is_named_after_the_last_attempt(url: str) -> None:
    Server.answers = [(503, {"error": "over\nloaded"}, {})] * 3
    with pytest.raises(FetchError, match=rf"^{url}/v1/chat/completions: no answer after 3 attempts: HTTP 503 over loaded\. Check"):
        Endpoint.named(f"m@{url}").chat(MESSAGES, **OPTIONS)  # type: ignore[arg-type]


def test_a_server_that_is_not_there_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_PAUSES_SECONDS", (0.0,))
    with pytest.raises(FetchError, match="no answer after 1 attempts.*Check the address"):
        Endpoint.named("m@http://127.0.0.1:9").chat(MESSAGES, **OPTIONS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            (404, {"error": {"message": "no such model"}}, {}),
            "HTTP 404 no such model. Check the address, and that the server has a model m",
        ),
        ((400, "not json", {}), "HTTP 400 Bad Request. Check"),
        ((401, "", {}), "Set the key in the environment variable OPENAI_API_KEY"),
        ((302, "", {"Location": "/elsewhere"}), "HTTP 302"),
        ((200, "<html>", {}), "answered '<html>', expected a chat completion"),
        ((200, {"choices": []}, {}), "expected a chat completion"),
        ((200, {"choices": [{"message": {"content": None}}]}, {}), "expected a chat completion"),
    ],
)
def test_what_is_no_answer_is_an_error_at_once(url: str, answer: Any, message: str) -> None:
    Server.answers = [answer]
    with pytest.raises(FetchError, match=message):
        Endpoint.named(f"m@{url}").chat(MESSAGES, **OPTIONS)  # type: ignore[arg-type]
    assert len(Server.asked) == 1


@pytest.mark.parametrize("text", ["m", "m@localhost:8000", "@http://localhost", "m@http://", "m@ftp://localhost"])
def test_an_endpoint_is_written_name_at_url(text: str) -> None:
    with pytest.raises(UsageError, match="expected NAME@URL"):
        Endpoint.named(text)


def test_a_login_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="OPENAI_API_KEY") as failed:
        Endpoint.named("m@https://me:secret@example.org/v1")
    assert "secret" not in str(failed.value)
