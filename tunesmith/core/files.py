"""Files and folders that are written whole or not at all, the cache, and hashes."""

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DiskFull, TunesmithError

__all__ = [
    "cache_folder",
    "disk_errors",
    "file_sha256",
    "finite",
    "folders_made",
    "hash_of",
    "hash_of_each",
    "number",
    "staged_file",
    "staged_folder",
    "write_bytes",
    "write_json",
    "write_text",
]


def cache_folder(*parts: str) -> Path:
    """A folder of the cache, made where it is missing: `TUNESMITH_CACHE`, else `XDG_CACHE_HOME/tunesmith`, else `~/.cache/tunesmith`."""
    base = os.environ.get("TUNESMITH_CACHE")
    root = Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tunesmith"
    folder = root.joinpath(*parts)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, or a folder that cannot be written, into one line. Raises: TunesmithError."""
    try:
        yield
    except Exception as error:
        number = _system_error(error)
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFull(f"{path}: the disk is full. Nothing half-written was kept; free some space first.") from error
        if number in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise TunesmithError(f"{path}: cannot be written ({os.strerror(number)}). Choose another folder.") from error
        raise


def _system_error(error: Exception) -> int | None:
    """The system's error number; safetensors leaves it only in its text."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"os error (\d+)", str(error)) if type(error).__name__ == "SafetensorError" else None
    return int(found[1]) if found else None


@contextlib.contextmanager
def staged_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A new folder that takes the name `path` when the block ends well, and vanishes when it does not.

    Raises: FileExistsError, where `path` exists and `replace` is false.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        with disk_errors(path):
            yield staging
            _as_shared_as_usual(staging)
            if path.exists():
                if not replace:
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
                old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
                os.rename(path, old / path.name)
                os.rename(staging, path)
                shutil.rmtree(old, ignore_errors=True)
            else:
                os.rename(staging, path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _as_shared_as_usual(folder: Path) -> None:
    """Give a private staging folder and its files the permissions that the user's umask asks for."""
    umask = _umask()
    folder.chmod(0o777 & ~umask)
    for path in folder.rglob("*"):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


@contextlib.contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the name `path` when the block ends well, and vanishes when it does not."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield staged
            staged.chmod(0o666 & ~_umask())
            staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


@contextlib.contextmanager
def folders_made(path: Path) -> Iterator[None]:
    """Where the block fails, the folders above `path` that were made in it go away again."""
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        yield
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole: a reader sees the old content or the new, never a part."""
    with staged_file(path) as staged:
        staged.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text whole."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, value: Any, *, indent: int | None = 1) -> None:
    """Write a JSON document whole; NaN and infinities become null, as JSON has none. Without `indent` it is quick, and a single line."""
    write_text(path, json.dumps(finite(value), indent=indent, ensure_ascii=False) + "\n")


def finite(value: Any) -> Any:
    """`value`, JSON-like, with None for every number in it that is not finite: JSON has none of those."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def number(value: float | None) -> float:
    """A number that `finite` wrote, read: NaN for None."""
    return math.nan if value is None else float(value)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_of(*parts: Any) -> str:
    """A stable SHA-256, in hex, of JSON-like values: the key of a cache entry."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")).hexdigest()


def hash_of_each(items: Iterable[object]) -> str:
    """A SHA-256, in hex, of frozen dataclasses, texts and numbers, by their repr: many times quicker than `hash_of`."""
    return hashlib.sha256("\n".join(map(repr, items)).encode("utf-8")).hexdigest()
