import gzip
from pathlib import Path

import pytest

from tunesmith.core.errors import DataError, UsageError
from tunesmith.core.types import Completion, Origin
from tunesmith.data import read


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def pair(one: str, other: str) -> dict[str, str]:
    Path("a.en").write_text(one, encoding="utf-8")
    Path("a.de").write_text(other, encoding="utf-8")
    return {"source": "a.en", "target": "a.de"}


def test_line_n_of_one_belongs_to_line_n_of_the_other() -> None:
    dataset = read(pair("Good day\nThank you\n", "Guten Tag\nDanke"))
    assert dataset.examples == [Completion("Good day", "Guten Tag", Origin("a.en", 1)), Completion("Thank you", "Danke", Origin("a.en", 2))]
    assert (dataset.facts.name, dataset.facts.format) == ("a.en, a.de", "pairs")


def test_lines_that_are_empty_in_both_are_left_out_and_counted() -> None:
    dataset = read(pair("a\r\n\r\nb\r\n", "x\n \ny\n"))
    assert [(example.source, example.target, example.origin.row) for example in dataset.examples] == [("a", "x", 1), ("b", "y", 3)]  # type: ignore[union-attr]
    assert dataset.facts.notes == ("a.en: 1 lines that are empty in both files were left out",)


def test_only_a_line_feed_ends_a_line() -> None:
    assert len(read(pair("one\u2028still one\x0b\x0c\x85\ntwo\n", "eins\nzwei\n")).examples) == 2


def test_numbers_of_lines_that_differ_are_said() -> None:
    with pytest.raises(DataError, match=r"a\.en has 3 lines and a\.de has 2, expected as many"):
        read(pair("a\n\nc\n", "x\ny\n"))


def test_a_line_that_is_empty_in_one_file_is_named() -> None:
    with pytest.raises(DataError, match=r"a\.de:2: the line is empty, and its pair in the other file is not"):
        read(pair("a\nb\n", "x\n\n"))
    with pytest.raises(DataError, match=r"a\.en:1: the line is empty"):
        read(pair("\nb\n", "x\ny\n"))


def test_packed_files_missing_files_and_other_bytes() -> None:
    source = pair("a\n", "x\n")
    Path("b.en.gz").write_bytes(gzip.compress(b"a\n"))
    assert len(read({**source, "source": "b.en.gz"}).examples) == 1
    with pytest.raises(DataError, match=r"none\.de: no such file"):
        read({**source, "target": "none.de"})
    Path("c.de").write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match=r"c\.de:1: not UTF-8"):
        read({**source, "target": "c.de"})
    Path("d.en").write_text("\n")
    Path("d.de").write_text("\n")
    with pytest.raises(DataError, match="hold no pairs"):
        read({"source": "d.en", "target": "d.de"})


def test_all_files_that_are_missing_are_named_and_how_to_name_others() -> None:
    with pytest.raises(DataError) as error:
        read({"source": "source.txt", "target": "target.txt"})
    assert str(error.value).startswith("source.txt and target.txt: no such files (relative paths start at ")
    assert str(error.value).endswith("data.train.source=FILE data.train.target=FILE.")


def test_a_mapping_that_names_no_source_is_refused() -> None:
    with pytest.raises(UsageError, match="names no data source"):
        read({"sauce": "a"})
    with pytest.raises(UsageError, match="data_source parallel: target: missing"):
        read({"source": "a.en"})
