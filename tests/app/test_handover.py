"""A network of numbers is trained, handed over as a file of Keras, and goes on for other classes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch
from safetensors.torch import load_file
from tiny_recipes import stop_at

from tunesmith.app.chain import tune_chain
from tunesmith.app.dataset import prepare_data
from tunesmith.app.export import export_run
from tunesmith.app.group import Group
from tunesmith.app.tune import resume, tune
from tunesmith.cli.main import run as command
from tunesmith.core.errors import Interrupted, ModelError, RecipeError, TunesmithError, UsageError
from tunesmith.core.run import RunDirectory
from tunesmith.data import read
from tunesmith.recipe import Recipe, from_mapping, load, load_chain

KNOWN, NEW = ("0", "1", "2", "3"), ("4", "5")


def digits(out: Path, **changes: Any) -> Recipe:
    made = {
        "model": {"architecture": "dense", "hidden": [24, 12]},
        "data": {"train": "digits", "keep_labels": ["0", "1", "2"], "limit": {"train": 200}},
        "method": "full",
        "train": {"max_steps": 40, "learning_rate": 3e-3, "examples_per_step": 16, "evaluations_per_epoch": 1},
        "output_dir": str(out),
    }
    return from_mapping({**made, **changes}, name="digits")


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    """The shipped chain, shortened."""
    out = tmp_path_factory.mktemp("handover") / "out"
    return tune_chain(
        load_chain(
            "handover",
            [
                f"output_dir={out}",
                "four.train.epochs=12",
                "six-by-head.train.epochs=6",
                "six-unfrozen.train.epochs=12",
                "evaluate.metrics=[accuracy]",
                "train.evaluations_per_epoch=1",
            ],
        )
    )


def test_a_new_head_alone_fails_on_unseen_classes_and_unfreezing_repairs_it(group: Group) -> None:
    stages = json.loads(group.directory.group_json.read_text())["stages"]
    by_class = {name: {one["label"]: one for one in stage["classes"]} for name, stage in stages.items()}
    assert {name: tuple(found) for name, found in by_class.items()} == {
        "four": KNOWN, "two": ("2", "3"), "six-by-head": KNOWN + NEW, "six-unfrozen": KNOWN + NEW,
    }  # fmt: skip
    found = {name: [sum(one[side] for one in classes.values() if one["label"] in NEW) for side in ("base", "tuned")] for name, classes in by_class.items() if name.startswith("six")}  # fmt: skip
    num_new = sum(by_class["six-by-head"][label]["rows"] for label in NEW)
    assert found["six-by-head"][0] == found["six-unfrozen"][0] == 0
    assert found["six-by-head"][1] < 0.8 * num_new
    assert found["six-unfrozen"][1] > 0.85 * num_new
    before = {label: by_class["six-by-head"][label]["base"] for label in KNOWN}
    assert before == {label: by_class["four"][label]["tuned"] for label in KNOWN}
    assert by_class["two"]["2"]["base"] >= before["2"]  # what it was confused with is left out


def test_the_page_and_the_command_tell_each_class(
    group: Group, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert command(["runs", "show", str(group.directory.path)]) == 0
    shown = capsys.readouterr().out
    page = group.directory.report_html.read_text()
    stages = json.loads(group.directory.group_json.read_text())["stages"]
    four = stages["six-unfrozen"]["classes"][4]
    assert "right of each class" in shown
    assert f"0 → {four['tuned']} of {four['rows']}" in shown
    assert f"0 → {four['tuned']} of {four['rows']}" in page


def test_the_file_that_is_handed_over_is_all_that_a_stage_begins_with(group: Group) -> None:
    four = group.directory.by_value["four"]
    with h5py.File(four.h5) as file:
        layers = json.loads(file.attrs["model_config"])["config"]["layers"]
        weights = {name: file["model_weights"][name][f"{name}/weight_0"][()] for name in ("dense", "head")}
    assert [one["class_name"] for one in layers] == ["InputLayer", "Normalization", "Dense", "Dense", "Dense", "Dense"]
    saved = load_file(four.model / "model.safetensors")
    assert torch.equal(torch.from_numpy(weights["dense"].T.copy()), saved["layers.0.linear.weight"])
    assert torch.equal(torch.from_numpy(weights["head"].T.copy()), load_file(four.heads)["label.layers.0.weight"])
    by_head = group.directory.by_value["six-by-head"]
    assert not by_head.model.exists()
    assert not by_head.adapter.exists()


def test_a_run_predicts_the_same_in_a_fresh_process_and_is_exported_as_it_is(group: Group, tmp_path: Path) -> None:
    six, file = group.directory.by_value["six-unfrozen"], tmp_path / "again.h5"
    said = export_run(six, file)
    assert said["labels"] == [*KNOWN, *NEW]
    with h5py.File(file) as mine, h5py.File(six.h5) as theirs:
        assert mine.attrs["model_config"] == theirs.attrs["model_config"]
        assert (mine["model_weights/head/head/weight_0"][()] == theirs["model_weights/head/head/weight_0"][()]).all()
    with pytest.raises(UsageError, match=r"again\.h5: exists\. Name another file"):
        export_run(six, file)
    lines = [json.loads(line) for line in six.predictions.read_text().splitlines()][:6]
    rows = {example.origin.row: example for example in read("digits").examples}
    asked = [dict(rows[int(line["row"].rpartition(":")[2])].numbers) for line in lines]  # type: ignore[union-attr]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps({"id": "x", **dict(reversed(one.items()))}) for one in asked))
    script = f"import tunesmith.cli.main as m; raise SystemExit(m.run(['predict', {str(six.path)!r}, {str(tmp_path / 'rows.jsonl')!r}, '--out', {str(tmp_path / 'out.jsonl')!r}]))"
    without_kernels = {**os.environ, "CC": "no-compiler"}  # compiling them would take longer than all else
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=without_kernels)
    assert result.returncode == 0, result.stderr
    out = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    for line, one in zip(lines, out, strict=True):
        assert one["predicted_label"] == line["tuned"]["label"]
        assert [one[f"probability_{label}"] for label in (*KNOWN, *NEW)] == pytest.approx(line["tuned"]["probabilities"], abs=1e-5)


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole = tune(digits(tmp_path / "whole"))
    with pytest.raises(Interrupted):
        tune(digits(tmp_path / "parted"), progress=stop_at(25))
    resume(tmp_path / "parted")
    mine, theirs = (load_file(RunDirectory(tmp_path / name).model / "model.safetensors") for name in ("parted", "whole"))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())
    report = whole.report
    assert report["cost"]["total_parameters"] == 65 * 24 + 25 * 12 + 13 * 3
    assert report["metrics"]["accuracy"]["base"] is None


def test_what_is_standardized_is_standardized_by_the_training_rows_alone(tmp_path: Path) -> None:
    run = tune(digits(tmp_path / "run", data={"train": "iris"}, train={"max_steps": 1}))
    config = json.loads((run.directory.model / "config.json").read_text())
    rows = torch.tensor(
        [[value for _, value in example.numbers] for example in prepare_data(load(run.directory.recipe)).train], dtype=torch.float64
    )  # type: ignore[union-attr]
    assert len(rows) == 105
    assert config["columns"] == ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    standard = config["layers"][0]
    assert standard["mean"] == pytest.approx(rows.mean(0).tolist())
    assert standard["variance"] == pytest.approx(rows.var(0, unbiased=False).tolist())


def test_an_adapter_is_folded_into_the_file_that_is_written(group: Group, tmp_path: Path) -> None:
    four = group.directory.by_value["four"]
    run = tune(digits(tmp_path / "lora", model=str(four.h5), method={"name": "lora", "r": 4}, export="h5"))
    with h5py.File(run.directory.h5) as file, h5py.File(four.h5) as before:
        now, was = (one["model_weights/dense/dense/weight_0"][()] for one in (file, before))
    assert now.shape == was.shape
    assert abs(now - was).max() > 1e-4
    again = tune(digits(tmp_path / "again", model=str(run.directory.h5), method="head", train={"max_steps": 1}))
    before_lora = run.report["metrics"]["accuracy"]["tuned"]["value"]
    assert again.report["metrics"]["accuracy"]["base"]["value"] == before_lora


@pytest.mark.parametrize(
    ("changes", "message", "error"),
    [
        ({"method": "head"}, r"method: head leaves weights as they are, and those of a new model\.architecture have learned nothing\. Use full\.", RecipeError),
        ({"model": {"architecture": "dense", "source": "minilm-l6"}}, r"model\.architecture: stands beside model\.source", RecipeError),
        ({"model": {"architecture": "dense", "hiden": [3]}}, r"model\.hiden: unknown key", RecipeError),
        ({"model": {"architecture": "dens"}}, r'model\.architecture\.name: unknown architecture "dens"\. Did you mean "dense"', RecipeError),
        ({"model": {"architecture": "dense", "hidden": []}}, r"model\.hidden: expected a number of at least 1 for each hidden layer, found \[\]\.", ModelError),
        ({"model": {"architecture": "dense", "weights": "random"}}, r"model\.weights: is for a model that was trained before", RecipeError),
        ({"model": {"source": "minilm-l6", "labels": ["a", "b"]}}, r"model\.labels: is for a file of Keras", RecipeError),
        ({"data": {"train": "digits", "keep_labels": ["9", "x"]}}, r"data\.keep_labels: 'x' is no class of the data", TunesmithError),
        ({"data": {"train": "digits", "keep_labels": []}}, r"data\.keep_labels: names no class\. Name those whose rows are used", RecipeError),
        ({"data": {"mix": {"digits": 1.0}, "keep_labels": ["9"]}}, r"data\.keep_labels: is for the rows of one source", RecipeError),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_told_before_anything_is_written(
    changes: dict[str, Any], message: str, error: type[TunesmithError], tmp_path: Path
) -> None:
    with pytest.raises(error, match=message) as told:
        tune(digits(tmp_path / "out", **changes))
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_written_as_a_file_of_keras_is_told_before_training(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"digits: export: h5: an \.h5 file holds networks of layers .* and this is a BertModel\."):
        tune(
            digits(
                tmp_path / "out",
                model=str(encoder_folder),
                data={"train": str(reviews_csv), "columns": {"text": "review", "label": "sentiment"}},
                export="h5",
            )
        )
    assert not (tmp_path / "out").exists()
