"""`adapter_scale` of what any method added to a model's own weights: W + s (W' - W), W' as peft has it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from tiny_recipes import classifier
from torch import Tensor, nn
from transformers import AutoModel

from tunesmith.app import direct as direct_app
from tunesmith.app.merge import merge_runs
from tunesmith.app.task import load_model
from tunesmith.app.tune import tune
from tunesmith.app.tuned import load_tuned
from tunesmith.core import registry
from tunesmith.core.errors import TunesmithError
from tunesmith.core.run import RunDirectory
from tunesmith.recipe import Recipe, from_mapping


@pytest.fixture(autouse=True)
def _third_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be kept, whatever it is worth."""
    monkeypatch.setattr(direct_app, "best_of", lambda *_, **__: 2)
    monkeypatch.setattr(direct_app, "_is_gain", lambda *_, **__: True)


def _scaled(run: Path, data: Path, out: Path, **changes: Any) -> Recipe:
    recipe = {
        "model": f"run:{run}",
        "data": {"train": str(data), "columns": {"text": "review", "label": "sentiment"}, "split": {"validation": 0.45, "test": 0.45}},
        "method": {"name": "direct", "adjust": ["adapter_scale"], "trials": 3, "metric": "brier"},
        "evaluate": {"retention": "none"},
        "output_dir": str(out),
    }
    return from_mapping({**recipe, **changes}, name="tiny")


def _parameters(trunk: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in trunk.named_parameters()}


def _tuned_by(method: dict[str, Any], base: Path, data: Path, out: Path, **of_model: Any) -> Path:
    recipe = classifier(base, data, out, method=method, train={"epochs": 1, "learning_rate": 3e-2, "examples_per_step": 8})
    return tune(recipe.model_copy(update={"model": recipe.model.model_copy(update=of_model)})).path


ADAPTERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "dora": ({"name": "lora", "r": 2, "use_dora": True}, {}),
    "rslora": ({"name": "lora", "r": 4, "use_rslora": True}, {}),
    "qlora": ({"name": "lora", "r": 4}, {"quantization": "nf4"}),
    "ia3": ({"name": "ia3"}, {}),
    "vera": ({"name": "peft", "peft_type": "VERA", "r": 4}, {}),
}


@pytest.mark.parametrize("kind", ADAPTERS)
def test_an_adapter_of_any_kind_is_the_way_from_the_base_to_what_peft_makes_of_it(
    kind: str, encoder_folder: Path, reviews: Path, tmp_path: Path, cache: None
) -> None:
    method, of_model = ADAPTERS[kind]
    trained = _tuned_by(method, encoder_folder, reviews, tmp_path / "trained", **of_model)
    run = tune(_scaled(trained, reviews, tmp_path / "run"))
    (scale,) = (one["to"] for one in run.report["direct"]["numbers"])
    base = _parameters(AutoModel.from_pretrained(encoder_folder))
    after = _parameters(PeftModel.from_pretrained(AutoModel.from_pretrained(encoder_folder), trained / "adapter").merge_and_unload())
    found = _parameters(load_tuned(RunDirectory(run.path)).model.trunk)
    moved = [name for name in found if not torch.equal(after[name], base[name])]
    assert moved
    assert abs(scale - 1) > 0.05
    for name, own in found.items():
        torch.testing.assert_close(own, base[name] + scale * (after[name] - base[name]), rtol=1e-4, atol=1e-5)
    merge_runs([RunDirectory(run.path)], tmp_path / "merged")
    for name, own in _parameters(AutoModel.from_pretrained(tmp_path / "merged", add_pooling_layer=False)).items():
        torch.testing.assert_close(own, found[name], rtol=1e-4, atol=1e-5)
    on_top = load_model(_scaled(run.path, reviews, tmp_path / "no"), registry.create("objective", "classify"), lambda event: None).trunk
    for name, own in _parameters(on_top).items():
        torch.testing.assert_close(own, found[name], rtol=1e-4, atol=1e-5)


def test_parameters_that_were_trained_themselves_are_scaled_too(encoder_folder: Path, reviews: Path, tmp_path: Path, cache: None) -> None:
    trained = _tuned_by({"name": "bitfit"}, encoder_folder, reviews, tmp_path / "trained")
    run = tune(_scaled(trained, reviews, tmp_path / "run"))
    (scale,) = (one["to"] for one in run.report["direct"]["numbers"])
    base = _parameters(AutoModel.from_pretrained(encoder_folder))
    after = load_file(trained / "adapter" / "selected.safetensors")
    found = _parameters(load_tuned(RunDirectory(run.path)).model.trunk)
    for name, own in found.items():
        wanted = base[name] + scale * (after[name] - base[name]) if name in after else base[name]
        torch.testing.assert_close(own, wanted, rtol=1e-4, atol=1e-5)


def test_a_run_that_brought_tokens_and_one_that_is_whole_are_refused(
    encoder_folder: Path, reviews: Path, tmp_path: Path, cache: None
) -> None:
    with_words = _tuned_by({"name": "lora", "r": 2}, encoder_folder, reviews, tmp_path / "words", add_tokens=["very good"])
    whole = _tuned_by({"name": "full"}, encoder_folder, reviews, tmp_path / "whole")
    for run, message in ((with_words, "gave the model new tokens"), (whole, "has no adapter. Name a run that was tuned with one")):
        with pytest.raises(TunesmithError, match=message):
            tune(_scaled(run, reviews, tmp_path / "run"))
        assert not (tmp_path / "run").exists()
