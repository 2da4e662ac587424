"""A run's recipe names its files from the root, so that it can be resumed from any folder."""

from pathlib import Path

import pytest

from tunesmith import recipe
from tunesmith.app.anchor import anchored


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "a.en", "a.de", "a b.db", "a.xlsx"):
        (tmp_path / name).write_text("x")
    return tmp_path


def whole(train: object) -> object:
    return anchored(recipe.from_mapping({"model": "m", "data": {"train": train}}, name="x")).data.train


def test_files_and_patterns_that_match_get_their_whole_path(tmp_path: Path) -> None:
    assert whole("a.csv") == str(tmp_path / "a.csv")
    assert whole("*.csv") == str(tmp_path / "*.csv")


@pytest.mark.parametrize("name", ["*.jsonl", "owner/name:train[:10%]", "movie-reviews"])
def test_what_is_no_file_stays_as_it_is(name: str) -> None:
    assert whole(name) == name


def test_mappings_keep_their_options_and_get_whole_paths(tmp_path: Path) -> None:
    assert whole({"source": "a.en", "target": "a.de"}) == {"source": str(tmp_path / "a.en"), "target": str(tmp_path / "a.de")}
    assert whole({"file": "a.xlsx", "sheet": "a.csv"}) == {"file": str(tmp_path / "a.xlsx"), "sheet": "a.csv"}
    query = "select text from a"
    assert whole({"sql": "sqlite:///a%20b.db", "query": query}) == {"sql": f"sqlite:///{tmp_path}/a%20b.db", "query": query}
    assert whole({"sql": "postgresql://me@host/db", "query": query}) == {"sql": "postgresql://me@host/db", "query": query}
    url = {"url": "https://a.example/b.csv", "sha256": "0" * 64}
    assert whole(url) == {**url, "most_mb": 1024}
