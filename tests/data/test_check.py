"""All checks together: the worst first, counted, as a document."""

import json

from tests.data.checks.rows import labelled, texts
from tunesmith.data.check import check


def test_the_worst_comes_first_and_the_document_is_json() -> None:
    train = labelled(*((f"text number {n} about films", "a" if n % 2 else "b") for n in range(30)), ("mail me: x@example.com", "a"))
    test = labelled(
        *((f"other number {n} about films", "a" if n % 2 else "b") for n in range(20)), ("text number 3 about films", "a"), file="t.csv"
    )
    report = check({"train": train, "validation": [], "test": test}, name="films", sources={"train": "rows.csv"}, near=1.0)
    assert [one.severity for one in report.findings] == sorted(
        (one.severity for one in report.findings), key=["error", "warning", "note"].index
    )
    assert [one.check for one in report.findings if one.severity == "error"] == ["overlap"]
    assert report.count("error") == 1
    assert list(report.splits) == ["train", "test"]
    document = json.loads(json.dumps(report.to_dict()))
    assert document["schema"] == "tunesmith/check/1"
    assert document["counts"]["num_errors"] == 1
    assert document["splits"]["train"]["labels"] == {"a": 16, "b": 15}
    assert document["splits"]["train"]["source"] == "rows.csv"
    assert document["splits"]["train"]["lengths"] is None
    assert document["findings"][0]["examples"][0] == {
        "split": "train",
        "file": "rows.csv",
        "row": 5,
        "text": "text number 3 about films",
        "other": "t.csv:22",
    }
    assert document["findings"][0]["num_removed"] == 1
    assert "x@example.com" not in json.dumps(document)


def test_clean_texts_give_no_finding() -> None:
    report = check({"data": texts("a first text of its own", "quite another one about ships", "and the third, on bread")})
    assert report.findings == ()
    assert report.splits["data"].characters == 23 + 29 + 23


def test_sets_to_compare_with_are_measured_each() -> None:
    train = texts(*(f"alpha beta gamma {n}" for n in range(30)))
    report = check(
        {"data": train}, shifts_to={"near": train, "far": texts("one", file="f.txt")}, against={"far": texts("one", file="f.txt")}
    )
    assert [shift.other for shift in report.shifts] == ["near"]
    assert any(one.check == "shift" and "far has 1 distinct texts" in one.text for one in report.findings)
