"""Runs on quantized bases: QLoRA from recipe to prediction, and what is refused before anything trains."""

import csv
import gc
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_recipes import classifier, stop_at

from tunesmith.app.placing import place
from tunesmith.app.run import Run
from tunesmith.app.task import attach, load_model, prepare
from tunesmith.app.tune import plan, resume, tune
from tunesmith.core.errors import Interrupted, MethodError, ModelError, UsageError
from tunesmith.core.events import Event, Warned
from tunesmith.engine.kernels.quantized import QuantizedLayer, linear_layers
from tunesmith.recipe import Recipe, load


def _on(form: str, folder: Path, data: Path, out: Path, **changes: Any) -> Recipe:
    recipe = classifier(folder, data, out, **changes)
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"quantization": form})})


def _losses(run: Run) -> list[float]:
    return [event["loss"] for event in run.directory.read_steps() if event["event"] == "step"]


def test_a_qlora_recipe_learns_resumes_and_its_model_loaded_again_says_what_it_said(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    method = {"name": "qlora", "r": 4}
    whole = tune(classifier(encoder_folder, reviews_csv, tmp_path / "whole", method=method))
    with pytest.raises(Interrupted):
        tune(classifier(encoder_folder, reviews_csv, tmp_path / "cut", method=method), progress=stop_at(20))
    resumed = resume(tmp_path / "cut")
    assert _losses(resumed) == pytest.approx(_losses(whole), rel=1e-6)
    assert whole.report["metrics"]["accuracy"]["tuned"]["value"] > 0.9
    assert whole.report["model"]["quantization"] == "nf4"
    recipe = load(whole.directory.recipe)
    assert (recipe.method.name, recipe.model.quantization) == ("lora", "nf4")
    lines = [json.loads(line) for line in whole.directory.predictions.read_text().splitlines()]
    rows = {f"{reviews_csv}:{n}": text for n, (text, _) in enumerate(csv.reader(reviews_csv.open()), start=1)}
    answers = Run(tmp_path / "whole").predict([rows[line["row"]] for line in lines])
    for line, answer in zip(lines, answers, strict=True):
        assert list(answer["probabilities"].values()) == pytest.approx(line["tuned"]["probabilities"], abs=1e-5)


@pytest.mark.parametrize("form", ["int8", "int4", "nf4", "fp4", "bf16", "fp16"])
def test_the_plan_counts_quantized_weights_by_their_own_bytes(form: str, encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    plain = plan(classifier(encoder_folder, reviews_csv, tmp_path / "out"))
    packed = plan(_on(form, encoder_folder, reviews_csv, tmp_path / "out"))
    task = prepare(_on(form, encoder_folder, reviews_csv, tmp_path / "out"), lambda event: None)
    attach(task)
    layers = [module for module in task.model.trunk.modules() if isinstance(module, QuantizedLayer)]
    sizes = [layer.weight.numel() for layer in layers]
    held = sum(b.numel() * b.element_size() for layer in layers for b in layer.buffers())
    assert packed.total_parameters == plain.total_parameters
    assert plain.memory["weights_bytes"] - packed.memory["weights_bytes"] == 4 * sum(sizes) - held - 4 * max(sizes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "full"}, "method: full trains the weights that model.quantization keeps in nf4. Use lora, or leave"),
        ({"method": {"name": "layers", "last": 1}}, "method: layers trains the weights that model.quantization keeps in nf4"),
        (
            {"method": {"name": "lora", "base_precision": "int8"}},
            "method.base_precision: int8 rounds weights that model.quantization keeps",
        ),
        (
            {"method": {"name": "lora", "target_modules": ["query", "value"], "modules_to_save": ["intermediate.dense"]}},
            r"method.modules_to_save: trains encoder\.layer\.0\.intermediate\.dense whole, which model.quantization keeps in nf4. Name it in",
        ),
        (
            {"method": {"name": "peft", "r": 8, "target_modules": ["query"], "modules_to_save": ["attention.output"]}},
            r"trains encoder\.layer\.0\.attention\.output\.dense whole",
        ),
    ],
)
def test_what_contradicts_a_quantized_base_is_refused(
    changes: dict[str, Any], said: str, encoder_folder: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    recipe = _on("nf4", encoder_folder, reviews_csv, tmp_path / "out", **changes)
    with pytest.raises(MethodError, match=said):
        tune(recipe)
    assert not (tmp_path / "out").exists()


def test_biases_train_on_a_quantized_base(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(_on("int8", encoder_folder, reviews_csv, tmp_path / "out", method="bitfit"))
    losses = _losses(run)
    assert losses[-1] < losses[0]


def test_a_run_on_a_quantized_base_is_folded_into_the_full_one_and_says_so(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    tune(classifier(encoder_folder, reviews_csv, tmp_path / "first", method={"name": "qlora", "r": 4}))
    said = list[Event]()
    recipe = classifier(tmp_path / "first", reviews_csv, tmp_path / "second")
    from tunesmith.core import registry

    model = load_model(recipe, registry.create("objective", "classify"), said.append)
    assert any(
        isinstance(e, Warned) and "trained on the base kept in nf4; it is merged into the base in full precision" in e.text for e in said
    )
    assert all(layer.weight.dtype == torch.float32 for layer in linear_layers(model.trunk).values())  # type: ignore[union-attr]


def test_a_missing_package_is_named(encoder_folder: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(UsageError, match=r"need the package bitsandbytes, .* pip install bitsandbytes"):
        tune(_on("nf4", encoder_folder, reviews_csv, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_model_without_linear_layers_is_refused(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    recipe = _on("int8", encoder_folder, reviews_csv, tmp_path / "out")
    task = prepare(classifier(encoder_folder, reviews_csv, tmp_path / "out"), lambda event: None)
    bare = replace(task.model, trunk=torch.nn.Embedding(3, 2))
    with pytest.raises(ModelError, match=r"model\.quantization: .* has no linear layer"):
        place(bare, recipe, torch.device("cpu"), is_frozen=True)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not list what is mapped")
def test_the_file_of_the_plain_weights_is_in_memory_no_more(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(encoder_folder, tmp_path / "model")

    def is_mapped() -> bool:
        return str(folder / "model.safetensors") in Path("/proc/self/maps").read_text()

    plain = prepare(classifier(folder, reviews_csv, tmp_path / "out"), lambda event: None)
    assert is_mapped()
    del plain
    task = prepare(_on("int8", folder, reviews_csv, tmp_path / "out"), lambda event: None)
    gc.collect()
    assert not is_mapped()
    assert task.forward.quantized_layers


def test_the_plain_ways_compute_the_same_quantized_model(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    """Without dropout, whose random numbers the two ways draw differently."""
    quiet = tmp_path / "model"
    shutil.copytree(encoder_folder, quiet)
    config = json.loads((quiet / "config.json").read_text())
    (quiet / "config.json").write_text(json.dumps(config | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}))
    fast = tune(_on("nf4", quiet, reviews_csv, tmp_path / "fast", train={"max_steps": 6, "learning_rate": 1e-3}))
    plain = tune(
        _on("nf4", quiet, reviews_csv, tmp_path / "plain", train={"max_steps": 6, "learning_rate": 1e-3}, engine={"exact_reference": True})
    )
    assert _losses(fast) == pytest.approx(_losses(plain), abs=1e-4)
