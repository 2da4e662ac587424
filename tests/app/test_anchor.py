"""A run's recipe names its files from the root, so that it can be resumed from any folder."""

import json
from pathlib import Path

import pytest

from tunesmith import recipe
from tunesmith.app.anchor import anchored, anchored_change


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


def test_changes_of_an_arm_name_their_files_from_the_root_too(tmp_path: Path) -> None:
    assert anchored_change("data.train=a.csv") == f"data.train={tmp_path / 'a.csv'}"
    assert anchored_change("data.documents=.") == f"data.documents={tmp_path}"
    assert anchored_change("context.documents=.") == f"context.documents={tmp_path}"
    assert anchored_change("data=a.csv") == f"data={tmp_path / 'a.csv'}"
    assert anchored_change('data.train="a.csv"') == f"data.train={tmp_path / 'a.csv'}"
    assert anchored_change("evaluate.domains.other=a.csv") == f"evaluate.domains.other={tmp_path / 'a.csv'}"
    pair = json.loads(anchored_change("data.train={source: a.en, target: a.de}").partition("=")[2])
    assert pair == {"source": str(tmp_path / "a.en"), "target": str(tmp_path / "a.de")}
    assert anchored_change("evaluate.domains.other.source=a.csv") == f"evaluate.domains.other.source={tmp_path / 'a.csv'}"
    assert anchored_change("model=a.csv") == f"model={tmp_path / 'a.csv'}"
    assert anchored_change("model.words=a.csv") == f"model.words={tmp_path / 'a.csv'}"
    model = json.loads(anchored_change("model={source: a.h5, words: a.csv, padding_side: left}").partition("=")[2])
    assert model == {"source": "a.h5", "words": str(tmp_path / "a.csv"), "padding_side": "left"}  # there is no a.h5


@pytest.mark.parametrize(
    "change",
    [
        "data.train=movie-reviews",
        "data.train=",
        "method=lora",
        "data.template=a.csv",
        "model={source: minilm-l6}",
        "data.text=a=b",
        "evaluate.retention=none",
        "evaluate.domains={}",
        "data.train=[a.csv",
        "data.train=" + "x" * 300,
    ],
)
def test_other_changes_of_an_arm_stay_as_they_are(change: str) -> None:
    assert anchored_change(change) == change
