"""What of a comparison a budget leaves out: arms that would take too long, or too much memory."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_recipes import classifier

from tunesmith.app import compare as comparing
from tunesmith.app.compare import compare
from tunesmith.core.errors import RecipeError, UsageError

ARMS = ["majority", "base", "head", "full"]
QUICK = {"epochs": 3, "learning_rate": 1e-2, "examples_per_step": 8}


def test_arms_that_would_take_more_memory_than_they_may_are_left_out(
    encoder_folder: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predicted = {"head": 7 * 10**8, "full": 9 * 10**8}
    monkeypatch.setattr(
        comparing, "plan", lambda recipe, probes: SimpleNamespace(train_seconds=1.0, peak_memory_bytes=predicted[recipe.method.name])
    )
    found = compare(classifier(encoder_folder, reviews, tmp_path / "out", arms=ARMS, train=QUICK, budget_memory="800MB")).report
    assert list(found["arms"]) == ["majority", "base", "head"]
    assert "it would take about 900" in found["left_out"]["full"]
    with pytest.raises(RecipeError, match="budget_memory: expected a size such as 800MB or 4GB, found .4 tons."):
        classifier(encoder_folder, reviews, tmp_path / "out", budget_memory="4 tons")


def test_arms_that_the_budget_does_not_hold_are_left_out_and_told(
    encoder_folder: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    predicted = {"head": 5.0, "full": 1e6}
    monkeypatch.setattr(
        comparing, "plan", lambda recipe, probes: SimpleNamespace(train_seconds=predicted[recipe.method.name], peak_memory_bytes=0)
    )
    monkeypatch.setattr(comparing, "predicted_seconds", lambda planned, done: planned.train_seconds)
    found = compare(classifier(encoder_folder, reviews, tmp_path / "out", arms=ARMS, train=QUICK, budget="20m")).report
    assert list(found["arms"]) == ["majority", "base", "head"]
    assert found["left_out"].keys() == {"full"}
    assert "it would take about 1000000 s" in found["left_out"]["full"]
    assert "Left out: full (it would take" in found["verdict"]["reason"]
    predicted["head"] = 1e6
    with pytest.raises(UsageError, match=r"budget: it holds no arm. head: it would take"):
        compare(classifier(encoder_folder, reviews, tmp_path / "none", arms=ARMS, train=QUICK, budget="20m"))
    assert not (tmp_path / "none").exists()
