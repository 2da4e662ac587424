"""Runs of a benchmark's tasks and the score that they make."""

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app.scoring import score_runs
from tunesmith.cli.main import run as command
from tunesmith.core.errors import RunError
from tunesmith.core.run import RunDirectory
from tunesmith.recipe import dump, load


def entry(tuned: float, base: float | None = 0.5) -> dict[str, Any]:
    sides = {"base": base, "tuned": tuned}
    return {"rows": 100, **{side: value and {"value": value, "low": value - 0.05, "high": value + 0.05} for side, value in sides.items()}}


def measured(folder: Path, recipe: str, *overrides: str, domains: dict[str, Any] | None = None, **metrics: dict[str, Any]) -> str:
    """A finished run of a shipped recipe that measured `metrics`."""
    made = RunDirectory(folder / f"{recipe}-run")
    made.path.mkdir()
    made.recipe.write_text(dump(load(recipe, overrides)), encoding="utf-8")
    made.report_json.write_text(
        json.dumps({"metrics": metrics, "domains": {name: {"metrics": one} for name, one in (domains or {}).items()}})
    )
    return str(made.path)


def test_a_task_is_the_mean_of_its_metrics_and_the_average_that_of_the_tasks(tmp_path: Path) -> None:
    runs = [
        measured(tmp_path, "glue-mrpc", "data.test.glue=mrpc:test", accuracy=entry(0.8), f1=entry(0.9), mcc=entry(0.1)),
        measured(tmp_path, "glue-cola", mcc=entry(0.25)),
        measured(tmp_path, "glue-mnli", accuracy=entry(0.7), domains={"mismatched": {"accuracy": entry(0.5)}}),
    ]
    found = score_runs(runs)
    assert list(found["tasks"]) == ["cola", "mrpc", "mnli"]
    assert found["tasks"]["mrpc"]["source"] == "mrpc:test"
    assert list(found["tasks"]["mrpc"]["metrics"]) == ["accuracy", "f1"]
    assert [one["score"]["tuned"]["value"] for one in found["tasks"].values()] == pytest.approx([0.25, 0.85, 0.6])
    assert found["average"]["tuned"]["value"] == pytest.approx((0.25 + 0.85 + 0.6) / 3)
    assert found["missing"] == ["sst2", "stsb", "qqp", "qnli", "rte", "wnli"]


def test_where_a_base_was_not_asked_there_is_no_average_of_the_bases(tmp_path: Path) -> None:
    found = score_runs([
        measured(tmp_path, "glue-stsb", pearson=entry(0.8, None), spearman=entry(0.8, None)),
        measured(tmp_path, "glue-sst2", accuracy=entry(0.9)),
    ])  # fmt: skip
    assert found["average"]["base"] is None
    assert found["average"]["tuned"]["value"] == pytest.approx(0.85)


def test_the_command_prints_task_by_task_and_names_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [
        measured(tmp_path, "superglue-cb", accuracy=entry(0.8), macro_f1=entry(0.6)),
        measured(tmp_path, "superglue-boolq", accuracy=entry(0.7)),
    ]
    assert command(["runs", "score", *runs]) == 0
    printed = capsys.readouterr().out
    firsts = [line.split()[0] for line in printed.splitlines() if line.split()]
    assert [word for word in firsts if word in ("task", "BoolQ", "CB", "average")] == ["task", "BoolQ", "CB", "average"]
    assert "2 of 8 tasks" in printed
    missing = "Missing: superglue-copa, superglue-multirc, superglue-record, superglue-rte, superglue-wic, superglue-wsc."
    assert missing in " ".join(printed.split())
    assert command(["runs", "score", *runs, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "tunesmith/score/1"


def test_what_cannot_be_put_together_is_said(tmp_path: Path) -> None:
    sst2 = measured(tmp_path, "glue-sst2", accuracy=entry(0.9))
    with pytest.raises(RunError, match=r"was not measured on a task of a benchmark: its data\.test is no \{glue: \.\.\.\}"):
        score_runs([measured(tmp_path, "reviews", accuracy=entry(0.9))])
    with pytest.raises(RunError, match=r"is a run of SST-2 too\. Name one run a task"):
        score_runs([sst2, sst2])
    with pytest.raises(RunError, match=r"is a run of SuperGLUE, the others are of GLUE\. Score them apart"):
        score_runs([sst2, measured(tmp_path, "superglue-wic", accuracy=entry(0.6))])
    with pytest.raises(RunError, match=r"MRPC is judged by accuracy and f1, and f1 was not measured\. Name it in evaluate\.metrics"):
        score_runs([measured(tmp_path, "glue-mrpc", accuracy=entry(0.8))])
    with pytest.raises(RunError, match=r"was not measured on mnli:validation_mismatched, which counts as much"):
        score_runs([measured(tmp_path, "glue-mnli", "evaluate.domains={}", accuracy=entry(0.8))])
