"""Three public sets of spam become files with text and label."""

import csv
import importlib.util
import io
import tarfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("prepare_spam", ROOT / "scripts" / "prepare_spam.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mail(subject: str, text: str, html: str | None = None) -> bytes:
    made = EmailMessage()
    made["Subject"], made["From"], made["X-Spam-Status"] = subject, "joe@example.com", "Yes"
    made.set_content(text)
    if html:
        made.add_alternative(html, subtype="html")
    return bytes(made)


def test_of_a_mail_subject_and_text_are_kept_and_no_header(script: Any) -> None:
    assert script.text_of_mail(mail("Naïve  offer", "Dear you,\n\n\nbuy   café\n", "<p>no</p>")) == "Naïve offer\nDear you,\nbuy café"
    html = b"Subject: Hi\nContent-Type: text/html\n\n<style>p{}</style><p>Buy<br>now &amp; here</p><script>x()</script>"
    assert script.text_of_mail(html) == "Hi\nBuy\nnow & here"
    broken = b"Subject: =?x-unknown?B?!!?=\nContent-Type: text/plain; charset=no-such\n\ncaf\xe9"
    assert script.text_of_mail(broken).endswith("café")
    assert script.text_of_mail(b"") == ""


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_each_set_becomes_a_file_with_each_text_once(script: Any, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "corpus.tar.gz", "w:gz") as archive:
        for name, content in (
            ("easy_ham/0001.a", mail("Lunch", "at noon")),
            ("spam_2/0001.b", mail("Win", "money")),
            ("spam_2/0002.c", mail("Win", "money")),
            ("spam_2/cmds", b"mv 0001 0002"),
        ):
            member = tarfile.TarInfo(f"corpus/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    (tmp_path / "sms").write_text("ham\tHello you\nspam\tFREE entry\nhalf a line\n", encoding="utf-8")
    (tmp_path / "video.csv").write_text(
        'COMMENT_ID,AUTHOR,DATE,CONTENT,CLASS\n1,a,,"subscribe, please\ufeff",1\n2,b,,nice song,0\n', encoding="utf-8"
    )
    out = tmp_path / "made"
    assert script.main([
        "--out", str(out), "--emails", str(tmp_path / "corpus.tar.gz"), "--sms", str(tmp_path / "sms"), "--comments", str(tmp_path / "video.csv"),
    ]) == 0  # fmt: skip
    assert rows(out / "emails.csv") == [["text", "label"], ["Lunch\nat noon", "ham"], ["Win\nmoney", "spam"]]
    assert rows(out / "sms.csv")[1:] == [["Hello you", "ham"], ["FREE entry", "spam"]]
    assert rows(out / "comments.csv")[1:] == [["subscribe, please", "spam"], ["nice song", "ham"]]
