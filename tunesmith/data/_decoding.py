"""From bytes to text: UTF-8 without NUL bytes, or one line that names line and byte."""

from tunesmith.core.errors import DataError

__all__ = ["BOM", "decode", "is_other_kind"]

BOM = b"\xef\xbb\xbf"
"""UTF-8's byte order mark: at the beginning of a file it is no part of the text."""

_WIDE = {b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_KINDS = {
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"PK\x03\x04": "a zip archive or an office document",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "packed with gzip",
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    b"PAR1": "a parquet file",
    b"ARROW1": "an Arrow file",
    b"SQLite format 3": "a SQLite database",
    b"\x7fELF": "a program",
}
_FEWEST_BYTES = 8


def is_other_kind(begin: bytes) -> str:
    """What a file is that begins so, where that is no UTF-8 text: UTF-16, a picture, ...; empty where nothing tells."""
    for mark, kind in (_WIDE | _KINDS).items():
        if begin.startswith(mark):
            return kind
    if len(begin) >= _FEWEST_BYTES and begin.count(b"\0") * 3 > len(begin):  # every other byte of Latin letters
        return "UTF-16"
    return ""


def decode(content: bytes, name: str, line: int | None = None, before_bytes: int = 0) -> str:
    """`content` as UTF-8 text.

    Args:
        line, before_bytes: where `content` begins in the file; line None: it is the whole file, and its lines are counted.
    Raises: DataError, naming line and byte, where it is not UTF-8, or holds a NUL byte.
    """
    at = content.find(b"\0")
    if at < 0:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            at = error.start
    if line in (None, 1):
        _refuse_other_kind(content, name)
    line = line if line is not None else content.count(b"\n", 0, at) + 1
    byte, place = content[at], f"at offset {before_bytes + at}"
    if byte == 0:
        raise DataError(
            f"{name}:{line}: a NUL byte (0x00) {place}, which no text holds. Remove it, for example: tr -d '\\000' < {name} > new.csv"
        )
    raise DataError(
        f"{name}:{line}: not UTF-8: byte 0x{byte:02x} {place}. Convert it, for example: iconv -f LATIN1 -t UTF-8 {name} > new.csv"
    )


def _refuse_other_kind(begin: bytes, name: str) -> None:
    kind = is_other_kind(begin[:4096])
    if kind.startswith("UTF"):
        raise DataError(f"{name}: is {kind}, not UTF-8. Convert it, for example: iconv -f {kind} -t UTF-8 {name} > new.csv")
    if kind:
        raise DataError(f"{name}: is not a text file, whatever its name says, but {kind}. Name one of csv, tsv, json, jsonl, parquet, txt.")
