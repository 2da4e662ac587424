"""Layers that run once a row, or again in the backward pass: chosen by recipe and plan, told in the report, and nothing else changes."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_recipes import classifier, stop_at, writer
from transformers import AutoConfig, AutoModelForCausalLM

from tunesmith.app import machine
from tunesmith.app import plan as planning
from tunesmith.app.run import Run
from tunesmith.app.tune import plan, resume, tune
from tunesmith.core.errors import Interrupted, MethodError
from tunesmith.core.events import Event, Notice, Warned

UPPER = {"name": "lora", "r": 4, "target_modules": r".*\.1\..*(_proj|query|value)"}


def _losses(run: Run) -> list[float]:
    return [step["loss"] for step in run.report["curves"]["train"]]


def _adapted(model: Path, data: Path, out: Path, **changes: Any) -> Any:
    settings = {"method": UPPER, "train": {"epochs": 3, "learning_rate": 1e-2, "examples_per_step": 8}}
    return writer(model, data, out, **{**settings, **changes})


def test_upper_adapters_learn_the_same_over_layers_that_run_once_a_row(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    fast = tune(_adapted(decoder_folder, pairs_csv, tmp_path / "fast"))
    plain = tune(_adapted(decoder_folder, pairs_csv, tmp_path / "plain", engine={"exact_reference": True}))
    assert (fast.report["cost"]["num_kept_layers"], plain.report["cost"]["num_kept_layers"]) == (1, 0)
    assert _losses(fast) == pytest.approx(_losses(plain), abs=1e-4)
    assert [e["loss"] for e in fast.report["curves"]["validation"]] == pytest.approx(
        [e["loss"] for e in plain.report["curves"]["validation"]], abs=1e-4
    )


def test_a_resumed_run_keeps_them_anew_and_ends_as_the_whole_one(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    whole = tune(_adapted(decoder_folder, pairs_csv, tmp_path / "whole"))
    with pytest.raises(Interrupted):
        tune(_adapted(decoder_folder, pairs_csv, tmp_path / "cut"), progress=stop_at(10))
    cut = resume(tmp_path / "cut")
    assert cut.report["cost"]["num_kept_layers"] == 1
    assert _losses(cut) == pytest.approx(_losses(whole), abs=1e-5)


def test_in_one_epoch_nothing_is_kept(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    run = tune(_adapted(decoder_folder, pairs_csv, tmp_path / "out", train={"epochs": 1}))
    assert run.report["cost"]["num_kept_layers"] == 0


def test_layers_that_drop_out_run_each_time(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", method=UPPER, train={"epochs": 2}))
    assert run.report["cost"]["num_kept_layers"] == 0


@pytest.mark.parametrize("method", ["full", UPPER])
def test_recomputed_activations_change_nothing_but_the_report(decoder_folder: Path, pairs_csv: Path, tmp_path: Path, method: Any) -> None:
    said = list[Event]()
    options = {"method": method, "engine": {"activation_checkpointing": True}}
    again = tune(_adapted(decoder_folder, pairs_csv, tmp_path / "again", **options), progress=said.append)
    plain = tune(_adapted(decoder_folder, pairs_csv, tmp_path / "plain", method=method))
    assert again.report["cost"]["activation_checkpointing"] is True
    assert plain.report["cost"]["activation_checkpointing"] is False
    assert _losses(again) == pytest.approx(_losses(plain), abs=1e-6)
    assert any(isinstance(event, Notice) and "second time" in event.text for event in said)


def test_where_nothing_in_the_model_trains_asking_for_it_is_answered(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    said = list[Event]()
    options: dict[str, Any] = {"method": {"name": "head"}, "train": {"max_steps": 2}, "engine": {"activation_checkpointing": True}}
    tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", **options), progress=said.append)
    assert any(isinstance(event, Warned) and "engine.activation_checkpointing" in event.text for event in said)


@pytest.mark.parametrize(
    ("wanted", "available", "expected"),
    [("auto", 1, True), ("auto", 2**50, False), ("auto", 0, False), (False, 1, False), (True, 2**50, True)],
)
def test_the_plan_decides_by_the_memory_that_there_is(
    decoder_folder: Path, pairs_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Any, available: int, expected: bool
) -> None:
    monkeypatch.setattr(planning, "available_memory_bytes", lambda _device: available)
    deep = shutil.copytree(decoder_folder, tmp_path / "deep")  # what is saved is what all layers but one keep
    config = AutoConfig.from_pretrained(deep, num_hidden_layers=8)
    AutoModelForCausalLM.from_config(config).save_pretrained(deep)
    usual = plan(_adapted(deep, pairs_csv, tmp_path / "a", engine={"activation_checkpointing": False}))
    planned = plan(_adapted(deep, pairs_csv, tmp_path / "b", engine={"activation_checkpointing": wanted}))
    assert planned.activation_checkpointing is expected
    assert (planned.peak_memory_bytes < usual.peak_memory_bytes) is expected
    assert planned.available_memory_bytes == available


def test_available_memory_is_within_the_machine_and_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert 0 < machine.available_memory_bytes(cpu) <= machine.memory_bytes()
    limit = tmp_path / "memory.max"
    limit.write_text("max\n")
    monkeypatch.setattr(machine, "_CGROUP_LIMITS", (limit, tmp_path / "missing"))
    assert machine.available_memory_bytes(cpu) > 10**6
    limit.write_text("1000000\n")
    assert machine.available_memory_bytes(cpu) == 10**6


def test_what_has_no_effect_beside_the_plain_ways_is_said(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    told = list[str]()
    engine = {"exact_reference": True, "compile": True, "activation_checkpointing": True}
    recipe = _adapted(decoder_folder, pairs_csv, tmp_path / "out", engine=engine, train={"max_steps": 1})
    tune(recipe, progress=lambda event: told.append(event.text) if isinstance(event, Warned) else None)
    for name in ("compile", "activation_checkpointing"):
        assert f"engine.{name}: true has no effect beside engine.exact_reference." in told


def test_layers_run_once_a_row_over_an_int8_base_too(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    method = {**UPPER, "base_precision": "int8"}
    kept = tune(_adapted(decoder_folder, pairs_csv, tmp_path / "kept", method=method))
    assert kept.report["cost"]["num_kept_layers"] == 1
    again = tune(_adapted(decoder_folder, pairs_csv, tmp_path / "again", method=method, engine={"activation_checkpointing": True}))
    assert again.report["cost"]["activation_checkpointing"]
    assert _losses(again) == pytest.approx(_losses(kept), rel=1e-2)


def test_int8_is_refused_where_no_linear_layer_is_frozen(tmp_path: Path, pairs_csv: Path, decoder_folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tunesmith.engine.forward.quantize_frozen", lambda trunk, rounded: 0)
    with pytest.raises(MethodError, match="this model has none"):
        tune(_adapted(decoder_folder, pairs_csv, tmp_path / "out", method={**UPPER, "base_precision": "int8"}))
