"""The page of a data check."""

import json
from typing import Any

from tests.report.test_page import Reader
from tunesmith.report import check_page


def document() -> dict[str, Any]:
    lengths = dict(
        context=256, total=1234, min=3, p5=4, median=21, p95=90, p99=200, max=400, num_over=2, num_tokens_over=144, num_nothing_left=0
    )
    place = dict(split="train", file="/data/mails.csv", row=17, text="<b>bold</b> & j•••@•••.com", other="/data/test.csv:3")
    of = lambda value, low, high: dict(value=value, low=low, high=high)  # noqa: E731
    risk = dict(
        majority=0.513, own=of(0.97, 0.96, 0.98), other=of(0.61, 0.58, 0.64), fall=of(0.36, 0.33, 0.39), reachable=of(0.94, 0.92, 0.95),
        repaired=of(0.89, 0.87, 0.91), num_repair=200,
    )  # fmt: skip
    return {
        "schema": "tunesmith/check/1",
        "source": "/data/mails.csv",
        "model": "minilm-l6",
        "counts": {"num_errors": 1, "num_warnings": 0, "num_notes": 1},
        "splits": {
            "train": dict(rows=900, characters=123456, labels={"ham": 600, "spam": 300}, languages={"en": 880, "unclear": 20}, lengths=lengths, source="/data/mails.csv"),
            "test": dict(rows=100, characters=20000, labels={"ham": 70, "spam": 30}, languages={"en": 100}, lengths=lengths, source="/data/test.csv"),
        },
        "findings": [
            dict(check="near_overlap", severity="error", split="train/test", count=7, text="7 texts <are> alike.", examples=[place], num_removed=7, num_repaired=0),
            dict(check="label_balance", severity="note", split="train", count=900, text="A note.", examples=[], num_removed=0, num_repaired=0),
        ],
        "shifts": [
            dict(
                first="train", other="comments", num_first=900, num_other=1900, auc=of(0.993, 0.99, 0.996),
                words_of_first=[dict(word="list", share=0.34, share_elsewhere=0.01)], words_of_other=[], at_risk=risk, why_not="",
            )
        ],
        "notes": ["a note of the source"],
        "cleaned": dict(folder="clean", files={}, num_kept=893, num_quarantined=7, num_repaired=0),
    }  # fmt: skip


def test_it_shows_every_number_and_escapes_what_comes_from_the_data() -> None:
    html = check_page(document())
    read = Reader(html)
    assert read.sections() == ["findings", "splits", "labels", "languages", "shift"]
    for said in (
        *(
            "Errors: mend them before tuning",
            "near overlap",
            "train/test",
            "7 texts <are> alike.",
            "mails.csv:17 = test.csv:3",
            "and 6 more",
        ),
        *("<b>bold</b> & j•••@•••.com", "A note.", "a note of the source", "893 rows", "7 are in quarantine.jsonl"),
        *("900", "1,234", "256", "400", "600", "67 %", "880", "unclear"),
        *("0.993", "0.990–0.996", "36.0", "33.0 to 39.0", "list", "34 %", "with 200 rows added", "0.890", "0.610"),
    ):
        assert said in read.text, said
    assert "<b>bold" not in html
    assert "http" not in html.replace("http-equiv", "")


def test_it_is_whole_without_tokens_labels_shifts_and_findings() -> None:
    given = document()
    for facts in given["splits"].values():
        facts.update(labels={}, lengths=None)
    given.update(findings=[], shifts=[], notes=[], counts={"num_errors": 0, "num_warnings": 0, "num_notes": 0})
    given.pop("cleaned")
    read = Reader(check_page(json.loads(json.dumps(given))))
    assert read.sections() == ["splits", "languages"]
    assert "Nothing wrong was found" in read.text


def test_a_shift_without_labels_says_why() -> None:
    given = document()
    given["shifts"][0].update(at_risk=None, why_not="the accuracy at risk is known only where both sets have labels.")
    read = Reader(check_page(given))
    assert "The accuracy at risk is known only where both sets have labels." in read.text
    assert "accuracy at risk, points" not in read.text
