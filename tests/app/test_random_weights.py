"""Models that begin with random weights in place of their pretrained ones: as transformers draws them, by the recipe's seed, again whenever the run is loaded."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_recipes import classifier, stop_at, writer

import tunesmith
from tunesmith.app.arms import known_arms
from tunesmith.app.compare import compare
from tunesmith.app.merge import merge_runs
from tunesmith.app.tune import resume, tune
from tunesmith.core.errors import Interrupted, MethodError, ModelError, RecipeError
from tunesmith.core.run import RunDirectory
from tunesmith.model.load import load
from tunesmith.recipe import Recipe, dump, from_mapping
from tunesmith.recipe.text import parse_yaml
from tunesmith.report.comparison import comparison_reason

QUICK = {"epochs": 3, "learning_rate": 1e-2, "examples_per_step": 8}


def _random(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"weights": "random"})})


@pytest.mark.parametrize(
    ("kind", "need"), [("decoder_folder", "lm"), ("encoder_folder", "encoder"), ("seq2seq_folder", "lm"), ("seq2seq_folder", "encoder")]
)
def test_the_weights_are_those_of_transformers_from_config_under_the_same_seed(
    kind: str, need: Any, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(kind)
    before = torch.random.get_rng_state()
    found = load(str(folder), need=need, random_seed=7, dtype=torch.float64)
    assert torch.equal(torch.random.get_rng_state(), before)
    auto = {"decoder_folder": transformers.AutoModelForCausalLM, "seq2seq_folder": transformers.AutoModelForSeq2SeqLM}.get(
        kind, transformers.AutoModel
    )
    torch.manual_seed(7)
    options = {"add_pooling_layer": False} if kind == "encoder_folder" else {}
    auto = transformers.AutoModel if need == "encoder" else auto
    expected: Any = auto.from_config(transformers.AutoConfig.from_pretrained(folder), dtype=torch.float64, **options)
    expected = expected.get_encoder() if (kind, need) == ("seq2seq_folder", "encoder") else expected
    own, theirs = found.trunk.state_dict(), expected.state_dict()
    assert own.keys() == theirs.keys()
    assert all(torch.equal(own[name], theirs[name]) for name in own)
    assert {tensor.dtype for tensor in found.trunk.parameters()} == {torch.float64}
    pretrained = load(str(folder), need=need, dtype=torch.float64)
    assert pretrained.facts == found.facts
    assert any(not torch.equal(own[name], tensor) for name, tensor in pretrained.trunk.state_dict().items())
    other = load(str(folder), need=need, random_seed=8, dtype=torch.float64).trunk.state_dict()
    assert any(not torch.equal(own[name], tensor) for name, tensor in other.items())


def test_where_answers_end_stays_as_the_makers_set_it(decoder_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(decoder_folder, tmp_path / "model")
    file = tmp_path / "model" / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"eos_token_id": [4, 9]}))
    drawn: Any = load(str(tmp_path / "model"), need="lm", random_seed=0).trunk
    assert drawn.generation_config.eos_token_id == [4, 9]


def test_a_run_says_what_its_base_was_and_answers_the_same_in_another_process(
    decoder_folder: Path, pairs_csv: Path, tmp_path: Path
) -> None:
    done = tune(_random(writer(decoder_folder, pairs_csv, tmp_path / "out", method="lora", train=QUICK, seed=3)))
    losses = [one["loss"] for one in done.report["curves"]["train"]]
    assert losses[-1] < losses[0]
    assert done.report["model"]["weights"] == "random"
    assert "The base has random weights, drawn by seed 3" in " ".join(done.report["warnings"])
    pretrained = tune(writer(decoder_folder, pairs_csv, tmp_path / "other", method="lora", train=QUICK, seed=3))
    assert pretrained.report["model"]["weights"] == "pretrained"
    assert done.report["metrics"]["bits_per_byte"]["base"] != pretrained.report["metrics"]["bits_per_byte"]["base"]
    lines = [json.loads(line) for line in done.directory.predictions.read_text(encoding="utf-8").splitlines()]
    prompts = [line["prompt"] for line in lines]
    code = f"import json, tunesmith; print(json.dumps(tunesmith.Run({str(done.path)!r}).generate({prompts!r})))"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(again.stdout.splitlines()[-1]) == [line["tuned"]["text"] for line in lines]


def test_an_interrupted_run_goes_on_from_the_same_random_weights(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    def recipe(name: str) -> Recipe:
        return _random(writer(decoder_folder, pairs_csv, tmp_path / name, method="lora", train=QUICK))

    whole = tune(recipe("whole"))
    with pytest.raises(Interrupted):
        tune(recipe("cut"), progress=stop_at(4))
    resumed = resume(tmp_path / "cut")
    assert resumed.report["metrics"] == whole.report["metrics"]
    assert [one["loss"] for one in resumed.report["curves"]["train"]] == [one["loss"] for one in whole.report["curves"]["train"]]


def test_an_adapter_of_random_weights_is_merged_and_trained_on_with_them_and_fits_no_others(
    decoder_folder: Path, pairs_csv: Path, tmp_path: Path
) -> None:
    changes: Any = {"method": {"name": "lora", "r": 2}, "train": QUICK}
    done = tune(_random(writer(decoder_folder, pairs_csv, tmp_path / "out", seed=5, **changes)))
    merged = merge_runs([done.directory], tmp_path / "merged")
    assert merged["max_difference"] <= merged["tolerance"]
    going_on = tune(writer(done.path, pairs_csv, tmp_path / "next", **changes))
    assert going_on.report["metrics"]["bits_per_byte"]["base"]["value"] == pytest.approx(
        done.report["metrics"]["bits_per_byte"]["tuned"]["value"], rel=1e-4
    )
    with pytest.raises(MethodError, match="was trained on another base"):
        load_adapter_on(done.path, decoder_folder, tmp_path)


def load_adapter_on(run: Path, model: Path, folder: Path) -> None:
    """The run's adapter on the pretrained weights."""
    recipe = (run / "recipe.yaml").read_text(encoding="utf-8").replace("weights: random", "weights: pretrained")
    shutil.copytree(run, folder / "changed")
    (folder / "changed" / "recipe.yaml").write_text(recipe, encoding="utf-8")
    tunesmith.Run(folder / "changed").generate(["the cat"])


def test_a_classifier_trains_a_head_on_a_random_encoder(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    done = tune(_random(classifier(encoder_folder, reviews_csv, tmp_path / "out", method="full", train=QUICK)))
    lines = [json.loads(line) for line in done.directory.predictions.read_text(encoding="utf-8").splitlines()]
    assert [one["label"] for one in done.predict([line["text"] for line in lines])] == [line["tuned"]["label"] for line in lines]


def test_what_was_trained_or_is_kept_in_fewer_bits_has_no_random_weights(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    done = tune(writer(decoder_folder, pairs_csv, tmp_path / "first", method={"name": "lora", "r": 2}, train={"max_steps": 1}))
    plain = parse_yaml(dump(writer(decoder_folder, pairs_csv, tmp_path / "out")), "plain")
    for changes, error, said in (
        (["model.quantization=nf4"], RecipeError, r"model.quantization: nf4 keeps weights frozen"),
        ([f"model=run:{done.path}"], RecipeError, "model.weights: random would leave nothing of run:.*first, which was trained"),
        ([f"model={done.path}"], ModelError, "model.weights: random would leave nothing of .*first, which was trained"),
        ([f"model={done.directory.adapter}"], ModelError, "model.weights: random would leave nothing of .*adapter, which was trained"),
    ):
        with pytest.raises(error, match=said) as raised:
            tune(from_mapping(plain, name="tiny", overrides=[*changes, "model.weights=random"]))
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_model_behind_an_endpoint_has_no_weights_to_draw() -> None:
    model = {"source": "openai:m@http://localhost:1/v1", "weights": "random"}
    with pytest.raises(RecipeError, match="model.weights: is for a model on this machine") as raised:
        from_mapping({"model": model, "data": "d.csv", "method": "none", "context": "zero_shot"}, name="tiny")
    assert "\n" not in str(raised.value)


def test_what_random_weights_forget_is_not_asked(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    recipe = writer(
        decoder_folder, pairs_csv, tmp_path / "out", train={"max_steps": 1}, evaluate={"retention": "auto", "max_new_tokens": 2}
    )
    assert tune(_random(recipe)).report["forgetting"]["left_out"] == {"all": "the weights were random, and held nothing to forget."}


def test_the_arm_scratch_is_full_from_random_weights_and_the_verdict_says_what_pretraining_gave(
    encoder_folder: Path, reviews: Path, tmp_path: Path
) -> None:
    assert known_arms()["scratch"] == ["model.weights=random", "method=full", "context=null"]
    learned = merged_model(encoder_folder, reviews, tmp_path)
    found = compare(
        classifier(learned, reviews, tmp_path / "out", arms=["base", "scratch", "full"], train=QUICK | {"epochs": 1, "learning_rate": 1e-3})
    ).report
    base = RunDirectory(Path(found["arms"]["full"]["directory"])).read_json(Path(found["arms"]["full"]["directory"]) / "report.json")
    assert found["arms"]["base"]["metrics"]["accuracy"] == base["metrics"]["accuracy"]["base"]
    gap = found["arms"]["scratch"]["metrics"]["accuracy"]["value"] - found["arms"]["full"]["metrics"]["accuracy"]["value"]
    assert found["pretraining"]["value"] == pytest.approx(gap)
    assert found["pretraining"]["high"] < 0
    said = found["verdict"]["reason"]
    assert "Random weights (scratch) reached " in said
    assert " of training, the pretrained ones (full) " in said
    assert "that is what the pretrained weights gave, with so many rows and at these rates." in said
    unclear = found | {"pretraining": found["pretraining"] | {"low": -0.5, "high": 0.1}}
    assert "what the pretrained weights gave does not show on these rows." in comparison_reason(unclear)
    turned = found | {"pretraining": {"value": 0.2, "low": 0.1, "high": 0.3}}
    assert "+0.2" in comparison_reason(turned)
    assert "the pretrained weights did not help." in comparison_reason(turned)
    alone = found | {"pretraining": None}
    assert "Random weights" not in comparison_reason(alone)


def merged_model(model: Path, data: Path, folder: Path) -> Path:
    """An encoder that knows good from bad: what stands for pretraining."""
    done = tune(classifier(model, data, folder / "pretrained", method="full", train=QUICK | {"epochs": 6}))
    merge_runs([done.directory], folder / "learned")
    return folder / "learned"
