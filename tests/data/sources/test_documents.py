"""Folders of documents: what text each kind of file gives, and what is refused."""

import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Text
from tunesmith.data import read

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def texts(folder: object) -> dict[str, str]:
    found = read(folder).examples
    assert all(isinstance(example, Text) for example in found)
    return {f"{Path(e.origin.file).name}:{e.origin.row}": e.text for e in found if isinstance(e, Text)}


def docx(path: Path, body: str, head: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", f'<?xml version="1.0"?>{head}<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>')
    return path


def mail(body: str, subtype: str = "plain", charset: str = "utf-8") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.org", "hello"
    message.set_content(body, subtype=subtype, charset=charset)
    return message


def test_every_file_below_a_folder_is_a_text_with_its_own_origin(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.md").write_text("# A title\n\nWords.")
    (tmp_path / "b" / "c.txt").write_text("ünder b\n", encoding="utf-8-sig")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "d.md").write_text("not this")
    dataset = read(f"documents:{tmp_path}")
    assert texts(f"documents:{tmp_path}") == {"a.md:1": "# A title\n\nWords.\n", "c.txt:1": "ünder b\n"}
    assert dataset.facts.format == "text"
    assert dataset.examples[1].origin.file == str(tmp_path / "b" / "c.txt")


def test_a_page_gives_what_a_reader_sees(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        "<html><head><title>t</title><style>p {}</style></head><body><h1>Top &amp; more</h1><p>One\n  line<br>two</p>"
        "<script>x < y</script><ul><li>first</li><li>second</li></ul><pre>keep\n  this</pre></body></html>"
    )
    assert texts(tmp_path) == {"a.html:1": "Top & more\n\nOne line\ntwo\n\nfirst\nsecond\n\nkeep\n  this\n"}


def test_a_word_document_gives_its_paragraphs_and_not_what_was_deleted(tmp_path: Path) -> None:
    body = (
        '<w:p><w:r><w:t>One </w:t></w:r><w:r><w:t xml:space="preserve">&#252;mlaut &amp; more</w:t></w:r></w:p>'
        "<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:r><w:t>Two</w:t><w:tab/><w:t>three</w:t></w:r></w:p>"
    )
    docx(tmp_path / "a.docx", body)
    assert texts(tmp_path) == {"a.docx:1": "One ümlaut & more\n\nTwo\tthree\n"}


def test_a_mailbox_gives_what_each_sender_wrote(tmp_path: Path) -> None:
    quoting = mail("My answer.\n\nOn Mon, 1 Jan 2024, Bo wrote:\n> a question\n> more\n\nAnd more.\n-- \nA. Author")
    box = b"".join(
        b"From a@example.org Mon Jan  1 00:00:00 2024\n" + bytes(message) + b"\n"
        for message in (quoting, mail("Grüße.", charset="iso-8859-1"), mail("<p>Seen</p><style>x</style>", subtype="html"))
    )
    (tmp_path / "a.mbox").write_bytes(box)
    assert texts(tmp_path) == {"a.mbox:1": "My answer.\n\nAnd more.\n", "a.mbox:2": "Grüße.\n", "a.mbox:3": "Seen\n"}
    (tmp_path / "b.eml").write_bytes(bytes(mail("Alone.")))
    assert texts(tmp_path)["b.eml:1"] == "Alone.\n"


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Words.")
    (tmp_path / "b.md").write_text(" \n")
    (tmp_path / "c.png").write_bytes(b"PNG")
    (tmp_path / "noend").write_bytes(b"")
    notes = read(str(tmp_path)).facts.notes
    assert notes == (
        f"{tmp_path}: files of other kinds were left out: .png (1), no ending (1)",
        f"{tmp_path}: 1 documents without text were left out",
    )


@pytest.mark.parametrize(("name", "content"), [("a.pdf", b"%PDF-1.4 torn"), ("a.html", b"<p>before</p><![foo[ x")])
def test_what_its_reader_fails_at_is_a_line(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: is no {name[2:].upper()} that can be read \(.+\)\. Open it in a program that can"):
        read(f"documents:{tmp_path}")


def test_one_folder_a_class_stays_labelled_beside_a_readme(tmp_path: Path) -> None:
    for label in ("neg", "pos"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.txt").write_text(label)
    (tmp_path / "README.md").write_text("about")
    assert read(str(tmp_path)).facts.format == "labelled"
    assert len(read(f"documents:{tmp_path}").examples) == 3


ENTITIES = '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.md", b"\xff\xfe\x41", "is UTF-16"),
        ("a.md", b"one\n\xe4 two", "a.md:2: not UTF-8: byte 0xe4"),
        ("a.docx", b"PK no zip", "is no .docx document"),
        ("a.mbox", b"Subject: x\n\nbody", 'is no mailbox: its first line should begin with "From "'),
    ],
)
def test_a_document_that_is_not_what_its_name_says_is_refused(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(f"documents:{tmp_path}")
    assert words in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_word_documents_made_to_do_harm_are_refused(tmp_path: Path) -> None:
    docx(tmp_path / "a.docx", "<w:p><w:r><w:t>&b;</w:t></w:r></w:p>", ENTITIES)
    with pytest.raises(DataError, match="declares XML entities"):
        read(str(tmp_path))
    docx(tmp_path / "a.docx", "<w:p>")
    with pytest.raises(DataError, match="word/document.xml is broken"):
        read(str(tmp_path))
    with zipfile.ZipFile(tmp_path / "a.docx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" " * (65 * 2**20))
    with pytest.raises(DataError, match="unpacks to more than 64 MB"):
        read(str(tmp_path))


def test_a_folder_without_documents_and_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no document with text in it\. Expected files that end in \.txt"):
        read(f"documents:{tmp_path}")
    with pytest.raises(DataError, match="no such folder"):
        read(f"documents:{tmp_path / 'missing'}")
