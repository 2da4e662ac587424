"""Files of the package index, fetched as data: pinned by their hash, opened as archives, their code never run.

The index is pip's own: `index-url`, `extra-index-url`, `find-links`, `no-index`, `proxy`, `cert`, `trusted-host` and `timeout` of
`pip config list` (its files and `PIP_*`), pages of the simple repository API (PEP 503, PEP 691) and plain folders.
"""

import ast
import base64
import contextlib
import hashlib
import http.client
import io
import json
import netrc
import os
import re
import shutil
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, BinaryIO

from tunesmith.core.errors import FetchError
from tunesmith.core.files import cache_folder, disk_errors, file_sha256

__all__ = [
    "IndexSettings", "Progress", "extract", "fetch_package", "fetch_url", "index_settings", "list_members", "opener_for", "read_member",
]  # fmt: skip

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all (0 where the server does not say)."""

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1, */*;q=0.05"
_CHUNK_BYTES = 1 << 18
_PAUSES_SECONDS = (0.0, 0.5, 1.5)
"""Before each attempt; a server that answers "no" is not asked again."""


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Where packages come from, as pip is set to."""

    indexes: tuple[str, ...] = ("https://pypi.org/simple",)
    find_links: tuple[str, ...] = ()
    proxy: str | None = None
    cert: str | None = None
    trusted_hosts: tuple[str, ...] = ()
    timeout_seconds: float = 15.0


def index_settings() -> IndexSettings:
    """pip's settings in this environment: its configuration files, then `PIP_*`. Without pip, `PIP_*` alone."""
    found: dict[str, str] = {}
    try:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        listed = ""
    for scope in ("global.", "install.", "download."):  # a command's own section overrides [global]
        for line in listed.splitlines():
            name, equals, value = line.partition("=")
            if equals and name.startswith(scope):
                found[name.removeprefix(scope)] = str(_literal(value))
    for name, value in os.environ.items():
        if name.upper().startswith("PIP_"):
            found[name[4:].lower().replace("_", "-")] = value
    no_index = found.get("no-index", "").lower() in ("1", "true", "yes", "on")
    indexes = [found.get("index-url") or found.get("pypi-url") or "https://pypi.org/simple", *found.get("extra-index-url", "").split()]
    timeout = found.get("timeout") or found.get("default-timeout") or ""
    return IndexSettings(
        indexes=() if no_index else tuple(dict.fromkeys(url.rstrip("/") for url in indexes)),
        find_links=tuple(found.get("find-links", "").split()),
        proxy=found.get("proxy") or None,
        cert=found.get("cert") or None,
        trusted_hosts=tuple(found.get("trusted-host", "").split()),
        timeout_seconds=float(timeout) if re.fullmatch(r"\d+(\.\d+)?", timeout) else 15.0,
    )


def _literal(value: str) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def fetch_package(
    project: str,
    version: str,
    filename: str,
    sha256: str,
    *,
    progress: Progress | None = None,
    settings: IndexSettings | None = None,
) -> Path:
    """The file `filename` of `project` `version`, from the cache or from the package index.

    Args:
        sha256: the pinned hash of the file, in hex.
        settings: where to look; None: as pip is set to.
    Raises: FetchError, where the index cannot be reached, has no such file, or has one with another hash. Nothing is kept then.
    """
    path = cache_folder("downloads") / filename
    if path.is_file():
        if file_sha256(path) == sha256:
            return path
        path.unlink()
    settings = settings or index_settings()
    reasons: list[str] = []
    for place, page in _places(project, settings):
        try:
            url = _find(page, filename, settings)
            if url is None:
                reasons.append(f"{_shown(place)} has no {filename}")
                continue
            found = _download(url, path, sha256, progress, settings)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reasons.append(f"{_shown(place)}: {_reason(error)}")
            continue
        if found == sha256:
            return path
        reasons.append(f"{_shown(url)} has SHA-256 {found}, not the pinned {sha256}, and was not kept")
    raise FetchError(
        f"{filename} ({project} {version}): cannot be fetched: {'; '.join(reasons) or 'pip is set to no-index and has no find-links'}. "
        f"Check the network, the proxy and pip's index settings (`pip config list`), or put the file into {path.parent}."
    )


def fetch_url(url: str, sha256: str, *, most_bytes: int, settings: IndexSettings | None = None) -> Path:
    """The file at an https address, from the cache or from there; redirects to anything but https are not followed.

    Args:
        sha256: the pinned hash of the file, in hex.
        most_bytes: a larger file is refused, as soon as that is seen.
        settings: proxy, certificates and timeout; None: as pip is set to.
    Raises: FetchError, where the address is not https or holds a password, or the file is not there, too large, or has another hash.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise FetchError(f"{_shown(url)}: not an https address, expected one such as https://example.org/rows.jsonl.")
    if parts.username or parts.password:
        raise FetchError(f"{_shown(url)}: a login in an address ends up in reports. Take it out, and write it to ~/.netrc.")
    path = cache_folder("downloads", sha256) / (re.sub(r"[^\w.-]", "_", _filename(url))[-100:] or "file")
    if path.is_file() and file_sha256(path) == sha256:
        return path
    try:
        found = _download(url, path, sha256, None, settings or index_settings(), most_bytes, https_only=True)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchError(f"{url}: cannot be fetched: {_reason(error)}. Check the address, the network and the proxy.") from None
    if found != sha256:
        raise FetchError(
            f"{url} has SHA-256 {found}, not the pinned {sha256}, and was not kept. Look at what it holds now before you pin that."
        )
    return path


def _places(project: str, settings: IndexSettings) -> Iterator[tuple[str, str]]:
    """(the place as its user wrote it, its page that lists the project's files)"""
    for place in settings.find_links:
        yield place, place if "://" in place else Path(place).expanduser().absolute().as_uri()
    for index in settings.indexes:
        base = index if "://" in index else Path(index).expanduser().absolute().as_uri()
        yield index, f"{base}/{re.sub(r'[-_.]+', '-', project).lower()}/"


def _find(page: str, filename: str, settings: IndexSettings) -> str | None:
    """The address of `filename` on a page of links, in a folder, or None. Raises: OSError, HTTPException."""
    if page.startswith("file:"):
        folder = _local(page)
        if folder.name == filename and folder.is_file():
            return page
        if (folder / filename).is_file():
            return (folder / filename).as_uri()
        listing = folder if folder.is_file() else folder / "index.html"
        if not listing.is_file():
            return None
        links = _links(listing.read_bytes(), "text/html", listing.as_uri())
    else:
        try:
            with _open(page, settings) as answer:
                links = _links(answer.read(), answer.headers.get("Content-Type", ""), answer.url)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise
    return next((url for url in links if _filename(url) == filename), None)


def _filename(url: str) -> str:
    return urllib.parse.unquote(urllib.parse.urlsplit(url).path).rpartition("/")[2]


def _local(url: str) -> Path:
    return Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path))


class _Anchors(HTMLParser):
    """The links of a page, as PEP 503 has them."""

    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href") or ""
        if tag == "base":
            self.base = href
        elif tag == "a" and href:
            self.hrefs.append(href)


def _links(content: bytes, content_type: str, address: str) -> list[str]:
    if "json" in content_type:
        return [urllib.parse.urljoin(address, str(file["url"])) for file in json.loads(content).get("files", [])]
    page = _Anchors()
    page.feed(content.decode("utf-8", errors="replace"))
    base = urllib.parse.urljoin(address, page.base)
    return [urllib.parse.urljoin(base, href) for href in page.hrefs]


def _download(
    url: str,
    path: Path,
    sha256: str,
    progress: Progress | None,
    settings: IndexSettings,
    most_bytes: int | None = None,
    *,
    https_only: bool = False,
) -> str:
    """Write `url` to `path` where its hash is `sha256`; return its hash either way."""
    with disk_errors(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file, _open(url, settings, https_only=https_only) as answer:
            digest, done, total = hashlib.sha256(), 0, int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read(_CHUNK_BYTES):
                if most_bytes is not None and max(done + len(chunk), total) > most_bytes:
                    raise ValueError(f"it has {max(done + len(chunk), total)} bytes or more, and {most_bytes} are allowed")
                with disk_errors(path):
                    file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, max(total, done) if total else 0)
            with disk_errors(path):
                file.flush()
        if done < total:
            raise ConnectionError(f"the connection ended after {done} of {total} bytes")
        if digest.hexdigest() == sha256:
            partial.chmod(0o644)
            os.replace(partial, path)
        return digest.hexdigest()
    finally:
        partial.unlink(missing_ok=True)


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to https, and refuses any other."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> urllib.request.Request | None:
        if not newurl.startswith("https://"):
            raise urllib.error.HTTPError(req.full_url, code, f"redirects to {_shown(newurl)}, which is not https", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def opener_for(url: str, settings: IndexSettings, *handlers: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    """What opens an address with pip's certificates and proxy, and with further handlers."""
    parts = urllib.parse.urlsplit(url)
    context = ssl.create_default_context(cafile=settings.cert if settings.cert and Path(settings.cert).is_file() else None)
    if parts.hostname in settings.trusted_hosts or parts.netloc.rpartition("@")[2] in settings.trusted_hosts:
        context = ssl._create_unverified_context()  # what pip's trusted-host means; the pinned hash still holds
    proxies = [urllib.request.ProxyHandler({"http": settings.proxy, "https": settings.proxy})] if settings.proxy else []
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), *handlers, *proxies)


def _open(url: str, settings: IndexSettings, *, https_only: bool = False) -> Any:
    """The opened address (http, https or file), asked several times where the connection fails. Raises: OSError."""
    parts = urllib.parse.urlsplit(url)
    request = urllib.request.Request(_without_login(url), headers={"Accept": _ACCEPT, "User-Agent": "tunesmith"})
    if login := _login(parts):
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    opener, failure = opener_for(url, settings, *([_HttpsOnly()] if https_only else [])), OSError("not tried")
    for pause in _PAUSES_SECONDS:
        time.sleep(pause)
        try:
            return opener.open(request, timeout=settings.timeout_seconds)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise
            failure = error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
                raise
            failure = error if isinstance(error, OSError) else OSError(str(error))
    raise failure


def _login(parts: urllib.parse.SplitResult) -> str | None:
    """user:password of an address or of ~/.netrc."""
    if parts.username:
        return f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
    try:
        found = netrc.netrc(os.environ.get("NETRC")).authenticators(parts.hostname or "")
    except (OSError, netrc.NetrcParseError):
        return None
    return f"{found[0]}:{found[2]}" if found else None


def _without_login(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def _shown(place: str) -> str:
    """A place as a message may show it: without passwords."""
    return _without_login(place) if "://" in place else place


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    code = f"HTTP {error.code} " if isinstance(error, urllib.error.HTTPError) else ""
    return " ".join(f"{code}{reason}".split()) or type(error).__name__


@contextlib.contextmanager
def _archive(archive: Path | bytes) -> Iterator[tuple[list[str], Callable[[str], Any]]]:
    """(the regular files of a wheel, zip or tar, how to open one of them)"""
    shown = "an archive" if isinstance(archive, bytes) else str(archive)
    source: BinaryIO = io.BytesIO(archive) if isinstance(archive, bytes) else archive.open("rb")
    with source:
        try:
            if zipfile.is_zipfile(source):
                with zipfile.ZipFile(source) as packed:
                    yield [info.filename for info in packed.infolist() if not info.is_dir()], packed.open
                return
            source.seek(0)
            with tarfile.open(fileobj=source, mode="r:*") as tar:
                yield [info.name for info in tar.getmembers() if info.isfile()], tar.extractfile
        except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
            raise FetchError(f"{shown}: is not a whole wheel, zip or tar archive ({error}). Remove it and run the command again.") from None


def list_members(archive: Path | bytes) -> list[str]:
    """The names of the files in a wheel, zip or tar (a path, or its bytes). Raises: FetchError, where it is broken."""
    with _archive(archive) as (names, _):
        return names


def read_member(archive: Path | bytes, member: str) -> bytes:
    """The content of one file of a wheel, zip or tar (a path, or its bytes). Raises: FetchError, where it is not there."""
    with _archive(archive) as (names, opened):
        if member not in names:
            raise FetchError(f"{archive if isinstance(archive, Path) else 'the archive'}: holds no file {member}.")
        with opened(member) as file:
            return bytes(file.read())


def read_members(archive: Path | bytes) -> dict[str, bytes]:
    """The content of every file of a wheel, zip or tar (a path, or its bytes), by its name. Raises: FetchError, where it is broken."""
    with _archive(archive) as (names, opened):
        return {name: bytes(opened(name).read()) for name in names}


def extract(archive: Path | bytes, members: Iterable[str] | Mapping[str, str], folder: Path) -> list[Path]:
    """Copy files out of a wheel, zip or tar to below `folder`, and return their paths.

    Args:
        members: names in the archive, kept below `folder`; a mapping gives each its new name there.
    Raises: FetchError, where a member is missing, is no regular file, or would be written outside `folder`.
    """
    renamed = members if isinstance(members, Mapping) else {name: name for name in members}
    root, written = folder.resolve(), []
    with _archive(archive) as (names, opened):
        known = set(names)
        for name, new_name in renamed.items():
            target = (root / new_name).resolve()
            if name not in known or not target.is_relative_to(root) or target == root:
                cause = "there is no such file in it" if name not in known else "it would be written outside the folder"
                raise FetchError(f"{archive if isinstance(archive, Path) else 'the archive'}: {name} cannot be unpacked: {cause}.")
            with disk_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened(name) as packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file, _CHUNK_BYTES)
            written.append(folder / new_name)
    return written
