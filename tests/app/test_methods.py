"""Every method, from a recipe: under every kind of objective, to its report and back, and stopped in the middle."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_recipes import classifier, stop_at
from ways import WAYS

from tunesmith.app.tune import resume, tune
from tunesmith.app.tuned import load_tuned
from tunesmith.core import registry
from tunesmith.core.errors import Interrupted, MethodError
from tunesmith.recipe import Recipe, from_mapping

SHORT = {"max_steps": 3, "examples_per_step": 8}

EVALUATED: dict[str, dict[str, Any]] = {
    "classify": {"metrics": ["accuracy"]},
    "regress": {"metrics": ["rmse"]},
    "sft": {"metrics": ["exact_match"], "max_new_tokens": 4, "generate_limit": 4},
    "causal_lm": {},
}
"""Objective -> `evaluate` of a recipe: one metric, as each is resampled."""


def _recipe(objective: str, way: str, folders: dict[str, Path], out: Path, train: dict[str, Any]) -> Recipe:
    columns = {"columns": {"text": "review", "label": "sentiment"}} if objective == "classify" else {}
    model = folders["encoder" if objective in ("classify", "regress") else "decoder"]
    recipe = {
        "model": {"source": str(model), "add_tokens": ["the cat"] if way == "new_tokens" else None},
        "data": {"train": str(folders[objective]), **columns},
        "method": WAYS[way],
        "train": train,
        "evaluate": EVALUATED[objective],
        "output_dir": str(out),
    }
    return from_mapping(recipe, name="tiny")


@pytest.fixture
def folders(encoder_folder: Path, decoder_folder: Path, reviews_csv: Path, pairs_csv: Path, tmp_path: Path) -> dict[str, Path]:
    """The tiny models, and data for each objective."""
    lines = [line.rpartition(",") for line in reviews_csv.read_text().splitlines()[1:]]
    rated, raw = tmp_path / "rated.jsonl", tmp_path / "raw.jsonl"
    rated.write_text("\n".join(json.dumps({"text": text, "label": len(text) / 10 + (label == "positive")}) for text, _, label in lines))
    raw.write_text("\n".join(json.dumps({"text": text}) for text, _, _ in lines))
    return {
        "encoder": encoder_folder,
        "decoder": decoder_folder,
        "classify": reviews_csv,
        "regress": rated,
        "sft": pairs_csv,
        "causal_lm": raw,
    }


@pytest.mark.parametrize("objective", EVALUATED)
@pytest.mark.parametrize("way", WAYS)
def test_every_method_runs_under_every_objective_to_its_report_and_answers_as_it_says(
    way: str, objective: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    if way == "head" and objective in ("sft", "causal_lm"):
        with pytest.raises(MethodError, match="trains only a new head"):
            tune(_recipe(objective, way, folders, tmp_path / "out", SHORT))
        return
    run = tune(_recipe(objective, way, folders, tmp_path / "out", SHORT))
    report = run.report
    assert report["task"]["objective"] == objective
    assert report["cost"]["trainable_parameters"] > 0
    assert report["cost"]["saved_bytes"] > 0
    predictions = [json.loads(line) for line in run.directory.predictions.read_text().splitlines()]
    tuned = load_tuned(run.directory)
    method = tuned.recipe.method
    assert len(tuned.forward.virtual_ids) == registry.create("method", method.name, **method.options).virtual_tokens
    if objective == "classify":
        asked = [line.rpartition(",")[0] for line in folders["classify"].read_text().splitlines()]
        texts = [asked[int(line["row"].rpartition(":")[2]) - 1] for line in predictions]
        said = [one["label"] for one in run.predict(texts)]
        assert said == [line["tuned"]["label"] for line in predictions]


@pytest.mark.parametrize(
    ("way", "objective"), [(way, name) for way in WAYS for name in ("classify", "sft") if (way, name) != ("head", "sft")]
)
def test_an_interrupted_run_ends_as_a_whole_one(way: str, objective: str, folders: dict[str, Path], tmp_path: Path) -> None:
    _ends_as_a_whole_one(way, objective, folders, tmp_path)


@pytest.mark.parametrize("way", ["full", "lora"])
def test_an_interrupted_run_of_an_encoder_decoder_ends_as_a_whole_one(
    way: str, folders: dict[str, Path], seq2seq_folder: Path, tmp_path: Path
) -> None:
    _ends_as_a_whole_one(way, "sft", folders | {"decoder": seq2seq_folder}, tmp_path)


def _ends_as_a_whole_one(way: str, objective: str, folders: dict[str, Path], tmp_path: Path) -> None:
    train = {"max_steps": 4, "examples_per_step": 8}
    whole = tune(_recipe(objective, way, folders, tmp_path / "whole", train))
    with pytest.raises(Interrupted):
        tune(_recipe(objective, way, folders, tmp_path / "cut", train), progress=stop_at(2))
    resumed = resume(tmp_path / "cut")
    assert resumed.report["metrics"] == whole.report["metrics"]
    assert resumed.directory.predictions.read_text() == whole.directory.predictions.read_text()
    assert [e["loss"] for e in resumed.report["curves"]["train"]] == [e["loss"] for e in whole.report["curves"]["train"]]


@pytest.mark.parametrize("way", ["prompt", "prefix", "p_tuning", "adapter"])
def test_what_no_weight_can_take_up_is_no_base(way: str, folders: dict[str, Path], tmp_path: Path) -> None:
    tune(_recipe("classify", way, folders, tmp_path / "first", SHORT))
    kind = "bottleneck adapters" if way == "adapter" else "virtual tokens"
    with pytest.raises(MethodError, match=f"holds {kind}, which no weight of a model can take up"):
        tune(classifier(tmp_path / "first", folders["classify"], tmp_path / "later", method="lora", train=SHORT))


def test_the_learning_rate_is_the_methods_own_where_the_recipe_names_none(folders: dict[str, Path], tmp_path: Path) -> None:
    train = {"max_steps": 1, "warmup_ratio": 0.0, "schedule": "constant"}
    for way in ("lora", "prompt"):
        run = tune(_recipe("classify", way, folders, tmp_path / way, train))
        assert run.report["curves"]["train"][0]["learning_rate"] == registry.create("method", way).learning_rate


def test_layers_whose_turn_did_not_come_are_named(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WAYS, "gradual", {"name": "full", "unfreeze_every": 9.0})
    run = tune(_recipe("classify", "gradual", folders, tmp_path / "out", SHORT))
    (said,) = [one for one in run.report["warnings"] if "nearest to the input are as they were" in one]
    assert "Raise train.epochs, or lower method.unfreeze_every." in said
    before, after = (load_tuned(tune(_recipe("classify", "head", folders, tmp_path / "head", SHORT)).directory), load_tuned(run.directory))
    embeddings = [one.forward.trunk.get_input_embeddings().weight for one in (before, after)]  # type: ignore[operator,union-attr]
    assert torch.equal(*embeddings)
