"""The text of documents: plain text and markdown as they are, HTML without its tags, Word's .docx, PDF, and the messages of mailboxes."""

import email
import email.policy
import io
import logging
import mailbox
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from functools import partial
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.parsers import expat

from tunesmith.core.errors import DataError, TunesmithError, one_line
from tunesmith.data.records import decode

__all__ = ["READERS", "files_below", "html_text", "texts"]

_MOST_BYTES = 64 * 2**20
"""Of one document. A longer one is no document but a corpus: make it a .txt file of its own."""
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main "
"""What expat puts before the names of Word's elements."""
_HEADING_TAG = re.compile("h[1-6]")
_QUOTE_HEADER = re.compile(r"^(on|am|le|el) .{4,200}(wrote|schrieb|écrit|escribió)\s*:\s*$", re.IGNORECASE)


def files_below(root: Path, onerror: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Every file below a folder, in a fixed order; none whose name, or whose folder's, begins with a dot. Links to folders are not followed.

    Args:
        onerror: is told of a folder that cannot be read; None: it is passed over.
    """
    for folder, folders, files in os.walk(root, onerror=onerror):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder) / name for name in sorted(files) if not name.startswith("."))


def texts(path: Path, name: str, *, marks_headings: bool = False) -> Iterator[tuple[int, str]]:
    """(number, text) of each text in a document, from 1: of a mailbox each message, else the whole; texts of white space are left out.

    Args:
        name: what messages call the file.
        marks_headings: of HTML write headings as markdown does.
    Raises: DataError, where it is not what its name says, or longer than 64 MB (a mailbox excepted).
    """
    reader = READERS[path.suffix.lower()]
    try:
        for number, text in enumerate(
            (partial(_html, marks_headings=True) if marks_headings and reader is _html else reader)(path, name), start=1
        ):
            if text.strip():
                yield number, text.strip() + "\n"
    except (TunesmithError, OSError):
        raise
    except Exception as error:  # libraries that read documents fail at broken ones in ways of their own
        kind = path.suffix[1:].upper()
        raise DataError(
            f"{name}: is no {kind} that can be read ({one_line(error, 120)}). Open it in a program that can, and save it again."
        ) from None


def _content(path: Path, name: str) -> bytes:
    if path.stat().st_size > _MOST_BYTES:
        raise DataError(
            f"{name}: a document of more than {_MOST_BYTES // 2**20} MB. Part it into several; to train on it whole, name it: data.train={name}."
        )
    return path.read_bytes()


def _plain(path: Path, name: str) -> Iterator[str]:
    yield decode(_content(path, name).removeprefix(b"\xef\xbb\xbf"), name)


def _html(path: Path, name: str, *, marks_headings: bool = False) -> Iterator[str]:
    yield html_text(next(_plain(path, name)), marks_headings=marks_headings)


class _Text(HTMLParser):
    """Keeps what a reader of the page sees: not scripts and styles; blocks on lines of their own; headings and code, where wanted, as markdown writes them."""

    _UNSEEN = ("script", "style", "head", "template", "noscript", "svg")
    _BLOCKS = frozenset(
        [
            "address",
            "article",
            "aside",
            "blockquote",
            "br",
            "dd",
            "div",
            "dl",
            "dt",
            "figcaption",
            "footer",
            "form",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "header",
            "hr",
            "li",
            "main",
            "nav",
            "ol",
            "p",
            "section",
            "table",
            "tr",
            "ul",
        ]
    )
    _APART = frozenset(["blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul"])

    def __init__(self, marks_headings: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._marks_headings = marks_headings
        self._is_heading = False
        self._unseen: list[str] = []
        self._kept_spaces = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag in self._UNSEEN:
            self._unseen.append(tag)
        elif tag == "body":  # a head that was never closed ends here
            self._unseen.clear()
        self._kept_spaces += tag == "pre"
        self._line(tag)
        if self._marks_headings and not self._unseen:
            self._mark(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
        self._kept_spaces = max(0, self._kept_spaces - (tag == "pre"))
        if self._marks_headings and tag == "pre" and not self._unseen:
            self.parts.append("\n```")
        self._is_heading &= not _HEADING_TAG.fullmatch(tag)
        self._line(tag)

    def _mark(self, tag: str) -> None:
        """Begin a heading or code as markdown does."""
        if _HEADING_TAG.fullmatch(tag):
            self.parts.append("#" * int(tag[1]) + " ")
            self._is_heading = True
        elif tag == "pre":
            self.parts.append("```\n")

    def _line(self, tag: str) -> None:
        if self._is_heading and not _HEADING_TAG.fullmatch(tag):  # a title stands on one line
            return
        if tag in self._APART:
            self.parts.append("\n\n")
        elif tag in self._BLOCKS and not self._at_line_start():
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            text = data if self._kept_spaces else re.sub(r"\s+", " ", data)
            self.parts.append(text.lstrip() if self._at_line_start() and not self._kept_spaces else text)

    def _at_line_start(self) -> bool:
        return next((part.endswith("\n") for part in reversed(self.parts) if part), True)


def html_text(page: str, *, marks_headings: bool = False) -> str:
    """The text of an HTML page, its blocks on lines of their own."""
    parser = _Text(marks_headings)
    parser.feed(page)
    parser.close()
    lines = [line.rstrip() for line in "".join(parser.parts).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def _docx(path: Path, name: str) -> Iterator[str]:
    """The paragraphs of a Word document, tables cell by cell; not headers, footers, notes, or what was deleted."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("word/document.xml") as file:
            content = file.read(_MOST_BYTES + 1)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise DataError(
            f"{name}: is no .docx document ({str(error) or type(error).__name__}). Open it in a word processor and save it again."
        ) from None
    if len(content) > _MOST_BYTES:
        raise DataError(f"{name}: unpacks to more than {_MOST_BYTES // 2**20} MB of text. Cut the document into parts.")
    found = _DocxText()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = found.start, found.end, found.characters
    parser.EntityDeclHandler = found.refuse_entity
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise DataError(f"{name}: its word/document.xml is broken ({error}). Open it in a word processor and save it again.") from None
    except _Entity:
        raise DataError(f"{name}: declares XML entities, as no word processor does. It is made to do harm; leave it out.") from None
    yield "".join(found.parts)


class _Entity(Exception):
    """An entity is declared, which could unpack to anything."""


class _DocxText:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self._is_text = False

    def start(self, tag: str, attributes: Any) -> None:
        kind = tag.removeprefix(_WORD)
        self._is_text = kind == "t"
        if kind in ("tab", "br", "cr"):
            self.parts.append("\t" if kind == "tab" else "\n")

    def end(self, tag: str) -> None:
        self._is_text = False
        if tag == f"{_WORD}p":
            self.parts.append("\n\n")

    def characters(self, data: str) -> None:
        if self._is_text:
            self.parts.append(data)

    def refuse_entity(self, *declared: Any) -> None:
        raise _Entity


def _mbox(path: Path, name: str) -> Iterator[str]:
    """The bodies of a mailbox's messages, one after the other; a message without a text is empty."""
    with path.open("rb") as file:
        if not file.read(5) == b"From ":
            raise DataError(f'{name}: is no mailbox: its first line should begin with "From ". Export the mail as mbox, or as .eml files.')
    box: Any = mailbox.mbox(path, factory=_message, create=False)
    try:
        for key in box.iterkeys():
            yield _body(box[key])
    finally:
        box.close()


def _eml(path: Path, name: str) -> Iterator[str]:
    yield _body(email.message_from_bytes(_content(path, name), policy=email.policy.default))


def _message(file: Any) -> Any:
    return email.message_from_binary_file(file, policy=email.policy.default)


def _body(message: EmailMessage) -> str:
    """What its sender wrote: the text of a message, without what it quotes, its signature and attachments."""
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    try:
        text = str(part.get_content())
    except (LookupError, ValueError):  # an encoding that nobody knows
        return ""
    if part.get_content_type() == "text/html":
        text = html_text(text)
    kept = list[str]()
    for line in text.replace("\r\n", "\n").split("\n"):
        if line in ("-- ", "--"):
            break
        if not line.startswith(">") and not _QUOTE_HEADER.match(line):
            kept.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept))


def _pdf(path: Path, name: str) -> Iterator[str]:
    """The text of all pages."""
    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it tells of each oddity of a file that it mends
    yield "\n\n".join(page.extract_text() for page in PdfReader(io.BytesIO(_content(path, name))).pages)


READERS: dict[str, Callable[[Path, str], Iterator[str]]] = {
    ".txt": _plain,
    ".md": _plain,
    ".markdown": _plain,
    ".rst": _plain,
    ".html": _html,
    ".htm": _html,
    ".docx": _docx,
    **({".pdf": _pdf} if find_spec("pypdf") else {}),
    ".mbox": _mbox,
    ".eml": _eml,
}
"""End of a file's name -> what gives its texts; of PDF where the package is there that reads it."""
