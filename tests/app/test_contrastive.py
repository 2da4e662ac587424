"""Pairs of texts under a classifier: they change what is learned, survive a resume, and are refused where nothing could learn from them."""

from pathlib import Path

import pytest
from tiny_recipes import classifier, stop_at

from tunesmith.app.tune import resume, tune
from tunesmith.core.errors import Interrupted, MethodError
from tunesmith.core.run import RunDirectory

FULL = {"name": "full"}
PAIRS = {"name": "classify", "contrastive": 1.0}
TRAIN = {"epochs": 2, "learning_rate": 1e-3, "examples_per_step": 8}


def test_what_pairs_cost_falls_and_a_resumed_run_ends_as_a_whole_one(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    def recipe(name: str):  # type: ignore[no-untyped-def]
        return classifier(encoder_folder, reviews_csv, tmp_path / name, train=TRAIN, method=FULL, objective=PAIRS)

    tune(recipe("whole"))
    with pytest.raises(Interrupted):
        tune(recipe("cut"), progress=stop_at(2))
    resume(tmp_path / "cut")
    whole, cut = (
        [step["metrics"]["pairs"] for step in RunDirectory(tmp_path / name).read_steps() if step["event"] == "step"]
        for name in ("whole", "cut")
    )
    assert whole[-1] < whole[0]
    assert cut == whole


def test_a_method_that_leaves_the_trunk_as_it_is_is_refused(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(
        MethodError,
        match="method: head trains nothing of the trunk, which the objective classify as it is set teaches alone. Use lora or full",
    ):
        tune(classifier(encoder_folder, reviews_csv, tmp_path / "run", train=TRAIN, method={"name": "head"}, objective=PAIRS))
    assert not (tmp_path / "run").exists()
