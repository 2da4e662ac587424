"""What a stage took from another is found where the chain's folder is now."""

import json
from pathlib import Path

import pytest

from tunesmith.core.moved import moved
from tunesmith.core.run import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """The stage `two` of a chain that lies in `now`, with a file of the stage `one` beside it."""
    for stage in ("one", "two"):
        (tmp_path / "now" / stage / "model").mkdir(parents=True)
    (tmp_path / "now" / "asked.json").write_text(json.dumps({"kind": "stages", "values": ["one", "two"]}), encoding="utf-8")
    (tmp_path / "now" / "one" / "network.h5").touch()
    return RunDirectory(tmp_path / "now" / "two")


def test_what_ends_alike_is_found_beside_the_run(run: RunDirectory) -> None:
    now = run.path.parent
    assert moved(run, "/gone/chain/one/network.h5") == str(now / "one" / "network.h5")
    assert moved(run, "run:/gone/chain/one") == f"run:{now / 'one'}"
    assert moved(run, "/gone/one/chain/one/model") == str(now / "one" / "model")


def test_what_is_there_is_no_path_or_is_of_no_stage_stays(run: RunDirectory) -> None:
    old = run.path.parent.parent / "old" / "one"
    old.mkdir(parents=True)
    texts = [str(old), "/gone/one/pairs.jsonl", "/gone/three/network.h5", "one/network.h5", "minilm-l6", "a text: /one", "/" + "x" * 5000]
    assert [moved(run, text) for text in texts] == texts


def test_a_run_that_is_no_stage_names_what_it_named(run: RunDirectory) -> None:
    (run.path.parent / "asked.json").unlink()
    assert moved(run, "/gone/chain/one/network.h5") == "/gone/chain/one/network.h5"
