"""Make emails.csv, sms.csv and comments.csv (columns text and label, spam or ham) out of three public data sets, for the recipe spam-shift.

    python scripts/prepare_spam.py --out FOLDER --emails easy_ham.tar.bz2 spam.tar.bz2 ... --sms SMSSpamCollection --comments Youtube01-Psy.csv ...

    emails     archives of the SpamAssassin public corpus, https://spamassassin.apache.org/old/publiccorpus/
    sms        the SMS Spam Collection (Almeida, Gomez Hidalgo, Yamakami 2011), https://archive.ics.uci.edu/dataset/228/sms+spam+collection
    comments   the YouTube Spam Collection (Alberto, Lochter, Almeida 2015), https://archive.ics.uci.edu/dataset/380/youtube+spam+collection

Of an e-mail its subject and its text are kept; headers would give it away. HTML is read as text.
"""

import argparse
import csv
import re
import sys
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path

Row = tuple[str, str]
"""Text and label."""


class _Text(HTMLParser):
    """The text of an HTML document, without scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style")
        self.pieces.append("\n" if tag in ("br", "p", "div", "tr", "li") else "")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style") and self._hidden > 0

    def handle_data(self, data: str) -> None:
        self.pieces += [] if self._hidden else [data]


def text_of_html(html: str) -> str:
    """What a reader of the document would see, roughly."""
    reader = _Text()
    reader.feed(html)
    return "".join(reader.pieces)


def text_of_mail(content: bytes) -> str:
    """Subject and text of an e-mail, white space in order; empty where it holds none."""
    mail = message_from_bytes(content, policy=policy.default)
    try:
        subject = str(mail.get("subject") or "")
    except (ValueError, IndexError, LookupError, TypeError, AttributeError):  # spam breaks the rules of headers on purpose
        subject = ""
    body = next((found for kind in ("plain", "html") for found in _parts(mail, kind) if found.strip()), "")
    text = re.sub(r"[^\S\n]+", " ", f"{subject}\n{body}".replace("\0", ""))
    return re.sub(r"\n\s*\n+", "\n", text).strip()


def _parts(mail: EmailMessage, kind: str) -> Iterator[str]:
    for part in mail.walk():
        if part.get_content_type() != f"text/{kind}":
            continue
        payload = part.get_payload(decode=True)
        raw = payload if isinstance(payload, bytes) else str(part.get_payload()).encode("utf-8", "replace")
        try:
            text = raw.decode(part.get_content_charset() or "utf-8")
        except (UnicodeDecodeError, LookupError):
            text = raw.decode("latin-1")
        yield text_of_html(text) if kind == "html" else text


def emails(archives: Iterable[Path]) -> Iterator[Row]:
    """Every mail of the archives; its label is the name of its folder: spam, or one with ham in it."""
    for path in archives:
        with tarfile.open(path) as archive:
            for member in archive:
                folder = Path(member.name).parent.name
                file = archive.extractfile(member) if member.isfile() and Path(member.name).name != "cmds" else None
                if file is None:
                    continue
                text = text_of_mail(file.read())
                if text:
                    yield text, "ham" if "ham" in folder else "spam"


def messages(path: Path) -> Iterator[Row]:
    """Every line: the label, a tab, the text."""
    for line in path.read_text(encoding="utf-8").splitlines():
        label, _, text = line.partition("\t")
        if label in ("ham", "spam") and text.strip():
            yield text.strip(), label


def comments(paths: Iterable[Path]) -> Iterator[Row]:
    """Every comment, CLASS 1 being spam. A byte order mark ends many of them, and is left out."""
    for path in paths:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                text = row["CONTENT"].replace("\ufeff", "").strip()
                if text:
                    yield text, "spam" if row["CLASS"] == "1" else "ham"


def write(path: Path, rows: Iterable[Row]) -> int:
    """Write the rows, each text once: the first label that it has counts. Returns: how many."""
    first: dict[str, str] = {}
    for text, label in rows:
        first.setdefault(text, label)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["text", "label"])
        writer.writerows(first.items())
    return len(first)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read what is named on the command line, and write a file for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--emails", type=Path, nargs="+", default=[])
    parser.add_argument("--sms", type=Path)
    parser.add_argument("--comments", type=Path, nargs="+", default=[])
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    made = [("emails", emails(given.emails) if given.emails else None), ("sms", messages(given.sms) if given.sms else None)]
    made.append(("comments", comments(given.comments) if given.comments else None))
    for name, rows in made:
        if rows is not None:
            print(f"{given.out / name}.csv: {write(given.out / f'{name}.csv', rows):,} texts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
