"""Every way to be broken that is held to be refused in one line, each beside a sound twin that is read. One table."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.data.broken import files as f
from tests.data.broken.files import Build, chat, file, jsonl, parquet
from tunesmith import recipe
from tunesmith.core.errors import DataError, RecipeError, TunesmithError
from tunesmith.data import read
from tunesmith.data.wording import fill

__all__ = ["CASES", "Case"]


def _read(path: Path) -> Any:
    return read(path)


def _load(path: Path) -> Any:
    return recipe.load(path)


def _fill(path: Path) -> Any:
    return fill(path.read_text(encoding="utf-8"), text="x" * 1000, labels="good, bad")


@dataclass(frozen=True)
class Case:
    """`broken` is refused with a message that `said` is found in; `sound` is taken."""

    broken: Build
    said: str
    sound: Build
    act: Callable[[Path], Any] = _read
    error: type[TunesmithError] = DataError
    is_heavy: bool = False
    """Measured in a process of its own."""


ROW = {"text": "a fine film", "label": "good"}
LINE = json.dumps(ROW)
CSV = "text,label\na fine film,good\na dull film,bad\n"
GOOD = jsonl(ROW)
GOOD_CSV = file("a.csv", CSV)
USER, ASSISTANT = {"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}
CHAT = chat([USER, ASSISTANT])
DEEP = "[" * 100_000
SMALL = "model: minilm-l6\ndata: movie-reviews\n"

JSON_LINES = {
    "a line cut off": Case(jsonl(ROW, LINE[:20]), r"a\.jsonl:2: broken JSON", jsonl(ROW, LINE)),
    "a line that is a list": Case(jsonl(ROW, "[1]"), r"a\.jsonl:2: found list, expected a JSON object", GOOD),
    "a line that is a number": Case(jsonl(ROW, "7"), r"a\.jsonl:2: found int, expected a JSON object", GOOD),
    "a line that is null": Case(jsonl(ROW, "null"), r"a\.jsonl:2: found NoneType", jsonl({**ROW, "more": None})),
    "Python's quotes": Case(jsonl("{'text': 'x'}"), r"a\.jsonl:1: broken JSON: .* column 2", GOOD),
    "a comma too many": Case(jsonl('{"text": "x",}'), r"a\.jsonl:1: broken JSON", GOOD),
    "two objects on a line": Case(jsonl(LINE + LINE), r"a\.jsonl:1: broken JSON: Extra data", jsonl(LINE, LINE)),
    "a key that stands twice": Case(jsonl(ROW, '{"text": "x", "text": "y"}'), r'a\.jsonl:2: an object has the key "text" twice', GOOD),
    "a number of 5,000 digits": Case(jsonl(ROW, '{"text": "x", "id": ' + "1" * 5000 + "}"), r"a\.jsonl:2: a number of too many digits", jsonl({**ROW, "id": int("1" * 400)})),
    "100,000 brackets": Case(jsonl(ROW, '{"text": ' + DEEP), r"a\.jsonl:2: JSON nested too deeply", jsonl({**ROW, "more": [[[[[1]]]]]})),
    "an array spread over lines": Case(file("a.jsonl", json.dumps([ROW], indent=1)), r"a\.jsonl:1: broken JSON: .*Each line must be one JSON object", file("a.json", json.dumps([ROW], indent=1))),
    "objects without a key": Case(jsonl({}, {}), r"cannot tell what the columns nothing mean", GOOD),
    "nothing but blank lines": Case(file("a.jsonl", " \n\n  \n"), r"the file holds no rows", file("a.jsonl", f"\n\n{LINE}\n\n")),
    "a NUL byte in a line": Case(file("a.jsonl", f'{LINE}\n{{"text": "x\0y"}}\n'), r"a\.jsonl:2: a NUL byte \(0x00\) at offset 52", jsonl({**ROW, "text": "a NUL, spelled: \u0000"})),
    "half of a character in a text": Case(jsonl({**ROW, "text": "x\ud800"}), r'a\.jsonl:1: the column "text" holds \\ud800, half of a character', jsonl({**ROW, "text": "\U0001f600"})),
    "half of a character in a label": Case(jsonl({**ROW, "label": "\udc00"}), r'a\.jsonl:1: the column "label" holds \\udc00', jsonl({**ROW, "label": "\U0001f600"})),
    "a label that is NaN": Case(jsonl(ROW, '{"text": "x", "label": NaN}'), r'a\.jsonl:2: the column "label" is empty', jsonl({**ROW, "label": 1})),
    "a label without end": Case(jsonl('{"text": "x", "label": Infinity}'), r'a\.jsonl:1: the column "label" holds inf, which is no class', jsonl({**ROW, "label": 1e3})),
    "a label that is a list": Case(jsonl(ROW, {**ROW, "label": ["a", "b"]}), r"a\.jsonl:2: .*expected the name or number of a class", GOOD),
    "a label that is an object": Case(jsonl({**ROW, "label": {"a": 1}}), r"a\.jsonl:1: .*expected the name or number of a class", jsonl({**ROW, "label": True})),
    "a text that is a number": Case(jsonl(ROW, {**ROW, "text": 7}), r'a\.jsonl:2: the column "text" holds 7 \(int\), expected text', jsonl({**ROW, "text": "7"})),
    "a row without its text": Case(jsonl(ROW, {"label": "good"}), r'a\.jsonl:2: no column "text"', GOOD),
    "a text of white space": Case(jsonl(ROW, {**ROW, "text": " \n"}), r'a\.jsonl:2: the column "text" is empty', jsonl({**ROW, "text": " x\n"})),
    "a line of 100 MB": Case(f.repeated("a.jsonl", b'{"text": "', b"x", 100 * 2**20, b'"}\n'), r"a\.jsonl:1: a line of more than 32 MB", f.repeated("a.jsonl", b'{"text": "', b"x", 2**20, b'"}\n'), is_heavy=True),
    "a line of millions of lists": Case(f.repeated("a.jsonl", b'{"text": [', b"[],", 8_000_000, b"1]}\n"), r"a\.jsonl:1: more than 2,000,000 values in one row", f.repeated("a.jsonl", b'{"text": "x", "more": [', b"[],", 100_000, b"1]}\n"), is_heavy=True),
    "a million columns": Case(jsonl({f"column {n}": n for n in range(300_000)}), r"cannot tell what the columns column 0, .*, and 299,970 more mean", jsonl({**ROW, **{f"column {n}": n for n in range(1000)}}), is_heavy=True),
}  # fmt: skip

ENCODINGS = {
    "UTF-16 with its mark": Case(file("a.csv", CSV.encode("utf-16")), r"a\.csv: is UTF-16, not UTF-8\. .*iconv -f UTF-16", file("a.csv", b"\xef\xbb\xbf" + CSV.encode())),
    "UTF-16 without a mark": Case(file("a.csv", CSV.encode("utf-16-le")), r"a\.csv: is UTF-16, not UTF-8", GOOD_CSV),
    "UTF-16 lines of JSON": Case(file("a.jsonl", LINE.encode("utf-16")), r"a\.jsonl: is UTF-16, not UTF-8", file("a.jsonl", b"\xef\xbb\xbf" + LINE.encode())),
    "UTF-16 JSON": Case(file("a.json", f"[{LINE}]".encode("utf-16")), r"a\.json: is UTF-16, not UTF-8", file("a.json", b"\xef\xbb\xbf" + f"[{LINE}]".encode())),
    "UTF-16 text": Case(file("a.txt", "one\ntwo\n".encode("utf-16")), r"a\.txt: is UTF-16, not UTF-8", file("a.txt", b"\xef\xbb\xbfone\ntwo\n")),
    "UTF-32": Case(file("a.csv", CSV.encode("utf-32")), r"a\.csv: is UTF-32, not UTF-8", GOOD_CSV),
    "Latin-1 in a csv": Case(file("a.csv", "text,label\nfine,a\ncaf\xe9,b\n".encode("latin-1")), r"a\.csv:3: not UTF-8: byte 0xe9 at offset 21\. .*iconv -f LATIN1", file("a.csv", "text,label\nfine,a\ncaf\xe9,b\n")),
    "Latin-1 in a line of JSON": Case(file("a.jsonl", b'{"text": "fine"}\n{"text": "caf\xe9"}\n'), r"a\.jsonl:2: not UTF-8: byte 0xe9", jsonl({"text": "caf\xe9"})),
    "Latin-1 in JSON": Case(file("a.json", b'[{"text": "fine"},\n {"text": "caf\xe9"}]\n'), r"a\.json:2: not UTF-8: byte 0xe9 at offset 33", file("a.json", '[{"text": "caf\xe9"}]')),
    "Latin-1 in a text": Case(file("a.txt", b"fine\ncaf\xe9\n"), r"a\.txt:2: not UTF-8: byte 0xe9 at offset 8", file("a.txt", "fine\ncaf\xe9\n")),
    "Shift-JIS": Case(file("a.csv", "text,label\n\u6620\u753b,a\n".encode("shift-jis")), r"a\.csv:2: not UTF-8", file("a.csv", "text,label\n\u6620\u753b,a\n\u672c,b\n")),
    "a character cut in two": Case(file("a.jsonl", LINE.encode() + b'\n{"text": "\xe2\x82'), r"a\.jsonl:2: not UTF-8: byte 0xe2", jsonl({**ROW, "text": "\u20ac"})),
    "a surrogate in UTF-8": Case(file("a.jsonl", b'{"text": "\xed\xa0\x80"}\n'), r"a\.jsonl:1: not UTF-8: byte 0xed", GOOD),
    "a NUL byte in a csv": Case(file("a.csv", CSV + "x\0y,good\n"), r"a\.csv:4: a NUL byte \(0x00\) at offset 45", GOOD_CSV),
    "a NUL byte in a text": Case(file("a.txt", "one\nt\0wo\n"), r"a\.txt:2: a NUL byte", file("a.txt", "one\ntwo\n")),
    "a NUL byte in JSON": Case(file("a.json", '[\n{"text": "x"},\n{"text": "\0"}]'), r"a\.json:3: a NUL byte", file("a.json", '[{"text": "x"}]')),
    "a mark in the middle": Case(file("a.csv", b"text,label\nfine,a\n\xef\xbb\xbftext,label,more\nx,b,c\n"), r"a\.csv:3: 3 fields where the header has 2", file("a.jsonl", b"\xef\xbb\xbf" + LINE.encode() + b"\n\xef\xbb\xbf" + LINE.encode() + b"\n")),
    "a picture": Case(file("a.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xfe"), r"a\.csv: is not a text file, .* a picture", GOOD_CSV),
    "a spreadsheet called csv": Case(file("a.csv", f.zipped(("xl/workbook.xml", b"<x/>"))), r"a\.csv: is not a text file, .* office document", GOOD_CSV),
    "a packed file called jsonl": Case(file("a.jsonl", gzip.compress(LINE.encode())), r"a\.jsonl: is not a text file, .* packed with gzip", file("a.jsonl.gz", gzip.compress(LINE.encode()))),
}  # fmt: skip

JSON = {
    "an array cut off": Case(file("a.json", f"[\n{LINE},\n{LINE[:20]}"), r"a\.json:3: broken JSON", file("a.json", f"[\n{LINE},\n{LINE}\n]")),
    "an array without its end": Case(file("a.json", f"[{LINE}"), r"a\.json:1: broken JSON: Expecting ','", file("a.json", f"[{LINE}]")),
    "an array with a comma too many": Case(file("a.json", f"[{LINE},]"), r"a\.json:1: broken JSON", file("a.json", f"[{LINE}]  \n")),
    "an object without data": Case(file("a.json", '{"rows": [1, 2]}'), r'a\.json: expected an array of objects, or \{"data"', file("a.json", f'{{"version": 1, "data": [{LINE}], "more": {{}}}}')),
    "data that is no array": Case(file("a.json", '{"data": {"text": "x"}}'), r"a\.json: expected an array of objects", file("a.json", f'{{"data": [{LINE}]}}')),
    "lines called json": Case(file("a.json", f"{LINE}\n{LINE}\n"), r"a\.json:2: more than one JSON document\. .*name the file \.jsonl", jsonl(ROW, ROW)),
    "words behind the array": Case(file("a.json", f"[{LINE}] and more"), r"a\.json:1: more than one JSON document", file("a.json", f"\n[{LINE}]\n")),
    "items that are no objects": Case(file("a.json", f'[{LINE}, "text"]'), r"a\.json:2: found str, expected a JSON object", file("a.json", f"[{LINE}]")),
    "JSON of 100,000 brackets": Case(file("a.json", DEEP), r"a\.json:1: JSON nested too deeply", file("a.json", f"[{json.dumps({**ROW, 'more': [[[[1]]]]})}]")),
    "an empty array": Case(file("a.json", "[]"), r"the file holds no rows", file("a.json", f"[{LINE}]")),
    "a number alone": Case(file("a.json", "7"), r"a\.json: expected an array of objects", file("a.json", f"[{LINE}]")),
    "an item with a key twice": Case(file("a.json", f'[{LINE},\n{{"text": 1, "text": 2}}]'), r'a\.json:2: an object has the key "text" twice', file("a.json", f"[{LINE}]")),
    "an item of millions of objects": Case(f.repeated("a.json", b'[{"text": [', b"{},", 8_000_000, b"1]}]"), r"a\.json:1: more than 2,000,000 values", f.repeated("a.json", b'[{"text": "x", "more": [', b"{},", 100_000, b"1]}]"), is_heavy=True),
    "an item of 40 MB": Case(f.repeated("a.json", b'[{"text": "', b"x", 40 * 2**20, b'"}]'), r"a\.json:1: an item of more than 16,777,216 characters", f.repeated("a.json", b'[{"text": "', b"x", 5 * 2**20, b'"}]'), is_heavy=True),
}  # fmt: skip

TABLES = {
    "an empty file": Case(file("a.csv", ""), r"a\.csv: the file is empty \(0 bytes\)", GOOD_CSV),
    "a mark and nothing else": Case(file("a.csv", b"\xef\xbb\xbf"), r"a\.csv: the file holds no rows", GOOD_CSV),
    "a header alone": Case(file("a.csv", "text,label\n"), r"a\.csv: the file holds no rows below its header", GOOD_CSV),
    "a quote that is not closed": Case(file("a.csv", CSV + '"open,good\nx,bad\n'), r"a\.csv:4: broken csv .*Look for a quote", file("a.csv", CSV + '"not\nopen",good\n')),
    "a quote that is not doubled": Case(file("a.csv", CSV + '"a "fine" film",good\n'), r"a\.csv:4: broken csv", file("a.csv", CSV + '"a ""fine"" film",good\n')),
    "a quote that swallows the file": Case(f.repeated("a.csv", b'text,label\n"open,good\n', b"a dull film,bad\n", 4_000_000), r"a\.csv:2: broken csv", f.repeated("a.csv", b'text,label\n"closed",good\n', b"a dull film,bad\n", 1000), is_heavy=True),
    "a row with too many fields": Case(file("a.csv", CSV + "a, b,good\n"), r"a\.csv:4: 3 fields where the header has 2", file("a.csv", CSV + '"a, b",good\n')),
    "a row with too few fields": Case(file("a.csv", CSV + "alone\n"), r"a\.csv:4: 1 fields where the header has 2", file("a.csv", CSV + "\n\n")),
    "a column that stands twice": Case(file("a.csv", "text,label,text\na,b,c\n"), r'a\.csv:1: the header names the column "text" twice', file("a.csv", "text,label,Text\na,b,c\n")),
    "columns without names": Case(file("a.csv", "text,label,,\na,b,,\n"), r"a\.csv:1: the header has 2 columns without a name", file("a.csv", ",text,label\n0,a,b\n")),
    "carriage returns alone": Case(file("a.csv", CSV.replace("\n", "\r")), r"a\.csv:1: broken csv .*carriage returns", file("a.csv", CSV.replace("\n", "\r\n"))),
    "a csv line of 100 MB": Case(f.repeated("a.csv", b"text,label\n", b"x", 100 * 2**20, b",good\n"), r"a\.csv:2: a line of more than 32 MB", f.repeated("a.csv", b"text,label\n", b"x", 2**20, b",good\n"), is_heavy=True),
    "a field of 20 MB": Case(f.repeated("a.csv", b"text,label\n", b"x", 20 * 2**20, b",good\n"), r"a\.csv:2: broken csv \(field larger", f.repeated("a.csv", b"text,label\n", b"x", 10 * 2**20, b",good\n"), is_heavy=True),
    "a row of millions of fields": Case(f.repeated("a.csv", b"text,label\n", b"ab,", 8_000_000), r"a\.csv:2: more than 100,000 fields in one row", GOOD_CSV, is_heavy=True),
    "a header of 100,000 columns": Case(file("a.csv", ",".join(f"c{n}" for n in range(100_000)) + "\n" + ",".join("1" * 100_000)), r"cannot tell what the columns c0, .*, and 99,970 more mean", GOOD_CSV, is_heavy=True),
    "tabs too many": Case(file("a.tsv", "text\tlabel\nfine\tgood\na\tb\tc\n"), r"a\.tsv:3: 3 fields where the header has 2", file("a.tsv", 'text\tlabel\n"well said\tgood\n')),
    "a label nan among numbers": Case(file("a.csv", "text,label\na,0\nb,1\nc,nan\n"), r'a\.csv:4: the column "label" holds "nan", no number', file("a.csv", "text,label\na,no\nb,yes\nc,nan\n")),
    "labels that are texts": Case(file("a.csv", "text,label\n" + "".join(f"t{n},class {n}\n" for n in range(60))), r"60 different values in 60 rows: text, not classes", file("a.csv", "text,label\n" + "".join(f"t{n},class {n % 6}\n" for n in range(60)))),
    "a label that is empty": Case(file("a.csv", CSV + "x,\n"), r'a\.csv:4: the column "label" is empty', GOOD_CSV),
    "a paragraph of 40 MB": Case(f.repeated("a.txt", b"one\n\n", b"some words\n", 4_000_000), r"a\.txt:3: a text of more than 16,777,216 characters", f.repeated("a.txt", b"one\n\n", b"some words\n", 4_000), is_heavy=True),
}  # fmt: skip

_INNER = CSV.encode() * 50
PACKED = {
    "a gz cut off": Case(file("a.csv.gz", gzip.compress(_INNER)[:60]), r"a\.csv\.gz: cannot be unpacked", file("a.csv.gz", gzip.compress(CSV.encode()))),
    "a gz with a wrong checksum": Case(file("a.csv.gz", f.gzip_with_a_wrong_checksum(CSV.encode())), r"a\.csv\.gz: cannot be unpacked \(CRC", file("a.csv.gz", gzip.compress(CSV.encode()))),
    "a gz that is none": Case(file("a.csv.gz", CSV), r"a\.csv\.gz: cannot be unpacked", GOOD_CSV),
    "a bz2 cut off": Case(file("a.csv.bz2", bz2.compress(_INNER)[:60]), r"a\.csv\.bz2: cannot be unpacked", file("a.csv.bz2", bz2.compress(CSV.encode()))),
    "an xz cut off": Case(file("a.csv.xz", lzma.compress(_INNER)[:60]), r"a\.csv\.xz: cannot be unpacked", file("a.csv.xz", lzma.compress(CSV.encode()))),
    "a zst cut off": Case(file("a.csv.zst", f.zst(_INNER)[:40]), r"a\.csv\.zst: cannot be unpacked", file("a.csv.zst", f.zst(CSV.encode()))),
    "a zip cut off": Case(file("a.zip", f.zipped(("a.csv", _INNER))[:80]), r"a\.zip: cannot be unpacked", file("a.zip", f.zipped(("a.csv", CSV.encode())))),
    "a zip with a wrong directory": Case(file("a.zip", f.zip_with_a_wrong_directory(CSV.encode())), r"a\.zip: cannot be unpacked", file("a.zip", f.zipped(("a.csv", CSV.encode())))),
    "a zip of two files": Case(file("a.zip", f.zipped(("a.csv", b"x"), ("b.csv", b"y"))), r"a\.zip: the archive holds 2 files \(a\.csv, b\.csv\)", file("a.zip", f.zipped(("a.csv", CSV.encode()), ("__MACOSX/._a.csv", b"x")))),
    "a zip of nothing": Case(file("a.zip", f.zipped()), r"a\.zip: the archive holds 0 files", file("a.zip", f.zipped(("folder/a.csv", CSV.encode())))),
    "a zip with a password": Case(file("a.zip", f.zipped(("a.csv", CSV.encode()), password=True)), r"a\.zip: the archive has a password", file("a.zip", f.zipped(("a.csv", CSV.encode())))),
    "a zip that leads out of itself": Case(file("a.zip", f.zipped(("../../escaped.csv", CSV.encode()))), r"a\.zip: .*\.\./\.\./escaped\.csv, a name that leads out of it", file("a.zip", f.zipped(("a..b/..c.csv", CSV.encode())))),
    "a zip that leads to the root": Case(file("a.zip", f.zipped(("/etc/rows.csv", CSV.encode()))), r"a\.zip: .*a name that leads out of it", file("a.zip", f.zipped(("etc/rows.csv", CSV.encode())))),
    "a zip that leads to a drive": Case(file("a.zip", f.zipped(("C:\\rows.csv", CSV.encode()))), r"a\.zip: .*a name that leads out of it", file("a.zip", f.zipped(("C/rows.csv", CSV.encode())))),
    "a zip of a link": Case(file("a.zip", f.zipped(("rows.csv", b"/etc/passwd"), mode=0o120777)), r"a\.zip: the archive holds a link \(rows\.csv\)", file("a.zip", f.zipped(("rows.csv", CSV.encode()), mode=0o100644))),
    "a zip in a zip": Case(file("a.zip", f.zipped(("b.zip", f.zipped(("a.csv", CSV.encode()))))), r"a\.zip: a file of an unknown kind", file("a.zip", f.zipped(("a.csv", CSV.encode())))),
    "a gz bomb": Case(f.bomb("a.csv.gz", gzip.compress, b"\0" * 2**20, 300, b"text\n"), r"a\.csv\.gz: unpacks to more than 300 times its size", file("a.csv.gz", gzip.compress(CSV.encode())), is_heavy=True),
    "a gz bomb of lines": Case(f.bomb("a.csv.gz", gzip.compress, b"a\n", 100_000_000, b"text\n"), r"a\.csv\.gz: unpacks to more than 300 times its size", file("a.csv.gz", gzip.compress(b"text\n" + b"the same line\n" * 20_000)), is_heavy=True),
    "an xz bomb": Case(f.bomb("a.jsonl.xz", lambda content: lzma.compress(content, preset=1), b'{"text": "a"}\n', 10_000_000), r"a\.jsonl\.xz: unpacks to more than 300 times its size", file("a.jsonl.xz", lzma.compress(LINE.encode())), is_heavy=True),
    "a zst bomb": Case(f.bomb("a.txt.zst", f.zst, b"word\n", 40_000_000), r"a\.txt\.zst: unpacks to more than 300 times its size", file("a.txt.zst", f.zst(b"one\ntwo\n")), is_heavy=True),
    "a zip bomb": Case(f.bomb("a.zip", lambda content: f.zipped(("a.csv", content)), b"a\n", 100_000_000, b"text\n"), r"a\.zip: unpacks to more than 300 times its size", file("a.zip", f.zipped(("a.csv", CSV.encode()))), is_heavy=True),
    "a JSON bomb": Case(f.bomb("a.json.gz", gzip.compress, b'{"text":"a"},', 15_000_000, b"["), r"a\.json\.gz: unpacks to more than 300 times its size", file("a.json.gz", gzip.compress(f"[{LINE}]".encode())), is_heavy=True),
}  # fmt: skip

COLUMNAR = {
    "a parquet cut off": Case(parquet({"text": ["a", "b"]}, cut=100), r"a\.parquet: not a whole parquet file", parquet({"text": ["a", "b"]})),
    "a parquet that is none": Case(file("a.parquet", b"PAR1 broken PAR1"), r"a\.parquet: not a whole parquet file", parquet({"text": ["a"], "label": [1]})),
    "a parquet with two columns of a name": Case(f.parquet_of(f.two_columns_of_a_name), r'a\.parquet: two of its columns are called "text"', parquet({"text": ["a"], "Text": ["b"]})),
    "a parquet of numbers": Case(parquet({"text": [1, 2], "label": [0, 1]}), r'a\.parquet:1: the column "text" holds 1 \(int\), expected text', parquet({"text": ["1", "2"], "label": [0, 1]})),
    "a parquet with a missing text": Case(parquet({"text": ["a", None]}), r'a\.parquet:2: the column "text" is empty', parquet({"text": ["a", "b"], "more": [None, 1]})),
    "a parquet of other bytes": Case(f.parquet_of(f.texts_that_are_not_utf8), r"a\.parquet: not a whole parquet file \(.*utf-8", parquet({"text": ["caf\xe9"]})),
    "a parquet without rows": Case(parquet({"text": []}), r"a\.parquet: the file holds no rows", parquet({"text": ["a"]})),
    "a packed parquet": Case(file("a.parquet.gz", gzip.compress(b"PAR1")), r"a packed parquet file", parquet({"text": ["a"]})),
    "a parquet bomb": Case(f.parquet_of_one_value(2**20, 2000), r"a\.parquet: unpacks to more than 300 times its size", f.parquet_of_one_value(20, 2000), is_heavy=True),
    "an arrow file": Case(f.arrow(), r"a\.arrow: a file of an unknown kind", parquet({"text": ["a"]})),
    "an arrow file called parquet": Case(f.arrow("a.parquet"), r"a\.parquet: not a whole parquet file", parquet({"text": ["a"]})),
}  # fmt: skip

PLACES = {
    "a file that is not there": Case(f.named("nowhere.csv"), r"nowhere\.csv: no such file", GOOD_CSV),
    "a link to itself": Case(f.link("a.csv", "a.csv"), r"a\.csv: cannot be read \(.*links", GOOD_CSV),
    "a link to nothing": Case(f.link("a.csv", "gone.csv"), r'a\.csv: a link to "gone\.csv", which is not there', GOOD_CSV),
    "a pipe": Case(f.fifo("a.csv"), r"a\.csv: is a pipe or a device, not a file", GOOD_CSV),
    "a device": Case(f.link("a.csv", "/dev/zero"), r"a\.csv: is a pipe or a device", GOOD_CSV),
    "a name of 5,000 letters": Case(f.named("x" * 5000 + ".csv"), r"cannot be read \(File name too long\)", GOOD_CSV),
    "a file that may not be read": Case(f.unreadable("a.csv", CSV), r"a\.csv: cannot be read \(Permission denied\)", GOOD_CSV),
    "a kind that is not known": Case(file("a.docx", CSV), r"a\.docx: a file of an unknown kind", GOOD_CSV),
    "a folder without texts": Case(f.folder(), r"texts: no text files", f.folder(neg__1=b"bad", pos__1=b"good")),
    "a folder with an empty text": Case(f.folder(neg__1=b"bad", pos__1=b" \n"), r"pos/1\.txt: the file is empty", f.folder(neg__1=b"bad", pos__1=b"\xef\xbb\xbfgood")),
    "a folder with a picture": Case(f.folder(neg__1=b"bad", pos__1=b"\xff\xd8\xff\xe0\0"), r"pos/1\.txt: is not a text file", f.folder(neg__1=b"bad", pos__1=b"good")),
    "a folder with another encoding": Case(f.folder(neg__1=b"bad\ncaf\xe9"), r"neg/1\.txt:2: not UTF-8", f.folder(one=b"some words")),
}  # fmt: skip

HISTORY = {"instruction": "a", "output": "b"}
CONVERSATIONS = {
    "a role that is not known": Case(chat([{"role": "bard", "content": "x"}, ASSISTANT]), r'a\.jsonl:1: message 1 has the role "bard"\. Known: system', chat([{"role": "human", "content": "x"}, ASSISTANT])),
    "a role that is no word": Case(chat([{"role": ["user"], "content": "x"}, ASSISTANT]), r"a\.jsonl:1: message 1 has the role \['user'\]", CHAT),
    "a call of no tool": Case(chat([USER, {"role": "assistant", "tool_calls": [{"function": {}}]}]), r"a\.jsonl:1: message 2 calls .*, expected a tool", chat([USER, {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}, {"role": "tool", "content": "x"}, ASSISTANT])),
    "a call with broken arguments": Case(chat([USER, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]), r"a\.jsonl:1: message 2 calls f with .*expected the arguments as a JSON object", chat([USER, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}])),
    "no messages": Case(chat([]), r'a\.jsonl:1: the column "messages" holds \[\], expected a list', CHAT),
    "messages that are an object": Case(chat(USER), r'a\.jsonl:1: the column "messages" holds .*, expected a list', CHAT),
    "messages that are words": Case(chat("hello"), r'a\.jsonl:1: the column "messages" is no JSON', chat(json.dumps([USER, ASSISTANT]))),
    "messages of 100,000 brackets": Case(chat(DEEP), r'a\.jsonl:1: the column "messages" is no JSON', CHAT),
    "a message without content": Case(chat([USER, {"role": "assistant", "content": None}]), r"a\.jsonl:1: message 2 holds None", CHAT),
    "a message without a role": Case(chat([{"content": "x"}, ASSISTANT]), r"a\.jsonl:1: message 1 is .*, expected", CHAT),
    "a message that is text": Case(chat(["hello", "hi"]), r'a\.jsonl:1: message 1 is "hello", expected', CHAT),
    "nobody answers": Case(chat([USER]), r"a\.jsonl:1: no message of the assistant", CHAT),
    "an empty answer": Case(chat([USER, {"role": "assistant", "content": " "}]), r"a\.jsonl:1: message 2 of the assistant is empty", CHAT),
    "a weight of two": Case(chat([USER, {**ASSISTANT, "weight": 2}]), r"a\.jsonl:1: message 2 has the weight 2", chat([USER, {**ASSISTANT, "weight": 1}])),
    "every weight nought": Case(chat([USER, {**ASSISTANT, "weight": 0}]), r"every message of the assistant has the weight 0", chat([USER, {**ASSISTANT, "weight": 0}, USER, ASSISTANT])),
    "a late system message": Case(chat([USER, {"role": "system", "content": "x"}, ASSISTANT]), r"a\.jsonl:1: a system message after the first", chat([{"role": "system", "content": "x"}, USER, ASSISTANT])),
    "half of a character in a message": Case(chat([{**USER, "content": "\ud83d"}, ASSISTANT]), r"a\.jsonl:1: message 1 holds \\ud83d", chat([{**USER, "content": "\U0001f600"}, ASSISTANT])),
    "a speaker that is not known": Case(chat([{"from": "narrator", "value": "x"}], "conversations"), r'a\.jsonl:1: message 1 has the role "narrator"', chat([{"from": "human", "value": "x"}, {"from": "gpt", "value": "y"}], "conversations")),
    "two system messages": Case(chat([{"from": "system", "value": "x"}, {"from": "gpt", "value": "y"}], "conversations", system="z"), r"a\.jsonl:1: a system message in the conversation and one beside it", chat([{"from": "human", "value": "x"}, {"from": "gpt", "value": "y"}], "conversations", system="z")),
    "a history of three": Case(jsonl({**HISTORY, "history": [["a", "b", "c"]]}), r'a\.jsonl:1: the column "history" holds .* at place 1, expected \[question, answer\]', jsonl({**HISTORY, "history": [["a", "b"]]})),
    "an output that is missing": Case(jsonl({"instruction": "a", "input": "b", "output": ""}), r'a\.jsonl:1: the column "output" is empty', jsonl({"instruction": "a", "input": "", "output": "c"})),
    "a target that is empty": Case(jsonl({"prompt": "a", "completion": None}), r'a\.jsonl:1: the column "completion" is empty', jsonl({"prompt": "a", "completion": "b"})),
    "messages before a text": Case(jsonl({"prompt": [USER], "completion": "b"}), r'a\.jsonl:1: the column "prompt" holds .*, expected text', jsonl({"prompt": [USER], "completion": [ASSISTANT]})),
    "a second text that is missing": Case(jsonl({"premise": "a", "hypothesis": "b", "label": 0}, {"premise": "a", "label": 0}), r'a\.jsonl:2: no column "hypothesis"', jsonl({"premise": "a", "hypothesis": "b", "label": 0})),
}  # fmt: skip


def _recipe(broken: str | bytes, said: str, sound: str = SMALL) -> Case:
    return Case(file("a.yaml", broken), said, file("a.yaml", sound), _load, RecipeError)


_LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
RECIPES = {
    "aliases that explode": _recipe(SMALL + _LAUGHS, r"a\.yaml:\d+: not valid YAML: its aliases stand for more than 100,000 values", "model: &m minilm-l6\ndata: movie-reviews\ndescription: *m\n"),
    "aliases that explode in a key that is known": _recipe(_LAUGHS.replace("a9:", "data:") + "model: m\n", r"a\.yaml:\d+: not valid YAML: its aliases"),
    "an alias inside of itself": _recipe(SMALL + "evaluate: &a [*a]\n", r"a\.yaml:3: not valid YAML: an alias stands inside of what it stands for"),
    "an alias of nothing": _recipe("model: *m\n", r"a\.yaml:1: not valid YAML: found undefined alias"),
    "YAML of 100,000 brackets": _recipe(f"model: {DEEP}", r"a\.yaml: not valid YAML: nested too deeply"),
    "a Python object": _recipe("model: !!python/object/apply:os.system [true]\n", r"a\.yaml:1: not valid YAML: could not determine a constructor"),
    "a number of 5,000 digits in YAML": _recipe(SMALL + f"seed: {'1' * 5000}\n", r"a\.yaml: not valid YAML: Exceeds the limit", SMALL + "seed: 7\n"),
    "a tag that the value is not": _recipe(SMALL + "seed: !!int many\n", r"a\.yaml: not valid YAML: invalid literal", SMALL + "seed: !!int 3\n"),
    "a recipe of a megabyte": _recipe(SMALL + "# words\n" * 130_000, r"a\.yaml: more than \d+,000 \w+, expected a recipe", SMALL + "# words\n" * 1000),
    "a recipe with a NUL byte": _recipe("model: m\0\n", r"a\.yaml: not valid YAML"),
    "a recipe in UTF-16": _recipe(SMALL.encode("utf-16"), r"a\.yaml: not UTF-8"),
    "a recipe with a key twice": _recipe(SMALL + "seed: 1\nseed: 2\n", r'a\.yaml:4: not valid YAML: the key "seed" stands here a second time'),
    "a recipe with an open bracket": _recipe("model: [a\ndata: b\n", r"a\.yaml:2: not valid YAML"),
    "a recipe that is a list": _recipe("- model\n", r"a\.yaml: expected a mapping"),
    "a recipe that is a folder": Case(f.folder(), r"texts: cannot be read", file("a.yaml", SMALL), _load, RecipeError),
    "a recipe that is a pipe": Case(f.fifo("a.yaml"), r"a\.yaml: is a pipe or a device", file("a.yaml", SMALL), _load, RecipeError),
    "a recipe that is a link to itself": Case(f.link("a.yaml", "a.yaml"), r"a\.yaml: cannot be read", file("a.yaml", SMALL), _load, RecipeError),
}  # fmt: skip


def _template(broken: str, said: str, sound: str = "Is this good? {text}\nOne of {labels}.") -> Case:
    return Case(file("template.txt", broken), said, file("template.txt", sound), _fill, RecipeError)


TEMPLATES = {
    "a template that reads an attribute": _template("{text.__class__}", r"data\.template: the data has no \{text\.__class__\}"),
    "a template that reaches for the module": _template("{text.__init__.__globals__[os]}", r"data\.template: the data has no"),
    "a template that takes an item": _template("{text[0]}", r"data\.template: the data has no \{text\[0\]\}"),
    "a template that pads to a gigabyte": _template("{text:>1000000000}", r"data\.template: the data has no \{text\}", "{{text:>1000000000}} {text}"),
    "a template with a nested width": _template("{text:{text}}", r"data\.template: the data has no"),
    "a template that asks for repr": _template("{text!r}", r"data\.template: the data has no \{text\}"),
    "a template that repeats a text": _template("{text}" * 100_000, r"data\.template: makes more than 67,108,864 characters of one row", "{text}" * 3),
    "a template with an open brace": _template("{text", r"data\.template: cannot be read", "{{text {text}"),
    "a template with a lone brace": _template("text}", r"data\.template: cannot be read", "text}} {text}"),
    "a template that counts": _template("{0} {}", r"data\.template: the data has no \{0\}"),
    "a template with an unknown name": _template("{txt}", r'data\.template: the data has no \{txt\}\. Did you mean "text"'),
}  # fmt: skip

CASES: dict[str, Case] = {
    **JSON_LINES, **ENCODINGS, **JSON, **TABLES, **PACKED, **COLUMNAR, **PLACES, **CONVERSATIONS, **RECIPES, **TEMPLATES,
}  # fmt: skip
