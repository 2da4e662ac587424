from pathlib import Path

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.files import file_sha256
from tunesmith.data import read
from tunesmith.data.sources.files import Files


def test_a_file_is_told_by_its_name_or_by_being_there(tmp_path: Path) -> None:
    assert Files().claims("missing.csv")
    assert Files().claims("./missing")
    assert not Files().claims("stanfordnlp/imdb")
    (tmp_path / "odd").write_text("x")
    assert Files().claims(str(tmp_path / "odd"))


def test_missing_empty_and_rowless_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none.csv: no such file"):
        read(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_text("text,label\n")
    with pytest.raises(DataError, match="a.csv: the file holds no rows below its header"):
        read(tmp_path / "a.csv")
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(DataError, match="b.json: the file holds no rows"):
        read(tmp_path / "b.json")


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,1\nb,0\n")
    assert read(tmp_path / "a.csv").facts.sha256 == file_sha256(tmp_path / "a.csv")
