"""`direct` under heads of every kind: thresholds of many labels and of tags, planted and found; weights under numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tunesmith.adjust.temperature import Temperature
from tunesmith.app.tune import tune
from tunesmith.app.tuned import load_tuned
from tunesmith.core import registry
from tunesmith.core.errors import MethodError
from tunesmith.core.run import RunDirectory
from tunesmith.recipe import Recipe, from_mapping

NOUNS = "cat dog mat film".split()
SENTENCES = [[first, noun, verb, mood] for first in ("the", "a") for noun in NOUNS for verb in ("is", "was", "ran", "sat") for mood in ("good", "bad")]  # fmt: skip


def _rows(kind: str) -> list[dict[str, Any]]:
    if kind == "multi_label":
        return [
            {"text": " ".join(words), "labels": [words[-1], *(["animal"] if words[1] in ("cat", "dog") else [])]} for words in SENTENCES
        ]
    if kind == "token_classify":
        return [{"tokens": words, "ner_tags": ["B-X" if word in NOUNS else "O" for word in words]} for words in SENTENCES]
    return [{"text": " ".join(words), "label": 130.5 if words[-1] == "good" else 100.5} for words in SENTENCES]


def _recipe(model: str, file: Path, out: Path, **more: Any) -> Recipe:
    recipe = {"model": model, "data": {"train": str(file), "split": {"validation": 0.4, "test": 0.3}}, "output_dir": str(out), **more}
    return from_mapping({"evaluate": {"retention": "none"}, **recipe}, name="heads")


def _shifted(run: Path, added: list[float]) -> None:
    """Add numbers to what the run's head says."""
    file = run / "heads.safetensors"
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(file)
    bias = next(name for name in tensors if name.endswith("bias"))
    save_file({**tensors, bias: tensors[bias] + torch.tensor(added)}, file, metadata)


@pytest.mark.parametrize(
    ("kind", "added", "metric"),
    [("multi_label", [9.0, -9.0, 9.0], "labels_micro_f1"), ("token_classify", [40.0, 0.0], "entity_f1")],
)
def test_planted_thresholds_of_labels_and_tags_are_found(
    kind: str, added: list[float], metric: str, encoder_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, _rows(kind))), encoding="utf-8")
    train = {"epochs": 12, "learning_rate": 3e-3, "examples_per_step": 8}
    learned = tune(_recipe(str(encoder_folder), file, tmp_path / "learned", method="full", train=train))
    was = learned.report["metrics"][metric]["tuned"]["value"]
    _shifted(learned.path, added if kind == "multi_label" else [40.0 if one == "O" else 0.0 for one in _labels(learned.path)])
    run = tune(_recipe(f"run:{learned.path}", file, tmp_path / "run", method={"name": "direct", "metric": metric}))
    found = run.report["metrics"][metric]
    assert was > 0.9
    assert found["base"]["value"] < 0.8
    assert found["tuned"]["value"] > 0.9
    assert run.report["direct"]["kept"]


def test_a_temperature_of_several_labels_is_refused_by_itself_as_no_metric_reads_it(encoder_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, _rows("multi_label"))), encoding="utf-8")
    learned = tune(_recipe(str(encoder_folder), file, tmp_path / "learned", method="full", train={"max_steps": 1}))
    method = {"name": "direct", "adjust": ["threshold", "temperature"]}
    with pytest.raises(
        MethodError, match=r"adjust: temperature: no metric of several labels reads how sure the model is.* Name threshold\.$"
    ):
        tune(_recipe(f"run:{learned.path}", file, tmp_path / "run", method=method))
    assert not (tmp_path / "run").exists()
    read = {registry.load("metric", name).needs for name in learned.report["metrics"]}
    assert read.isdisjoint(Temperature.moves)


def _labels(run: Path) -> list[str]:
    described = json.loads((run / "heads.json").read_text())["id2label"]
    return [described[str(place)] for place in range(len(described))]


def test_weights_under_a_head_of_numbers_are_searched_for_and_loaded(encoder_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, _rows("regress"))), encoding="utf-8")
    train = {"epochs": 2, "learning_rate": 3e-3, "examples_per_step": 8}
    learned = tune(_recipe(str(encoder_folder), file, tmp_path / "learned", method="full", train=train))
    method = {"name": "direct", "adjust": ["norms"], "metric": "rmse", "trials": 12}
    run = tune(_recipe(f"run:{learned.path}", file, tmp_path / "run", method=method))
    found = run.report["direct"]
    assert found["validation"]["after"] <= found["validation"]["before"]  # less is better
    assert found["sampler"] == "cmaes"
    lines = [json.loads(line) for line in (run.path / "predictions.jsonl").read_text().splitlines()]
    said = load_tuned(RunDirectory(run.path)).predict([line["text"] for line in lines])
    assert [one["value"] for one in said] == pytest.approx([line["tuned"]["number"] for line in lines], abs=1e-3)


def test_biases_of_a_recurrent_classifier_are_its_cells_and_not_its_vocabulary_heads(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [{"text": " ".join(words), "label": words[-1]} for words in SENTENCES]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    network = {
        "architecture": {"name": "lstm", "embedding_size": 8, "hidden_size": 8, "num_layers": 2},
        "vocabulary": {"size": 300, "of": "words"},
    }
    learned = tune(_recipe(network, file, tmp_path / "learned", method="full", objective="classify", train={"max_steps": 2}))  # type: ignore[arg-type]
    method = {"name": "direct", "adjust": ["biases"], "metric": "brier", "trials": 4}
    run = tune(_recipe(f"run:{learned.path}", file, tmp_path / "run", method=method))
    assert [one["name"] for one in run.report["direct"]["numbers"]] == ["layer 1", "layer 2"]
