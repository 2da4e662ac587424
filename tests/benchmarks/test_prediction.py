"""`python -m benchmarks prediction`: the share of arms that were predicted well, from folders of finished comparisons."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.prediction import document_of
from benchmarks.workload import BenchmarkError


def _group(folder: Path, errors: dict[str, tuple[float, float]]) -> Path:
    """A comparison whose arms were predicted with these errors of memory and of time; an arm that was not run beside them."""
    arms: dict[str, object] = {"base": {"memory_bytes": 1e9, "train_seconds": 0.0}}
    for name, (memory, time) in errors.items():
        predicted = {"peak_memory_bytes": 1e9 * (1 + memory), "train_seconds": 10.0, "total_seconds": 100.0 * (1 + time)}
        arms[name] = {"run": name, "memory_bytes": 1e9, "train_seconds": 10.0, "total_seconds": 100.0, "predicted": predicted}
    folder.mkdir()
    (folder / "group.json").write_text(json.dumps({"schema": "tunesmith/compare/1", "arms": arms}), encoding="utf-8")
    return folder


def test_shares_are_of_the_arms_that_were_run(tmp_path: Path) -> None:
    first = _group(tmp_path / "one", {"head": (0.10, -0.30), "lora": (-0.14, 0.24)})
    second = _group(tmp_path / "two", {"full": (0.16, 0.10)})
    found = document_of([first, second])
    assert found["arms"].keys() == {"one/head", "one/lora", "two/full"}
    assert (found["within"]["peak memory"]["within"], found["within"]["in all"]["within"]) == (2, 2)
    assert found["within"]["in all"]["share"] == pytest.approx(2 / 3)


def test_it_prints_every_error_and_the_shares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prediction", str(_group(tmp_path / "one", {"head": (0.10, -0.30)}))]) == 0
    out = capsys.readouterr().out.replace("\u202f", " ")
    assert "| one/head | peak memory | 1.1e+09 | 1e+09 | +10 % |" in out
    assert "peak memory: 1 of 1 arms within 15 %" in out
    assert "in all: 0 of 1 arms within 25 %" in out


def test_an_arm_that_was_not_predicted_was_not_predicted_well(tmp_path: Path) -> None:
    group = _group(tmp_path / "one", {"head": (0.0, 0.0)})
    document = json.loads((group / "group.json").read_text())
    document["arms"]["head"]["predicted"] = {"peak_memory_bytes": 1e9, "train_seconds": 10.0, "total_seconds": None}
    (group / "group.json").write_text(json.dumps(document))
    assert document_of([group])["within"]["in all"] == {"error": 0.25, "arms": 1, "within": 0, "share": 0.0}


def test_a_folder_without_a_finished_comparison_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BenchmarkError, match="no finished comparison"):
        document_of([tmp_path])
    assert main(["prediction", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("error: ")
