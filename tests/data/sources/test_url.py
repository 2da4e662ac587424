"""A file at an address: https alone, pinned, of a bounded size, and never over a redirect to http."""

import hashlib
import http.server
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.core.errors import DataError, FetchError, UsageError
from tunesmith.core.fetch import IndexSettings
from tunesmith.data import read

CONTENT = b'{"text": "one"}\n{"text": "two"}\n'
SHA256 = hashlib.sha256(CONTENT).hexdigest()

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the server's certificate")


class _Files(http.server.BaseHTTPRequestHandler):
    requests: list[str] = []

    def do_GET(self) -> None:
        type(self).requests.append(self.path)
        port = self.server.server_address[1]
        moved = {
            "/moved.jsonl": f"https://localhost:{port}/rows.jsonl",
            "/plain.jsonl": "http://localhost:1/rows.jsonl",
            "/file.jsonl": "file:///etc/passwd",
        }
        if self.path in moved:
            self.send_response(302)
            self.send_header("Location", moved[self.path])
            self.end_headers()
        elif self.path == "/endless.jsonl":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(5000):
                    self.wfile.write(CONTENT * 100)
            except OSError:
                pass
        elif self.path.partition("?")[0] in ("/rows.jsonl", "/rows"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    both = folder / "both.pem"
    made = folder / "cert.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost".split()
    subprocess.run([*command, "-keyout", str(both), "-out", str(made)], check=True, capture_output=True)
    both.write_bytes(both.read_bytes() + made.read_bytes())
    return both


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    _Files.requests = []
    monkeypatch.setattr("tunesmith.core.fetch._PAUSES_SECONDS", (0.0,))
    settings = IndexSettings(cert=str(certificate), timeout_seconds=5)
    monkeypatch.setattr("tunesmith.core.fetch.index_settings", lambda: settings)
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Files) as running:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"https://localhost:{running.server_address[1]}"
        running.shutdown()


def test_rows_are_fetched_once_and_named_by_their_address(server: str) -> None:
    source = {"url": f"{server}/rows.jsonl?download=1", "sha256": SHA256.upper()}
    dataset = read(source)
    assert [example.text for example in dataset.examples] == ["one", "two"]  # type: ignore[union-attr]
    assert (dataset.examples[1].origin.file, dataset.examples[1].origin.row) == (source["url"], 2)
    assert (dataset.facts.name, dataset.facts.sha256) == (source["url"], SHA256)
    read(source)
    assert len(_Files.requests) == 1


def test_a_redirect_to_https_is_followed_and_no_other(server: str) -> None:
    assert len(read({"url": f"{server}/moved.jsonl", "sha256": SHA256}).examples) == 2
    for name, said in (
        ("plain", "redirects to http://localhost:1/rows.jsonl, which is not https"),
        ("file", "file:///etc/passwd' is not allowed"),
    ):
        with pytest.raises(FetchError, match=said):
            read({"url": f"{server}/{name}.jsonl", "sha256": "1" * 64})


def test_another_hash_is_refused_and_nothing_is_kept(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path))
    with pytest.raises(FetchError, match=f"has SHA-256 {SHA256}, not the pinned {'0' * 64}, and was not kept"):
        read({"url": f"{server}/rows.jsonl", "sha256": "0" * 64})
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_file_that_is_too_large_is_left_as_soon_as_that_is_seen(server: str) -> None:
    with pytest.raises(FetchError, match="and 1000000 are allowed"):
        read({"url": f"{server}/endless.jsonl", "sha256": "0" * 64, "most_mb": 1})


def test_what_is_not_there_and_what_is_of_no_kind_is_said(server: str) -> None:
    with pytest.raises(FetchError, match=r"none\.jsonl: cannot be fetched: HTTP 404"):
        read({"url": f"{server}/none.jsonl", "sha256": "0" * 64})
    with pytest.raises(DataError, match="a file of an unknown kind"):
        read({"url": f"{server}/rows", "sha256": SHA256})


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://a.example/b.jsonl", "not an https address"),
        ("file:///etc/passwd", "not an https address"),
        ("https:///b", "not an https address"),
    ],
)
def test_only_https_is_asked(url: str, said: str) -> None:
    with pytest.raises(FetchError, match=said):
        read({"url": url, "sha256": "0" * 64})


def test_a_login_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(FetchError, match="netrc") as caught:
        read({"url": "https://me:secret@a.example/b.jsonl", "sha256": "0" * 64})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("sha256", ["", "abc", "../" * 21 + "a", "g" * 64])
def test_what_is_no_hash_is_refused_before_anything_is_asked(sha256: str) -> None:
    with pytest.raises(UsageError, match="expected 64 hexadecimal digits"):
        read({"url": "https://a.example/b.jsonl", "sha256": sha256})
