"""Records come the same at every pass, whatever the source."""

from pathlib import Path

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin
from tunesmith.data import record_source
from tunesmith.data.record_source import RecordSource
from tunesmith.data.table import Table, TableFacts


def test_every_pass_over_a_file_gives_the_same_and_counts_what_it_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "a"}\nbroken\n{"text": "b", "more": 1}\n')
    source = RecordSource(str(file), skip_invalid=True)
    passes = [list(source.records()) for _ in range(2)]
    assert passes[0] == passes[1] == [(Origin(str(file), 1), {"text": "a"}), (Origin(str(file), 3), {"text": "b", "more": 1})]
    assert [invalid.row for invalid in source.invalid] == [2]
    assert source.columns() == ["text", "more"]
    assert source.suffix == ".jsonl"


def test_a_folder_is_a_source_too_and_its_bad_files_count_once_a_pass(tmp_path: Path) -> None:
    for name, content in {"neg/1.txt": b"bad", "pos/1.txt": b" "}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    source = RecordSource(str(tmp_path), skip_invalid=True)
    for _ in range(2):
        assert [record for _, record in source.records()] == [{"text": "bad", "label": "neg"}]
        assert len(source.invalid) == 1
    assert source.suffix == ""


def test_classes_that_a_source_declares_for_numbers_stand_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [{"text": "a", "label": 1}, {"text": "b", "label": 0}, {"text": "c", "label": -1}]
    table = Table(records, [Origin("x", n) for n in (1, 2, 3)], TableFacts("x", "", class_names={"label": ("no", "yes")}))
    monkeypatch.setattr(record_source, "read_table", lambda source, quarantine: table)
    assert [record["label"] for _, record in RecordSource("x").records()] == ["yes", "no", -1]
    assert records[0]["label"] == 1


def test_without_skipping_the_first_invalid_row_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\nbroken\n')
    source = RecordSource(str(tmp_path / "a.jsonl"))
    with pytest.raises(DataError, match=r"a\.jsonl:2: broken JSON"):
        source.columns()
