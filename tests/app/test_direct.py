"""The method `direct`: what it finds, what it keeps, what it never looks at, and what it refuses."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_recipes import classifier

from tunesmith.app import direct as direct_app
from tunesmith.app import settings as settings_app
from tunesmith.app.chain import tune_chain
from tunesmith.app.group import tune_curve, tune_seeds
from tunesmith.app.task import load_model
from tunesmith.app.tune import plan, resume, tune
from tunesmith.app.tuned import load_tuned
from tunesmith.core import registry
from tunesmith.core.errors import Interrupted, TunesmithError, UsageError
from tunesmith.core.events import Event, Progress
from tunesmith.core.run import RunDirectory
from tunesmith.recipe import Recipe, from_mapping, load_chain
from tunesmith.report.direct import direct as said
from tunesmith.report.groups import group_sentences

SPLIT = {"validation": 0.45, "test": 0.45}


@pytest.fixture(scope="module")
def trained(encoder_folder: Path, reviews: Path, cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that learned the reviews."""
    out = tmp_path_factory.mktemp("runs") / "trained"
    return tune(classifier(encoder_folder, reviews, out, evaluate={"metrics": ["accuracy"]})).path


def _shifted(trained: Path, to: Path, added: float) -> Path:
    """The classifier with a number added to the score of its second class: its best threshold is known then."""
    shutil.copytree(trained, to)
    tensors = load_file(to / "heads.safetensors")
    name = next(name for name in tensors if name.endswith("bias"))
    metadata = _metadata(to / "heads.safetensors")
    save_file({**tensors, name: tensors[name] + torch.tensor([0.0, added])}, to / "heads.safetensors", metadata)
    return to


def _metadata(file: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        return dict(opened.metadata() or {})


def _recipe(run: Path, data: Path | dict[str, Any], out: Path, **method: Any) -> Recipe:
    source = data if isinstance(data, dict) else {"train": str(data), "split": SPLIT}
    return from_mapping(
        {
            "model": f"run:{run}",
            "data": {"columns": {"text": "review", "label": "sentiment"}, **source},
            "method": {"name": "direct", "trials": 40, **method},
            "evaluate": {"retention": "none", "metrics": ["accuracy", "macro_f1"]},
            "output_dir": str(out),
        },
        name="tiny",
    )


def _written(file: Path, rows: list[tuple[str, str]]) -> str:
    with file.open("w", newline="") as target:
        csv.writer(target).writerows([("review", "sentiment"), *rows])
    return str(file)


def _apart(reviews: Path, folder: Path, change: Callable[[str, str, str], str] = lambda split, text, label: label) -> dict[str, Any]:
    """The reviews in a file a split; `change`: from split, text and label to the label that is written."""
    folder.mkdir()
    rows = [(row["review"], row["sentiment"]) for row in csv.DictReader(reviews.open())]
    random.Random(0).shuffle(rows)
    parts = {"train": rows[:8], "validation": rows[8:52], "test": rows[52:]}
    return {
        name: _written(folder / f"{name}.csv", [(text, change(name, text, label)) for text, label in own]) for name, own in parts.items()
    }


def test_a_planted_threshold_is_found_kept_and_used_by_a_fresh_process(trained: Path, reviews: Path, tmp_path: Path) -> None:
    run = tune(_recipe(_shifted(trained, tmp_path / "shifted", 40.0), reviews, tmp_path / "run", metric="accuracy"))
    found, accuracy = run.report["direct"], run.report["metrics"]["accuracy"]
    assert accuracy["base"]["value"] < 0.7
    assert accuracy["tuned"]["value"] > 0.95
    assert found["kept"]
    (number,) = found["numbers"]
    assert number["to"] < -5
    assert "holds on the test rows" in said(run.report).text
    file = tmp_path / "asked.csv"
    _written(file, [(row["review"], "") for row in csv.DictReader(reviews.open())][:40])
    subprocess.run(
        [sys.executable, "-m", "tunesmith", "predict", str(run.path), str(file), "--column", "text=review", "-o", str(tmp_path / "o.csv")],
        check=True,
        capture_output=True,
    )
    right = {row["review"]: row["sentiment"] for row in csv.DictReader(reviews.open())}
    told = list(csv.DictReader((tmp_path / "o.csv").open()))
    assert sum(right[row["review"]] == row["predicted_label"] for row in told) > 0.95 * len(told)


def test_the_head_that_is_saved_says_what_the_report_was_made_of(trained: Path, reviews: Path, tmp_path: Path) -> None:
    run = tune(_recipe(_shifted(trained, tmp_path / "shifted", 40.0), reviews, tmp_path / "run"))
    before, after = (load_file(folder / "heads.safetensors") for folder in (tmp_path / "shifted", run.path))
    (added,) = (one["to"] for one in run.report["direct"]["numbers"])
    for name, tensor in before.items():
        wanted = tensor + torch.tensor([0.0, added]) if name.endswith("bias") else tensor
        torch.testing.assert_close(after[name], wanted)
    lines = [json.loads(line) for line in (run.path / "predictions.jsonl").read_text().splitlines()]
    tuned = load_tuned(RunDirectory(run.path))
    assert [one["label"] for one in tuned.predict([line["text"] for line in lines])] == [line["tuned"]["label"] for line in lines]


def test_no_label_of_the_test_split_changes_what_is_found_or_kept(trained: Path, reviews: Path, tmp_path: Path) -> None:
    shifted, found = _shifted(trained, tmp_path / "shifted", 40.0), list[Any]()
    turned = {"positive": "negative", "negative": "positive"}
    for name in ("right", "wrong"):
        change = {
            "right": lambda split, text, label: label,
            "wrong": lambda split, text, label: turned[label] if split == "test" else label,
        }
        run = tune(_recipe(shifted, _apart(reviews, tmp_path / name, change[name]), tmp_path / f"run-{name}"))
        found.append({key: value for key, value in run.report["direct"].items() if key not in ("seconds", "speed")})
        heads = load_file(run.path / "heads.safetensors")
        found[-1] |= {name: tensor.tolist() for name, tensor in heads.items()}
    assert found[0] == found[1]
    text = said(run.report).text  # what it found is of no use there, and it says so
    assert "worse on the test rows" in text
    assert "over-fitted to the validation rows" in text


def test_a_model_with_nothing_to_gain_stays_as_it_was(trained: Path, reviews: Path, tmp_path: Path) -> None:
    run = tune(_recipe(trained, reviews, tmp_path / "run"))
    assert not run.report["direct"]["kept"]
    assert "nothing was gained, and the model stays as it was" in said(run.report).text
    for name, tensor in load_file(trained / "heads.safetensors").items():
        assert torch.equal(load_file(run.path / "heads.safetensors")[name], tensor)
    assert run.report["metrics"]["macro_f1"]["difference"]["value"] == 0


def test_what_is_best_by_chance_is_not_kept_and_called_over_fitted(trained: Path, reviews: Path, tmp_path: Path) -> None:
    draw = random.Random(1)
    data = _apart(
        reviews, tmp_path / "data", lambda split, text, label: draw.choice(["positive", "negative"]) if split == "validation" else label
    )
    run = tune(_recipe(trained, data, tmp_path / "run", metric="accuracy"))
    found = run.report["direct"]
    assert found["validation"]["after"] > found["validation"]["before"]
    assert not found["kept"]
    assert "over-fitted to the validation rows. It is not kept" in said(run.report).text
    assert run.report["metrics"]["accuracy"]["difference"]["value"] == 0
    assert load_file(run.path / "heads.safetensors").keys() == load_file(trained / "heads.safetensors").keys()


def test_few_validation_rows_and_rare_classes_are_warned_of(trained: Path, reviews: Path, tmp_path: Path) -> None:
    data = {"train": str(reviews), "split": SPLIT, "limit": {"validation": 8}}
    warnings = tune(_recipe(trained, data, tmp_path / "run")).report["warnings"]
    assert any("8 validation rows for 1 number to be found: too few" in line and "at least 40" in line for line in warnings)
    assert any("fewer than 5 validation rows" in line for line in warnings)


def test_all_settings_of_scores_are_judged_by_one_pass(
    trained: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes, hear = list[int](), settings_app.hear

    def heard(speaker: Any, objective: Any, rows: Any, *rest: Any) -> Any:
        passes.append(len(rows))
        return hear(speaker, objective, rows, *rest)

    monkeypatch.setattr(settings_app, "hear", heard)
    run = tune(_recipe(trained, reviews, tmp_path / "run", adjust=["threshold", "temperature"], metric="brier", trials=20))
    assert passes == [run.report["direct"]["rows"]]
    assert len((run.path / "trials.jsonl").read_text().splitlines()) == 20


def test_a_temperature_that_scores_were_multiplied_by_is_found(trained: Path, reviews: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "cold")
    file = tmp_path / "cold" / "heads.safetensors"
    tensors, metadata = load_file(file), _metadata(file)
    draw = random.Random(0)  # a third of the labels is wrong: so sure as it is the classifier must not be
    data = _apart(
        reviews,
        tmp_path / "data",
        lambda split, text, label: label if draw.random() < 0.7 else {"positive": "negative"}.get(label, "positive"),
    )
    save_file({name: 5 * tensor for name, tensor in tensors.items()}, file, metadata)
    run = tune(_recipe(tmp_path / "cold", data, tmp_path / "run", adjust=["temperature"], metric="brier"))
    found = run.report["direct"]
    assert found["kept"]
    assert found["numbers"][0]["to"] > 2
    tuned = load_tuned(RunDirectory(run.path)).predict(["the cat is good"])[0]
    cold = load_tuned(RunDirectory(tmp_path / "cold")).predict(["the cat is good"])[0]
    assert tuned["label"] == cold["label"]
    assert max(tuned["probabilities"].values()) < max(cold["probabilities"].values())


def _chosen(monkeypatch: pytest.MonkeyPatch, trial: int) -> None:
    """Let a trial be taken and kept, whatever it is worth."""
    monkeypatch.setattr(direct_app, "best_of", lambda *_, **__: trial)
    monkeypatch.setattr(direct_app, "_is_gain", lambda *_, **__: True)


@pytest.mark.parametrize("aspect", ["adapter_scale", "norms"])
def test_changed_weights_are_saved_loaded_and_begun_with(
    aspect: str, trained: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _chosen(monkeypatch, 2)
    recipe = _recipe(trained, reviews, tmp_path / "run", adjust=[aspect], trials=4, metric="accuracy")
    run = tune(recipe)
    values = [one["to"] for one in run.report["direct"]["numbers"]]
    tuned = load_tuned(RunDirectory(run.path))
    lines = [json.loads(line) for line in (run.path / "predictions.jsonl").read_text().splitlines()]
    said = tuned.predict([line["text"] for line in lines])
    assert [one["label"] for one in said] == [line["tuned"]["label"] for line in lines]
    objective = registry.create("objective", "classify")
    before = load_model(recipe, objective, lambda event: None).trunk
    on_top = load_model(_recipe(run.path, reviews, tmp_path / "no"), objective, lambda event: None).trunk
    moved = 0
    for (name, own), now, folded in zip(before.named_parameters(), tuned.model.trunk.parameters(), on_top.parameters(), strict=True):
        torch.testing.assert_close(now, folded)
        wanted = own if aspect == "adapter_scale" else None
        if aspect == "norms" and "LayerNorm.weight" in name:
            wanted = own * values[0 if "embeddings" in name else 1 + int(name.split(".")[2])]
        moved += not torch.equal(own, now)
        if aspect == "norms":
            torch.testing.assert_close(now, own if wanted is None else wanted)
    assert moved


def test_an_adapter_scale_is_the_adapter_that_often(
    trained: Path, encoder_folder: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _chosen(monkeypatch, 2)
    run = tune(_recipe(trained, reviews, tmp_path / "run", adjust=["adapter_scale"], trials=4, metric="accuracy"))
    (scale,) = (one["to"] for one in run.report["direct"]["numbers"])
    base = dict(load_model(classifier(encoder_folder, reviews, tmp_path), _any(), lambda event: None).trunk.named_parameters())
    lora = load_file(trained / "adapter" / "adapter_model.safetensors")
    config = json.loads((trained / "adapter" / "adapter_config.json").read_text())
    tuned = dict(load_tuned(RunDirectory(run.path)).model.trunk.named_parameters())
    for key, a in lora.items():
        if key.endswith("lora_A.weight"):
            name = key.removeprefix("base_model.model.").replace(".lora_A", "")
            delta = config["lora_alpha"] / config["r"] * lora[key.replace("lora_A", "lora_B")] @ a
            torch.testing.assert_close(tuned[name], base[name] + scale * delta)


def _any() -> Any:
    return registry.create("objective", "classify")


def test_an_interrupted_search_goes_on_where_it_was(trained: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"adjust": ["norms", "threshold"], "trials": 8, "metric": "brier"}
    whole = tune(_recipe(trained, reviews, tmp_path / "whole", **options))

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "trials" and event.done == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="tunesmith runs resume"):
        tune(_recipe(trained, reviews, tmp_path / "cut", **options), progress=stop)
    assert len((tmp_path / "cut" / "trials.jsonl").read_text().splitlines()) == 5
    passes, hear = list[int](), settings_app.hear
    monkeypatch.setattr(settings_app, "hear", lambda *given: passes.append(1) or hear(*given))  # type: ignore[func-returns-value]
    again = resume(tmp_path / "cut")
    for part in ("numbers", "validation", "held_out", "kept"):
        assert again.report["direct"][part] == whole.report["direct"][part], part
    assert again.report["metrics"] == whole.report["metrics"]
    assert len(passes) < 8


def test_a_dry_run_plans_no_steps(trained: Path, reviews: Path, tmp_path: Path) -> None:
    planned = plan(_recipe(trained, reviews, tmp_path / "run"))
    assert planned.to_dict()["num_steps"] == 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"adjust": ["treshold"]}, 'method.adjust: unknown aspect "treshold". Did you mean "threshold"?'),
        ({"adjust": []}, "method.adjust: nothing is named"),
        ({"adjust": ["norms", "norms"]}, "method.adjust: an aspect stands in it twice"),
        ({"adjust": [{"name": "norms", "mots": 3.0}]}, "mots: unknown option"),
        ({"adjust": [{"name": "norms", "most": 0.5}]}, "method.adjust: norms.most: 0.5: expected a finite number above 1"),
        ({"adjust": [{"name": "temperature", "most": "2"}]}, "method.adjust: temperature.most: '2': expected a number."),
        ({"adjust": [{"name": "norms", "most": True}]}, "method.adjust: norms.most: True: expected a number."),
        ({"adjust": [{"name": "max_new_tokens", "least": "2"}]}, "method.adjust: max_new_tokens.least: '2': expected a whole number."),
        ({"adjust": [{"name": "max_new_tokens", "least": 1.5}]}, "method.adjust: max_new_tokens.least: 1.5: expected a whole number."),
        (
            {"adjust": [{"name": "max_new_tokens", "most": 2.5}]},
            "method.adjust: max_new_tokens.most: 2.5: expected a whole number or null.",
        ),
        ({"metric": "macro_f2"}, 'method.metric: unknown metric "macro_f2"'),
        ({"metric": "bleu"}, "method.metric: bleu is not computed for the objective classify"),
        ({"adjust": ["temperature"], "metric": "accuracy"}, "temperature changes nothing that accuracy reads (label)"),
        ({"adjust": ["sampling_temperature"]}, "sampling_temperature is of answers in words, and a model of classify writes none"),
        ({"trials": 1}, "method.trials: 1: expected at least 2"),
    ],
)
def test_what_cannot_be_adjusted_is_said_in_one_line_before_anything_runs(
    method: dict[str, Any], message: str, trained: Path, reviews: Path, tmp_path: Path
) -> None:
    with pytest.raises(TunesmithError) as error:
        tune(_recipe(trained, reviews, tmp_path / "run", **method))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).count("method.adjust") <= 1
    assert not (tmp_path / "run").exists()


def test_models_without_what_is_to_be_adjusted_are_refused(trained: Path, reviews: Path, encoder_folder: Path, tmp_path: Path) -> None:
    def refused(recipe: Recipe) -> str:
        with pytest.raises(TunesmithError) as error:
            tune(recipe)
        assert not (tmp_path / "run").exists()
        return str(error.value)

    out = tmp_path / "run"
    without = {"train": str(reviews), "split": {"validation": 0.0, "test": 0.4}}
    assert "searches on validation rows, and there are none" in refused(_recipe(trained, without, out))
    plain = _recipe(trained, reviews, out).model_dump(mode="json") | {"model": str(encoder_folder)}
    assert "has no head that knows the labels" in refused(from_mapping(plain, name="tiny"))
    plain["method"] = {"name": "direct", "adjust": ["adapter_scale"]}
    assert "has no adapter" in refused(from_mapping(plain, name="tiny"))


def test_a_chain_says_what_is_wrong_with_its_search_before_its_first_stage_begins(
    encoder_folder: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = f"data: {{train: {reviews}, columns: {{text: review, label: sentiment}}}}"
    file = tmp_path / "chain.yaml"
    file.write_text(
        f"stages:\n  first: {{model: {encoder_folder}, {data}, method: head}}\n"
        f"  second: {{model: 'stage:first', {data}, method: {{name: direct, adjust: [treshold]}}}}\n"
    )
    with pytest.raises(TunesmithError, match=r'stages.second: method.adjust: unknown aspect "treshold"'):
        tune_chain(load_chain(file))
    assert not (tmp_path / "runs").exists()


def test_a_curve_of_training_rows_is_refused_as_none_is_learned_from(trained: Path, reviews: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="curve: method direct searches on validation rows and learns from no training row"):
        tune_curve(_recipe(trained, reviews, tmp_path / "run"), [0.5, 1.0])
    assert not (tmp_path / "run").exists()


def test_seeds_of_a_search_say_that_nothing_was_trained(trained: Path, reviews: Path, tmp_path: Path) -> None:
    group = tune_seeds(_recipe(trained, reviews, tmp_path / "run", trials=4), 2)
    assert group.report["choice"] is None
    assert group.report["data"]["validation_rows"] > 0
    text = " ".join(group_sentences(group.report))
    assert "Nothing was trained" in text
    assert "No validation split" not in text


@pytest.mark.parametrize(("added", "seconds", "asked"), [(0.0, 0.0, 30), (0.0, 0.11, 3), (40.0, 0.0, 60)])
def test_what_is_too_quick_to_time_is_asked_again_and_one_setting_has_one_speed(
    added: float, seconds: float, asked: int, trained: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = list[float]()

    def answered(*_: Any) -> None:
        calls.append(seconds)
        time.sleep(seconds)

    monkeypatch.setattr(direct_app, "read_head", answered)
    report = tune(_recipe(_shifted(trained, tmp_path / "shifted", added), reviews, tmp_path / "run")).report
    speed, is_kept = report["direct"]["speed"], report["direct"]["kept"]
    assert is_kept == bool(added)
    assert len(calls) == asked
    assert is_kept or speed["before"] == speed["after"]
    assert ("a second before and" in said(report).text) == is_kept
    if seconds:
        assert speed["before"] <= speed["rows"] / seconds
