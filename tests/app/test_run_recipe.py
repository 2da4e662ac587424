"""A chain whose folder was moved: its runs are used, and told of, as before."""

import json
from pathlib import Path

import pytest

from tunesmith.app.chain import tune_chain
from tunesmith.app.run import Run
from tunesmith.app.run_recipe import run_recipe
from tunesmith.core.run import RunDirectory
from tunesmith.recipe import Chain


def test_runs_of_a_chain_whose_folder_was_renamed_answer_as_before(cache: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = {"data": {"train": "digits", "limit": {"train": 100, "test": 50}}, "objective": "classify", "train": {"max_steps": 4}}
    quick = {**own, "evaluate": {"retention": "none"}, "engine": {"compile": False}}
    stages = {
        "made": {**quick, "model": {"architecture": {"name": "dense", "hidden": [8]}}, "method": "full", "export": "h5"},
        "file": {**quick, "model": "stage:made/network.h5", "method": "head"},
        "run": {**quick, "model": "stage:made", "method": "head"},
        "next": {**quick, "model": "stage:file", "method": "head"},
    }
    tune_chain(Chain("four", "", stages, "before"))
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        "\n".join(json.dumps({f"pixel_{n // 8}_{n % 8}": float(n * row % 17) for n in range(64)}) for row in range(9)), encoding="utf-8"
    )
    for stage in ("file", "run", "next"):
        Run(tmp_path / "before" / stage).predict_file(rows, tmp_path / f"{stage}.jsonl")
    (tmp_path / "before").rename("after")
    for stage in ("file", "run", "next"):
        Run(tmp_path / "after" / stage).predict_file(rows, tmp_path / f"{stage}-again.jsonl")
        assert (tmp_path / f"{stage}-again.jsonl").read_text() == (tmp_path / f"{stage}.jsonl").read_text()
    assert run_recipe(RunDirectory(tmp_path / "after" / "file")).model.source == str(tmp_path / "after" / "made" / "network.h5")
