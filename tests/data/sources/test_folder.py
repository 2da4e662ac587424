from pathlib import Path

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Labelled, Text
from tunesmith.data import read


@pytest.fixture
def imdb(tmp_path: Path) -> Path:
    root = tmp_path / "aclImdb"
    for part, label, number, text in [
        ("train", "neg", "10_2", "bad ten"), ("train", "neg", "2_1", "bad two"), ("train", "pos", "0_9", "good"), ("train", "unsup", "0_0", "who knows"),
        ("test", "neg", "0_1", "bad test"), ("test", "pos", "0_8", "good test"),
    ]:  # fmt: skip
        (root / part / label).mkdir(parents=True, exist_ok=True)
        (root / part / label / f"{number}.txt").write_text(text)
    (root / "train" / "labeledBow.feat").write_text("not a review")
    (root / "README").write_text("not a review")
    return root


def test_classes_are_folders_and_unsup_is_left_out_and_said(imdb: Path) -> None:
    dataset = read(imdb)
    found = [(example.text, example.label) for example in dataset.examples if isinstance(example, Labelled)]
    assert found == [("bad two", "neg"), ("bad ten", "neg"), ("good", "pos")]
    assert dataset.facts.labels == ("neg", "pos")
    assert any("unsup/ (1 files without a label) was left out" in note for note in dataset.facts.notes)
    assert dataset.examples[0].origin.file.endswith("aclImdb/train/neg/2_1.txt")


def test_the_test_part_is_read_where_it_is_named(imdb: Path) -> None:
    assert [example.text for example in read(imdb / "test").examples if isinstance(example, Labelled)] == ["bad test", "good test"]


def test_the_hash_changes_with_a_file_and_not_with_the_place(imdb: Path, tmp_path: Path) -> None:
    before = read(imdb).facts.sha256
    assert read(imdb.rename(tmp_path / "moved")).facts.sha256 == before
    (tmp_path / "moved/train/pos/0_9.txt").write_text("other")
    assert read(tmp_path / "moved").facts.sha256 != before


def test_files_without_classes_are_texts(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("a page")
    assert [example.text for example in read(tmp_path).examples if isinstance(example, Text)] == ["a page"]


def test_folders_without_text_empty_files_and_other_encodings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no text files. Expected .*/CLASS/\*.txt"):
        read(tmp_path)
    (tmp_path / "neg").mkdir()
    (tmp_path / "neg" / "1.txt").write_text("")
    with pytest.raises(DataError, match=r"neg/1.txt: the file is empty"):
        read(tmp_path)
    (tmp_path / "neg" / "1.txt").write_bytes(b"one\nclich\xe9")
    with pytest.raises(DataError, match=r"neg/1.txt:2: not UTF-8: byte 0xe9 at offset 9"):
        read(tmp_path)
