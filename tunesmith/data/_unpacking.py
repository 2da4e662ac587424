"""The bytes of a file, packed or plain: gz, bz2, xz, zst, and zip archives of one file, unpacked while they are read and never onto the disk."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tunesmith.core.errors import DataError

__all__ = ["LONGEST_LINE", "PACKED", "Bytes", "inner_name", "opened", "refuse_too_much", "unpacking_fails"]

LONGEST_LINE = 32 * 2**20
"""Bytes. A longer line is no row of a table."""
_FREE_BYTES = 16 * 2**20
_MOST_TIMES = 300
"""Above `_FREE_BYTES`, a file that unpacks to so many times its size is made to fill a memory or a disk. Texts shrink to a third to a tenth."""
_SUSPICIOUS_TIMES = 100
_MOST_TRIED_BYTES = 400 * 2**20
_CHUNK = 2**20
"""Also about as many packed bytes as an unpacker takes at a time, before any of them comes out."""


def _zst(file: IO[bytes]) -> IO[bytes]:
    import pyarrow as pa

    return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd"))


PACKED: dict[str, Callable[[IO[bytes]], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _zst}
"""End of a file's name -> what unpacks it; zip beside."""


def inner_name(path: Path, name: str) -> str:
    """What a file is called once it is unpacked; its own name where it is not packed. Of a zip archive, its one file's.

    Args:
        name: what messages call the file.
    Raises: DataError, for an archive that is broken, or holds more than one file, or none.
    """
    suffix = path.suffix.lower()
    if suffix == ".zip":
        with unpacking_fails(name), path.open("rb") as file, _archive(file, name) as archive:
            return _only(archive, name).filename
    return path.stem if suffix in PACKED else path.name


class Bytes:
    """What can be read of an open file, while it is `opened`: lines, or chunks of a megabyte, never more than it may hold."""

    def __init__(self, file: IO[bytes], name: str, num_packed: Callable[[], int] | None) -> None:
        """`num_packed` tells how many packed bytes were read so far; None: the file is not packed."""
        self._file, self._name, self._num_packed, self._total, self._ask_at = file, name, num_packed, 0, 0

    def lines(self) -> Iterator[bytes]:
        """Raises: DataError, for a line that is too long, or a file that unpacks to too much; an unpacker's own errors, for one that is broken."""
        number = 0
        while True:
            number += 1
            line = self._file.readline(LONGEST_LINE + 1)
            if not line:
                return
            if len(line) > LONGEST_LINE:
                raise DataError(
                    f"{self._name}:{number}: a line of more than {LONGEST_LINE // 2**20} MB. Each row of a file is a line of its own."
                )
            yield self._counted(line)

    def chunks(self) -> Iterator[bytes]:
        """Raises: DataError, as `lines`."""
        while chunk := self._file.read(_CHUNK):
            yield self._counted(chunk)

    def _counted(self, chunk: bytes) -> bytes:
        self._total += len(chunk)
        if self._num_packed is not None and self._total >= self._ask_at:
            refuse_too_much(self._total, self._num_packed(), self._name)
            self._ask_at = self._total + _CHUNK
        return chunk

    def try_out(self) -> None:
        """Read the beginning, for as long as it unpacks suspiciously well. Raises: DataError, where it unpacks to too much."""
        for _ in self.chunks():
            is_suspicious = self._num_packed is not None and self._total > _SUSPICIOUS_TIMES * (self._num_packed() - _CHUNK)
            if self._total > (_MOST_TRIED_BYTES if is_suspicious else _FREE_BYTES // 2):
                return


@contextmanager
def opened(path: Path, name: str) -> Iterator[Bytes]:
    """A file's bytes, unpacked. Raises: DataError, where it is not what its name says, also for what an unpacker says while it is read.

    Of a packed file the beginning is unpacked twice: what is made to do harm is told before any of it is kept.
    """
    if path.suffix.lower() in (".zip", *PACKED):
        with _open(path, name) as file:
            file.try_out()
    with _open(path, name) as file:
        yield file


@contextmanager
def _open(path: Path, name: str) -> Iterator[Bytes]:
    suffix = path.suffix.lower()
    with ExitStack() as stack:
        stack.enter_context(unpacking_fails(name))
        packed: IO[bytes] = stack.enter_context(path.open("rb"))
        file = packed
        if suffix == ".zip":
            archive = stack.enter_context(_archive(packed, name))
            file = stack.enter_context(_member(archive, name))
        elif suffix in PACKED:
            file = stack.enter_context(PACKED[suffix](packed))
        yield Bytes(file, name, packed.tell if file is not packed else None)


def refuse_too_much(num_bytes: int, num_packed: int, name: str) -> None:
    """Raise DataError where so many packed bytes gave more than honest ones do."""
    if num_bytes > max(_FREE_BYTES, _MOST_TIMES * num_packed):
        raise DataError(
            f"{name}: unpacks to more than {_MOST_TIMES} times its size, as files do that are made to do harm. Unpack it yourself if you trust it."
        )


def _archive(file: IO[bytes], name: str) -> zipfile.ZipFile:
    """Raises: DataError, for whatever else than BadZipFile the module lets through of a broken directory."""
    try:
        return zipfile.ZipFile(file)
    except (ValueError, OverflowError, struct.error) as error:
        raise DataError(f"{name}: cannot be unpacked ({error}). It is cut off, or not what its name says.") from None


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """The archive's one file, opened. Raises: DataError."""
    try:
        return archive.open(_only(archive, name))
    except (ValueError, OverflowError, struct.error) as error:
        raise DataError(f"{name}: cannot be unpacked ({error}). It is cut off, or not what its name says.") from None


def most_bytes(num_packed: int) -> int:
    """How many bytes so many packed ones may unpack to."""
    return max(_FREE_BYTES, _MOST_TIMES * num_packed)


def _only(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The archive's one file; what macOS adds, and folders, do not count."""
    files = [info for info in archive.infolist() if not info.is_dir() and "__MACOSX" not in PurePosixPath(info.filename).parts]
    if len(files) != 1:
        named = ", ".join(info.filename for info in files[:5])
        raise DataError(
            f"{name}: the archive holds {len(files)} files{f' ({named})' if named else ''}, expected one. Unpack it, and name a file."
        )
    if files[0].flag_bits & 1:
        raise DataError(f"{name}: the archive has a password. Unpack it, and name the file.")
    if stat.S_ISLNK(files[0].external_attr >> 16):
        raise DataError(f"{name}: the archive holds a link ({files[0].filename}), expected a file. Unpack it, and name the file.")
    # nothing is written to where a name leads, but an honest archive has none that leads out of it
    parts = files[0].filename.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        raise DataError(
            f"{name}: the archive's file is called {files[0].filename}, a name that leads out of it. Pack it anew if you trust it."
        )
    return files[0]


@contextmanager
def unpacking_fails(name: str) -> Iterator[None]:
    """Whatever an unpacker says of a broken file, or the system of one that cannot be read, as one error."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile, NotImplementedError) as error:
        raise DataError(
            f"{name}: cannot be unpacked ({str(error) or type(error).__name__}). It is cut off, or not what its name says."
        ) from None
    except OSError as error:
        if error.errno is not None:
            raise DataError(f"{name}: cannot be read ({error.strerror}).") from None
        raise DataError(f"{name}: cannot be unpacked ({error}). It is cut off, or not what its name says.") from None
