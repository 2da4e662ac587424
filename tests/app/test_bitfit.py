"""A run whose biases trained: what it keeps is small, is predicted with, and is the base of a later run."""

from pathlib import Path

import pytest
from safetensors.torch import load_file
from tiny_recipes import classifier, stop_at

from tunesmith.app.tune import resume, tune
from tunesmith.core.errors import Interrupted


def test_a_later_run_begins_with_what_trained(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    first = tune(classifier(encoder_folder, reviews_csv, tmp_path / "first", method="bitfit"))
    saved = load_file(tmp_path / "first" / "adapter" / "selected.safetensors")
    assert saved
    assert all(name.endswith(".bias") for name in saved)
    heads = first.report["cost"]["trainable_parameters"] - sum(tensor.numel() for tensor in saved.values())
    assert 0 < heads < 200
    later = tune(classifier(tmp_path / "first", reviews_csv, tmp_path / "later", method="lora", train={"max_steps": 1}))
    assert later.report["metrics"]["accuracy"]["base"] == first.report["metrics"]["accuracy"]["tuned"]


def test_an_interrupted_run_ends_as_a_whole_one(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    whole = tune(classifier(encoder_folder, reviews_csv, tmp_path / "whole", method="bitfit"))
    with pytest.raises(Interrupted):
        tune(classifier(encoder_folder, reviews_csv, tmp_path / "cut", method="bitfit"), progress=stop_at(5))
    assert resume(tmp_path / "cut").report["metrics"] == whole.report["metrics"]
