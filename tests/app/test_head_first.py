"""A new head fitted before the rest trains: said, counted, the same after a resume, and refused where there is none."""

from pathlib import Path

import pytest
from tiny_recipes import classifier, stop_at, writer

from tunesmith.app.tune import plan, resume, tune
from tunesmith.core.errors import Interrupted, RecipeError
from tunesmith.core.events import Event, Notice

FIRST = {"epochs": 2, "learning_rate": 1e-3, "examples_per_step": 8, "head_first": True}


def test_it_is_said_and_counted_and_training_starts_from_it(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    said = list[Event]()
    first = tune(classifier(encoder_folder, reviews_csv, tmp_path / "first", train=FIRST), progress=said.append)
    without = tune(classifier(encoder_folder, reviews_csv, tmp_path / "without", train={**FIRST, "head_first": False}))
    assert any(isinstance(event, Notice) and event.text.startswith("the head alone") for event in said)
    assert first.report["cost"]["head_first_seconds"] > 0
    assert without.report["cost"]["head_first_seconds"] == 0
    assert first.report["curves"]["train"][0]["loss"] < 0.9 * without.report["curves"]["train"][0]["loss"]


def test_a_resumed_run_ends_as_a_whole_one(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    whole = tune(classifier(encoder_folder, reviews_csv, tmp_path / "whole", train=FIRST))
    with pytest.raises(Interrupted):
        tune(classifier(encoder_folder, reviews_csv, tmp_path / "cut", train=FIRST), progress=stop_at(2))
    assert resume(tmp_path / "cut").report["curves"]["train"][-1]["loss"] == whole.report["curves"]["train"][-1]["loss"]


def test_an_objective_without_a_new_head_is_told(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="train.head_first: the objective sft puts no new head on the model. Leave it out."):
        plan(writer(decoder_folder, pairs_csv, tmp_path / "out", train=FIRST))
