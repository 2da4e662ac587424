"""The legs of the table on tiny models: what they say is what the run's report says."""

import json
import random

import numpy as np
import pytest

from benchmarks.legs import prompting, tuning
from benchmarks.methods import stored
from benchmarks.methods.plans import method_leg
from benchmarks.methods.stored import Results, run_leg
from tunesmith.core import registry
from tunesmith.core.files import write_json

NOUNS = "cat dog mat film".split()


@pytest.fixture(scope="module")
def _cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(_cache, monkeypatch):
    """What tiny models say stays out of the user's cache."""
    monkeypatch.setenv("TUNESMITH_CACHE", str(_cache))


def _sentences(count):
    draw, found = random.Random(0), {}
    while len(found) < count:
        mood = draw.choice(["good", "bad"])
        found[" ".join([*draw.choices([*NOUNS, "the", "a", "on", "sat", "ran"], k=6), mood])] = mood
    return found


@pytest.fixture
def recipe(make, tmp_path):
    """Writes a recipe for a tiny model, and its data."""

    def write(task):
        model = tmp_path / "model"
        make(tmp_path, task, "head")
        names = ("text", "label") if task == "classification" else ("source", "target")
        rows = [dict(zip(names, row, strict=True)) for row in _sentences(60).items()]
        (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
        file = tmp_path / "recipe.yaml"
        data = f"{{train: {tmp_path / 'rows.jsonl'}, split: {{validation: 0.2, test: 0.3}}}}"
        file.write_text(
            f"model: {model}\ndata: {data}\ntrain: {{examples_per_step: 8, epochs: 2}}\nevaluate: {{max_new_tokens: 3, generate_limit: 5, retention: none}}\n"
        )
        return str(file)

    return write


@pytest.mark.parametrize(("task", "metrics"), [("classification", ["accuracy"]), ("language_model", ["bits_per_byte", "rougeL"])])
def test_what_the_rows_contribute_makes_the_reports_metric(task, metrics, recipe, tmp_path):
    asked = {"recipe": recipe(task), "overrides": ["method.name=lora", "method.r=2"], "metrics": metrics, "num_asked": 4}
    found = tuning.leg(asked, tmp_path)
    for name in metrics:
        rows, said = found["rows"][name], found["metrics"][name]
        metric = registry.create("metric", name)
        assert len(rows["row"]) == len(set(rows["row"])) == said["rows"]
        for side in ("base", "tuned"):
            assert metric.value(np.array(rows[side])) == pytest.approx(said[side]["value"])
    assert found["learning_rate"] == 2e-4  # LoRA's own
    assert found["losses"]["validation"] > 0
    assert found["losses"]["kept_step"] <= found["num_steps"]
    assert found["linear_weights"] is None
    assert found["slow_down"]["num_rows"] == 4
    assert found["slow_down"]["ratio"] > 0
    # r (in + out) of each linear layer: four of the attention's (a Llama's keys and values are half as wide), and the feed-forward block's
    attention = 4 * 64 if task == "classification" else 2 * 64 + 2 * 48
    feed_forward = 2 * (32 + 48) if task == "classification" else 3 * (32 + 48)
    head = 32 * 2 + 2 if task == "classification" else 0
    assert found["trained_parameters"] == 2 * 2 * (attention + feed_forward) + head


def test_a_training_that_diverges_is_a_result(recipe, tmp_path):
    asked = {
        "recipe": recipe("classification"),
        "overrides": ["method.name=full", "train.learning_rate=1e30"],
        "metrics": ["accuracy"],
        "num_asked": 0,
    }
    found = tuning.leg(asked, tmp_path)
    assert "Lower train.learning_rate" in found["diverged"]
    assert found["learning_rate"] == 1e30


def test_the_losses_are_those_of_the_end_and_of_the_weights_that_were_kept():
    curves = {
        "train": [{"loss": loss} for loss in (9.0, 1.0, 2.0, 3.0, 4.0, 5.0)],
        "validation": [
            {"step": 3, "epoch": 1.0, "loss": 0.5, "loss_low": 0.4, "loss_high": 0.6, "accuracy": 0.7},
            {"step": 6, "loss": 0.8},
        ],
        "best": {"step": 3, "metric": "loss", "value": 0.5},
        "overfitting": {"found": True, "text": "it over-fits"},
    }
    assert tuning.losses(curves) == {
        "train": 3.0, "validation": 0.8, "kept_validation": 0.5, "kept_step": 3, "kept_by": {"accuracy": 0.7}, "overfitting": "it over-fits",
    }  # fmt: skip


def test_the_best_template_on_the_validation_rows_is_asked_the_test_rows(recipe):
    templates = {"bare": "{source}", "longer": "the film is {source}"}
    asked = {"recipe": recipe("language_model"), "overrides": [], "metrics": ["bits_per_byte", "rougeL"], "templates": templates}
    found = prompting.leg(asked)
    assert found["best"] == min(found["tried"], key=lambda name: found["tried"][name])
    alone = prompting.leg({**asked, "templates": {found["best"]: templates[found["best"]]}})
    assert alone["tried"][found["best"]] == found["tried"][found["best"]]
    assert alone["rows"] == found["rows"]
    assert (len(found["rows"]["bits_per_byte"]["row"]), len(found["rows"]["rougeL"]["row"])) == (18, 5)


def test_rows_have_the_same_names_wherever_their_folder_lies(tmp_path, monkeypatch):
    def python(_executable, _module, folder, **_options):
        told = json.loads((stored.Path(folder) / "asked.json").read_text(encoding="utf-8"))
        write_json(stored.Path(folder) / "result.json", {"row": told["recipe"].replace("recipe.yaml", "test.jsonl:1")})

    monkeypatch.setattr(stored, "python", python)
    leg = stored.replace(method_leg("reviews", "head", 0), recipe="ROWS/recipe.yaml")
    found = [run_leg(leg, Results(tmp_path), tmp_path / name) for name in ("here", "there")]
    assert found == [{"row": "ROWS/test.jsonl:1"}] * 2
