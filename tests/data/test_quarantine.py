"""Rows that are no examples are left out, counted and kept where that is asked for; broken files never are."""

import json
from pathlib import Path

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Labelled
from tunesmith.data import InvalidRow, Quarantine, iter_rows, read, write_quarantine


def skipped(path: Path) -> tuple[list[int], list[InvalidRow]]:
    """Rows read, and rows left out."""
    quarantine = Quarantine()
    return [row for row, _ in iter_rows(path, quarantine=quarantine)], quarantine.rows


def test_by_default_the_first_invalid_row_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\nbroken\n')
    with pytest.raises(DataError, match=r"a\.jsonl:2: broken JSON"):
        read(tmp_path / "a.jsonl")


def test_rows_of_every_kind_of_wrong_are_kept_with_their_reason_and_as_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    good = '{"text": "x", "label": "a"}'
    lines = [good, '{"text": ', '{"text": "", "label": "a"}', '{"text": "y", "label": ["a"]}', good]
    file.write_bytes("\n".join(lines).encode() + b'\n{"text": "caf\xe9", "label": "a"}\n')
    found = read(file, skip_invalid=True)
    assert [example.origin.row for example in found.examples] == [1, 5]
    assert {invalid.row: invalid.reason.split(".")[0] for invalid in found.invalid} == {
        2: "broken JSON: Expecting value, column 9",
        3: 'the column "text" is empty',
        4: "the column \"label\" holds ['a'] (list), expected the name or number of a class",
        6: f"not UTF-8: byte 0xe9 at offset {len(chr(10).join(lines)) + 1 + 13}",
    }
    raws = {invalid.row: invalid.raw for invalid in found.invalid}
    assert raws[2] == '{"text": '
    assert raws[3] == {"text": "", "label": "a"}
    assert raws[6] == '{"text": "caf\\xe9", "label": "a"}'
    assert found.facts.num_invalid == 4
    assert found.facts.num_rows == 2
    assert any("4 invalid rows were left out; the first: " in note for note in found.facts.notes)


def test_a_quote_that_is_never_closed_costs_its_own_line_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('text,label\nfine,a\n"open,b\nx,a\n"two\nlines",b\na, b,c\ny,a\n')
    rows, invalid = skipped(file)
    assert rows == [2, 4, 5, 8]
    assert [(one.row, one.raw) for one in invalid] == [(3, '"open,b'), (7, "a, b,c")]


def test_bytes_that_are_no_text_cost_the_csv_row_that_they_stand_in(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b'text,label\n"two\ncaf\xe9",a\nx,b\n')
    rows, invalid = skipped(file)
    assert rows == [4]
    assert [(one.row, one.raw) for one in invalid] == [(3, '"two\ncaf\\xe9",a')]


def test_a_paragraph_and_a_file_of_a_folder_are_rows_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\n\ntwo\ncaf\xe9\n\nthree\n")
    rows, invalid = skipped(tmp_path / "a.txt")
    assert (rows, [one.row for one in invalid]) == ([1, 6], [4])
    home = tmp_path / "texts"
    for name, content in {"neg/1.txt": b"bad", "pos/1.txt": b" ", "pos/2.txt": b"good"}.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)
    found = read(home, skip_invalid=True)
    assert [example.label for example in found.examples if isinstance(example, Labelled)] == ["neg", "pos"]
    assert [(Path(one.file).name, one.reason) for one in found.invalid] == [("1.txt", "the file is empty. Remove it or write its text.")]


def test_labels_that_are_not_in_the_map_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,0\nb,1\nc,-1\n")
    found = read(tmp_path / "a.csv", labels={"0": "no", "1": "yes"}, skip_invalid=True)
    assert found.facts.labels == ("no", "yes")
    assert [(one.row, one.raw) for one in found.invalid] == [(4, {"text": "c", "label": "-1"})]


def test_a_file_of_nothing_but_invalid_rows_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"every one of its 2 rows is invalid; the first: .*a\.jsonl:1: broken JSON"):
        read(tmp_path / "a.jsonl", skip_invalid=True)
    (tmp_path / "b.csv").write_text("text,label\n ,a\n ,b\n")
    with pytest.raises(DataError, match=r'every one of its 2 rows is invalid; the first: .*b\.csv:2: the column "text" is empty'):
        read(tmp_path / "b.csv", skip_invalid=True)


def test_a_file_that_cannot_be_read_stays_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"text": "x"}, {"text": ')
    with pytest.raises(DataError, match=r"a\.json:1: broken JSON"):
        read(tmp_path / "a.json", skip_invalid=True)


def test_the_quarantine_is_a_line_a_row(tmp_path: Path) -> None:
    rows = [InvalidRow("a.csv", 3, "why", "raw \u00e9"), InvalidRow("b.jsonl", 1, "half", {"text": "\ud800"})]
    write_quarantine(tmp_path / "q.jsonl", rows)
    written = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text(encoding="utf-8").splitlines()]
    assert written == [
        {"file": "a.csv", "row": 3, "reason": "why", "raw": "raw \u00e9"},
        {"file": "b.jsonl", "row": 1, "reason": "half", "raw": {"text": "\ud800"}},
    ]


def test_a_very_long_row_is_kept_cut() -> None:
    quarantine = Quarantine()
    quarantine.add(InvalidRow("a", 1, "long", "x" * 200_000))
    assert len(str(quarantine.rows[0].raw)) == 100_001
