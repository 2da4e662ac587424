"""Documents by name; what cannot be read is told and passed over."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin
from tunesmith.data._documents import READERS
from tunesmith.data.library import Document, Unread, read_library
from tunesmith.data.table import Table, TableFacts


def pdf(text: str) -> bytes:
    """A page with a line of text, or with none."""
    shown = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /Resources << /Font << /F1 5 0 R >> >> /MediaBox [0 0 612 792] /Contents 4 0 R >>",
        f"<< /Length {len(shown)} >>\nstream\n{shown}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body, places = "%PDF-1.4\n", list[int]()
    for number, one in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{one}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return f"{body}xref\n0 6\n0000000000 65535 f \n{table}{end}".encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "a.md": b"# Title\nSome text.",
        "deep/page.html": b"<head><title>no</title></head><body><h2>Part <b>one</b></h2><p>Words.</p></body>",
        "rows.csv": b"name,age\nAnn,7\n,\nBob,\n",
        "talk.jsonl": b'{"q": "why", "n": 1}\n',
        "scan.pdf": pdf(""),
        "letter.pdf": pdf("Dear reader"),
        "torn.pdf": b"%PDF-1.4 torn",
        "bad.txt": b"caf\xe9",
        "blank.txt": b" \n",
        "picture.png": b"\x89PNG",
        ".hidden/secret.txt": b"secret",
    }
    for name, content in files.items():
        path = tmp_path / "library" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "library"


def test_every_text_of_a_folder_has_a_name(folder: Path) -> None:
    found = {one.name: one.text.strip() for one in read_library(str(folder)) if isinstance(one, Document)}
    assert found == {
        "a.md": "# Title\nSome text.",
        "deep/page.html": "## Part one\n\nWords.",
        "letter.pdf": "Dear reader",
        "rows.csv#2": "name: Ann\nage: 7",
        "rows.csv#4": "name: Bob",
        "talk.jsonl#1": "q: why\nn: 1",
    }


def test_what_gives_no_text_is_told_and_passed_over(folder: Path) -> None:
    found = {one.name: one.why for one in read_library(str(folder)) if isinstance(one, Unread)}
    assert found.keys() == {"bad.txt", "blank.txt", "picture.png", "scan.pdf", "torn.pdf"}
    assert "not UTF-8" in found["bad.txt"]
    assert "holds no text. Where its pages are pictures" in found["scan.pdf"]
    assert "is no PDF that can be read" in found["torn.pdf"]
    assert "no document: files that end in .txt" in found["picture.png"]


def test_a_document_of_200_mb_is_told_and_passed_over(tmp_path: Path) -> None:
    with (tmp_path / "large.txt").open("wb") as file:
        file.truncate(200 * 2**20)
    (tmp_path / "small.txt").write_text("small")
    large, small = read_library(str(tmp_path))
    assert isinstance(large, Unread)
    assert "a document of more than 64 MB. Part it into several" in large.why
    assert small == Document("small.txt", "small\n")


def test_pdf_without_its_package_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(READERS, ".pdf")
    found = {one.name: one for one in read_library(str(folder)) if isinstance(one, Unread)}
    assert found["letter.pdf"].why == "no document: to read PDF takes the package pypdf: pip install pypdf."
    assert found["letter.pdf"].is_broken


def test_whatever_a_reader_makes_of_a_file_the_others_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.html").write_bytes(b"<p>before</p><![foo[ x")
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": "\ud83d"}) + "\n")
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n1,2,3\n4,5\n")
    (tmp_path / "closed").mkdir()
    (tmp_path / "z.txt").write_text("last")

    def walk(top: Path, onerror: Callable[[OSError], None]) -> Iterator[tuple[str, list[str], list[str]]]:
        onerror(PermissionError(13, "Permission denied", str(tmp_path / "closed")))
        yield str(top), ["closed"], ["a.html", "b.jsonl", "pipe.txt", "rows.csv", "z.txt"]

    monkeypatch.setattr("tunesmith.data._documents.os.walk", walk)
    found = list(read_library(str(tmp_path)))
    assert [one.name for one in found if isinstance(one, Document)][-3:] == ["rows.csv#2", "rows.csv#4", "z.txt"]
    unread = {one.name: one for one in found if isinstance(one, Unread)}
    assert "lone surrogate" in unread["b.jsonl"].why
    assert "is a pipe, a device or a link to nowhere" in unread["pipe.txt"].why
    assert "1 invalid row was left out; the first: rows.csv:3:" in unread["rows.csv"].why
    assert "Permission denied" in unread["closed"].why
    assert [name for name in ("closed/x.md", "closed", "closed#1", "closed#1.md", "closedness") if unread["closed"].may_hold(name)] == [
        "closed/x.md", "closed", "closed#1",
    ]  # fmt: skip
    assert not unread["rows.csv"].may_hold("rows.csv#2")


def test_numbers_and_no_are_no_gaps(tmp_path: Path) -> None:
    (tmp_path / "stock.jsonl").write_text(json.dumps({"name": "x", "stock": 0, "active": False, "note": None, "more": " "}) + "\n")
    (found,) = read_library(str(tmp_path))
    assert found == Document("stock.jsonl#1", "name: x\nstock: 0\nactive: False")


def test_a_folder_that_looks_like_an_index_is_none(tmp_path: Path) -> None:
    (tmp_path / "site" / "passages").mkdir(parents=True)
    (tmp_path / "site" / "index.json").write_text('{"title": "my site"}')
    (tmp_path / "site" / "a.md").write_text("text")
    assert {one.name for one in read_library(str(tmp_path))} >= {"site/a.md"}


def test_html_has_titles_on_one_line_and_its_code_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<h1><div>Big</div> <b>title</b></h1><pre># no title\nx</pre><h2>Next</h2><p>text</p>")
    (found,) = read_library(str(tmp_path))
    assert isinstance(found, Document)
    assert found.text == "# Big title\n\n```\n# no title\nx\n```\n\n## Next\n\ntext\n"


def test_rows_of_one_topic_are_several_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        {"text": "one", "topic": "sport"},
        {"text": "two", "topic": "sport"},
        {"text": None, "topic": "x"},
        {"text": "three", "topic": "y"},
    ]
    table = Table(texts, [Origin("made", row) for row in range(1, 5)], TableFacts("made", ""))
    monkeypatch.setattr("tunesmith.data.library.read_table", lambda source: table)
    assert list(read_library("made:up")) == [Document("sport#1", "one"), Document("sport#2", "two"), Document("y", "three")]


def test_one_file_is_a_library_and_so_are_the_messages_of_a_mailbox(folder: Path) -> None:
    assert list(read_library(str(folder / "a.md"))) == [Document("a.md", "# Title\nSome text.\n")]
    (folder / "post.mbox").write_text("From a@b Mon\nSubject: x\n\nHello.\n\nFrom c@d Tue\nSubject: y\n\nBye.\n")
    assert [one.name for one in read_library(str(folder / "post.mbox"))] == ["post.mbox#1", "post.mbox#2"]


def test_a_source_of_texts_is_a_library() -> None:
    found = list(read_library("python-reference"))
    assert len(found) > 50
    assert all(isinstance(one, Document) and one.text for one in found)
    assert "assert" in {one.name for one in found}
    with pytest.raises(DataError, match=r"docstrings: gives source, target.*and no texts to look things up in"):
        list(read_library("docstrings"))
    with pytest.raises(DataError, match="nowhere"):
        list(read_library("./nowhere"))


def test_the_hash_of_a_document_is_that_of_its_text() -> None:
    assert Document("a", "x").sha256 == Document("b", "x").sha256 != Document("a", "y").sha256
