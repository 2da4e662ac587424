"""bf16 and int8, on the CPU: what is stored in them, what is not, and that a model learns."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from tiny_recipes import classifier, writer

import tunesmith
from tunesmith.app.axes import measure_axes
from tunesmith.app.run import Run
from tunesmith.app.task import attach, prepare
from tunesmith.app.tune import tune
from tunesmith.core.events import Event, Notice
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Labelled, Origin
from tunesmith.engine.kernels.frozen import Int8Linear
from tunesmith.recipe import Recipe, from_mapping

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


def test_a_cap_on_the_logits_is_seen_though_bf16_rounds_as_much(
    decoder_folder: Path, pairs_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = transformers.LlamaForCausalLM.forward

    def capped(self: Any, *args: Any, **kwargs: Any) -> Any:
        output = plain(self, *args, **kwargs)
        cap = 3 * output.logits.abs().max().detach()  # the largest logit moves by 3.5 %
        output.logits = cap * torch.tanh(output.logits / cap)
        return output

    recipe = writer(decoder_folder, pairs_csv, tmp_path / "out", method={"name": "lora", "r": 4}, engine=BF16)
    assert prepare(recipe, lambda event: None).forward.paths.head == "fused"
    monkeypatch.setattr(transformers.LlamaForCausalLM, "forward", capped)
    forward = prepare(recipe, lambda event: None).forward
    assert forward.computes_in == torch.bfloat16
    assert (forward.paths.attention, forward.paths.head) == ("packed", "model")


def test_a_base_in_int8_learns_and_is_int8_again_when_it_is_loaded(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    changes = {"method": {"name": "lora", "r": 4, "base_precision": "int8"}, "train": {"epochs": 2, "learning_rate": 1e-2}}
    run = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", **changes))
    steps = [event["loss"] for event in run.directory.read_steps() if event["event"] == "step"]
    assert steps[-1] < steps[0]
    exact = tune(writer(decoder_folder, pairs_csv, tmp_path / "exact", **{**changes, "method": {"name": "lora", "r": 4}}))
    first = next(event["loss"] for event in exact.directory.read_steps() if event["event"] == "step")
    assert steps[0] == pytest.approx(first, rel=0.05)
    assert steps[0] != first
    assert run.report["cost"]["total_parameters"] == exact.report["cost"]["total_parameters"]
    lines = [json.loads(line) for line in run.directory.predictions.read_text().splitlines()]
    asked = [line for line in lines if line["tuned"]["text"] is not None]
    prompts = {f"{pairs_csv}:{n}": text for n, (text, _) in enumerate(csv.reader(pairs_csv.open()), start=1)}
    loaded = Run(tmp_path / "out")
    assert any(isinstance(module, Int8Linear) for module in loaded.model.forward.modules())
    answers = loaded.generate([prompts[line["row"]] for line in asked])
    assert answers == [line["tuned"]["text"] for line in asked]


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows whose label is told by a year alone: 2019 or 2020, which are one number in bfloat16."""
    assert torch.tensor(2019.0).bfloat16() == torch.tensor(2020.0).bfloat16()
    folder = tmp_path_factory.mktemp("years")
    rows = "\n".join(f"{2019 + number % 2},{number / 7:.4f},{'new' if number % 2 else 'old'}" for number in range(240))
    (folder / "years.csv").write_text(f"year,weight,label\n{rows}\n", encoding="utf-8")
    tune(_of_years(folder / "base", folder, method="full", model={"architecture": "dense", "hidden": [8]}, export="h5"))
    return folder


def _of_years(out: Path, folder: Path, **changes: Any) -> Recipe:
    made = {
        "data": {"train": str(folder / "years.csv"), "format": "columns"},
        "train": {"epochs": 4, "learning_rate": 2e-2, "examples_per_step": 16},
        "engine": BF16,
        "output_dir": str(out),
    }
    return from_mapping({**made, **changes}, name="years")


NUMBERS: dict[str, Any] = {
    "head": "head",
    "lora": {"name": "lora", "r": 2},
    "full": "full",
    "bitfit": "bitfit",
    "direct": {"name": "direct", "adjust": ["threshold", "biases"], "trials": 4},
}


@pytest.mark.parametrize("method", NUMBERS)
def test_a_network_of_numbers_is_whole_in_float32_so_that_years_stay_apart(method: str, years: Path, tmp_path: Path) -> None:
    model = f"run:{years / 'base'}" if method == "direct" else str(RunDirectory(years / "base").h5)
    said = list[Event]()
    run = tune(_of_years(tmp_path / "out", years, model=model, method=NUMBERS[method]), progress=said.append)
    report = run.report
    assert report["metrics"]["accuracy"]["base"]["value"] == report["metrics"]["accuracy"]["tuned"]["value"] == 1.0
    assert (report["model"]["precision"], report["model"]["precision_reason"]) == (
        "float32",
        "it reads rows of numbers, which bfloat16 would round",
    )
    assert any(isinstance(event, Notice) and "stays in float32" in event.text for event in said)
    assert "float32: it reads rows of numbers" in run.directory.report_html.read_text(encoding="utf-8")
    forward = Run(run.directory).model.forward
    assert {p.dtype for p in forward.parameters()} == {forward.computes_in} == {torch.float32}


def test_the_axes_of_a_network_of_numbers_in_bf16_are_measured_and_no_way_of_asking_changes_what_it_reads(years: Path) -> None:
    found = measure_axes(RunDirectory(years / "base"), limit=20)
    assert found["tuned"]["score"]["value"] == found["tuned"]["robustness"]["worst"]["value"] == 1.0
    assert set(found["changed"].values()) == {0}
    assert found["base_asked"] is found["base"] is None


def test_many_runs_of_a_network_of_numbers_in_bf16_answer_in_float32(years: Path, tmp_path: Path) -> None:
    directories = [
        tune(_of_years(tmp_path / name, years, model=str(RunDirectory(years / "base").h5), method=NUMBERS[name])).directory
        for name in ("head", "lora")
    ]
    for one in tunesmith.load_many(directories).values():
        assert one.forward.computes_in == torch.float32
        rows = [Labelled("", None, Origin("asked", year), numbers=(("year", year), ("weight", 3.0))) for year in (2019, 2020)]
        assert [output.label for output in one.ask(rows).outputs] == ["old", "new"]
