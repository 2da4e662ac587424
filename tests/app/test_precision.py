"""bf16, on the CPU: what is stored in it, what is not, and that it learns."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_recipes import classifier, writer

from tunesmith.app.run import Run
from tunesmith.app.task import attach, prepare
from tunesmith.app.tune import tune

BF16 = {"precision": "bf16"}


@pytest.mark.parametrize("method", ["head", {"name": "lora", "r": 4}, "full"])
def test_frozen_weights_are_stored_in_bf16_and_what_trains_in_float32(
    method: Any, encoder_folder: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    task = prepare(classifier(encoder_folder, reviews_csv, tmp_path / "out", method=method, engine=BF16), lambda event: None)
    trained = {id(p) for group in attach(task) for p in group.params}
    assert task.forward.computes_in == torch.bfloat16
    assert all(p.dtype == (torch.float32 if id(p) in trained else torch.bfloat16) for p in task.forward.parameters())


def test_a_classifier_learns_in_bf16_and_its_model_loaded_again_says_what_it_said(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", engine=BF16))
    assert run.report["metrics"]["accuracy"]["tuned"]["value"] > 0.9
    assert {tensor.dtype for tensor in load_file(run.directory.adapter / "adapter_model.safetensors").values()} == {torch.float32}
    lines = [json.loads(line) for line in run.directory.predictions.read_text().splitlines()]
    rows = {f"{reviews_csv}:{n}": text for n, (text, _) in enumerate(csv.reader(reviews_csv.open()), start=1)}
    answers = Run(tmp_path / "out").predict([rows[line["row"]] for line in lines])
    for line, answer in zip(lines, answers, strict=True):
        assert list(answer["probabilities"].values()) == pytest.approx(line["tuned"]["probabilities"], abs=2e-2)


@pytest.mark.parametrize("method", ["full", {"name": "lora", "r": 4}])
def test_a_writer_trains_in_bf16_much_as_in_float32(method: Any, decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        recipe = writer(decoder_folder, pairs_csv, tmp_path / precision, method=method, engine={"precision": precision})
        run = tune(recipe)
        losses.append([event["loss"] for event in run.directory.read_steps() if event["event"] == "step"])
    assert len(losses[0]) == len(losses[1]) > 5
    assert losses[1][0] == pytest.approx(losses[0][0], rel=1e-3)
    assert losses[1] == pytest.approx(losses[0], rel=5e-2)
    assert losses[1] != losses[0]
