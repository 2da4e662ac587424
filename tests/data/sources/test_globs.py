import json
from pathlib import Path

import pytest

from tunesmith.core.errors import DataError
from tunesmith.data import read
from tunesmith.data.sources.globs import Globs


def write(path: Path, *texts: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


@pytest.mark.parametrize(
    "name", ["imdb:train[:10%]", "glue/mrpc:train[10%:20%]+test", "owner/name", "rows.jsonl", "https://a.example/*.csv", "small-talk"]
)
def test_hub_names_files_and_addresses_are_no_patterns(name: str) -> None:
    assert not Globs().claims(name)


@pytest.mark.parametrize("name", ["data/*.jsonl", "*.csv", "part-?.csv", "part-[0-9].csv", "data/**/*.txt", "data/*"])
def test_patterns(name: str) -> None:
    assert Globs().claims(name)


def test_files_are_read_in_the_order_of_their_names_and_each_row_names_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data" / "b.jsonl", "three")
    write(tmp_path / "data" / "a.jsonl", "one", "two")
    write(tmp_path / "data" / "c.csv.bak", "not this")
    dataset = read("data/*.jsonl")
    assert [(example.text, example.origin.file, example.origin.row) for example in dataset.examples] == [  # type: ignore[union-attr]
        ("one", "data/a.jsonl", 1), ("two", "data/a.jsonl", 2), ("three", "data/b.jsonl", 1),
    ]  # fmt: skip
    assert dataset.facts.name == "data/*.jsonl"
    assert dataset.facts.notes == ("data/*.jsonl: read 2 files, data/a.jsonl to data/b.jsonl",)


def test_two_stars_look_into_folders_and_hidden_files_are_left(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", "one")
    write(tmp_path / "deep" / "er" / "b.jsonl", "two")
    write(tmp_path / ".hidden.jsonl", "none")
    assert len(read(str(tmp_path / "**" / "*.jsonl")).examples) == 2


def test_the_hash_changes_with_a_files_content_and_name(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", "one")
    first = read(str(tmp_path / "*.jsonl")).facts.sha256
    write(tmp_path / "a.jsonl", "another")
    second = read(str(tmp_path / "*.jsonl")).facts.sha256
    (tmp_path / "a.jsonl").rename(tmp_path / "b.jsonl")
    assert len({first, second, read(str(tmp_path / "*.jsonl")).facts.sha256}) == 3


def test_nothing_that_matches_or_a_broken_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\*\.jsonl: no file matches \(looked in"):
        read("none*.jsonl")
    (tmp_path / "folder.d").mkdir()
    with pytest.raises(DataError, match="matches only folders"):
        read(str(tmp_path / "*.d"))
    write(tmp_path / "a.jsonl", "one")
    (tmp_path / "b.jsonl").write_text("{broken")
    with pytest.raises(DataError, match=r"b\.jsonl:1: broken JSON"):
        read(str(tmp_path / "*.jsonl"))


def test_a_file_that_is_named_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    write(tmp_path / "a[1].jsonl", "one")
    write(tmp_path / "a1.jsonl", "other")
    assert [example.text for example in read(str(tmp_path / "a[1].jsonl")).examples] == ["one"]  # type: ignore[union-attr]
