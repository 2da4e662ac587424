"""`tunesmith merge`: what runs trained, folded into their base: held against transformers and against sums by hand."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from tiny_recipes import classifier, writer

import tunesmith
from tunesmith.app import merge as merging
from tunesmith.app.merge import TOLERANCE, merge_runs, sample_outputs
from tunesmith.app.quantize import quantize
from tunesmith.app.tune import tune
from tunesmith.cli.main import run as command
from tunesmith.core.errors import MethodError, RunError, UsageError
from tunesmith.core.run import RunDirectory
from tunesmith.model.networks.layered import LayeredConfig, LayeredModel
from tunesmith.recipe import Recipe, from_mapping

FEW = {"train": {"max_steps": 4, "examples_per_step": 8, "learning_rate": 3e-2}}
LORA = {"name": "lora", "r": 4}
METHODS: dict[str, Any] = {
    "lora": LORA,
    "dora": {"name": "lora", "r": 4, "use_dora": True, "modules_to_save": ["lm_head"]},
    "loha": {"name": "peft", "peft_type": "LOHA", "r": 4},
    "bitfit": "bitfit",
    "layers": {"name": "layers", "last": 1},
    "full": "full",
}
IDS = torch.arange(5, 27)[None]


def said(trunk: Any) -> torch.Tensor:
    with torch.no_grad():
        return trunk.eval()(IDS)[0]  # type: ignore[no-any-return]


@pytest.fixture
def writes(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> Any:
    def make(name: str, method: Any = LORA, **changes: Any) -> RunDirectory:
        return tune(writer(decoder_folder, pairs_csv, tmp_path / name, **{"method": method, **FEW, **changes})).directory

    return make


@pytest.mark.parametrize("name", METHODS)
def test_transformers_loads_what_a_run_is_merged_into(name: str, writes: Any, tmp_path: Path) -> None:
    run = writes(name, METHODS[name])
    summary = merge_runs([run], tmp_path / "merged")
    alone = tunesmith.Run(run).model.model.trunk
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(said(merged), said(alone), atol=2e-5, rtol=2e-5)
    assert summary["max_difference"] <= summary["tolerance"]
    assert 0 < summary["changed_parameters"] <= sum(p.numel() for p in merged.parameters())
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert tokenizer.chat_template
    method = METHODS[name] if isinstance(METHODS[name], str) else METHODS[name]["name"]
    assert summary["runs"] == [{"run": name, "method": method, "weight": 1.0}]


def test_changes_are_added_by_weight_and_not_their_factors(writes: Any, decoder_folder: Path, tmp_path: Path) -> None:
    """W' = W + 0.5 d1 - 0.25 d2, d of LoRA being (alpha / r) B A off the adapters' files."""
    one, two = writes("one"), writes("two", {**LORA, "lora_alpha": 8.0}, seed=3)
    summary = merge_runs([one, two], tmp_path / "merged", weights=[0.5, -0.25])
    base, merged = load_file(decoder_folder / "model.safetensors"), load_file(tmp_path / "merged" / "model.safetensors")
    adapters = [load_file(run.adapter / "adapter_model.safetensors") for run in (one, two)]
    for name in ("model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"):
        first, second = (a[f"base_model.model.{name}.lora_B.weight"] @ a[f"base_model.model.{name}.lora_A.weight"] for a in adapters)
        expected = base[f"{name}.weight"] + 0.5 * 32 / 4 * first - 0.25 * 8 / 4 * second
        torch.testing.assert_close(merged[f"{name}.weight"], expected)
    assert torch.equal(merged["model.embed_tokens.weight"], base["model.embed_tokens.weight"])
    assert [run["weight"] for run in summary["runs"]] == [0.5, -0.25]


def test_runs_of_different_methods_and_places_combine(writes: Any, decoder_folder: Path, tmp_path: Path) -> None:
    """A run that changes one part, a run that changes another, each with its share: both changes are in."""
    lora = writes("lora", {**LORA, "target_modules": ["v_proj"]})
    layers, whole = writes("layers", {"name": "layers", "last": 1}), writes("whole", "full")
    merge_runs([lora, layers, whole], tmp_path / "merged")
    base, merged = load_file(decoder_folder / "model.safetensors"), load_file(tmp_path / "merged" / "model.safetensors")
    parts, full = load_file(layers.adapter / "selected.safetensors"), load_file(whole.model / "model.safetensors")
    adapter = load_file(lora.adapter / "adapter_model.safetensors")
    for name in base:
        expected = base[name] + (full[name] - base[name]) / 3 + (parts[name] - base[name] if name in parts else 0.0) / 3
        key = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{key}.lora_A.weight" in adapter:
            expected = expected + 32 / 4 * (adapter[f"{key}.lora_B.weight"] @ adapter[f"{key}.lora_A.weight"]) / 3
        torch.testing.assert_close(merged[name], expected, atol=1e-6, rtol=1e-5)


def test_a_classifier_keeps_its_head_and_its_labels(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "run", **FEW))
    merge_runs([run.directory], tmp_path / "merged")
    merged = transformers.AutoModel.from_pretrained(tmp_path / "merged", add_pooling_layer=False)
    assert merged.config.id2label == {0: "negative", 1: "positive"}
    head = load_file(tmp_path / "merged" / "heads.safetensors")
    ids = run.model.model.tokenizer("the cat was good")["input_ids"]
    with torch.no_grad():
        vector = merged.eval()(torch.tensor([ids]))[0][0].mean(0)
        probabilities = (head["label.layers.0.weight"] @ vector + head["label.layers.0.bias"]).softmax(0)
    (expected,) = run.predict(["the cat was good"])
    assert probabilities.tolist() == pytest.approx(list(expected["probabilities"].values()), abs=1e-5)


def test_what_goes_on_from_a_merged_classifier_begins_where_it_ended(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "run"))
    merge_runs([run.directory], tmp_path / "merged")
    again = tune(classifier(tmp_path / "merged", reviews_csv, tmp_path / "again", **FEW))
    for metric, found in again.report["metrics"].items():
        assert found["base"]["value"] == pytest.approx(run.report["metrics"][metric]["tuned"]["value"], abs=1e-4)
    relabelled = tmp_path / "relabelled.csv"
    relabelled.write_text(reviews_csv.read_text().replace("positive", "yes").replace("negative", "no"), encoding="utf-8")
    other = tune(classifier(tmp_path / "merged", relabelled, tmp_path / "other", **FEW))
    assert any(
        "is for another task than classify, whose labels are no, yes: a new one is made" in said for said in other.report["warnings"]
    )


def test_a_run_on_a_run_and_one_with_new_tokens_merge(writes: Any, decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    first = writes("first")
    recipe = writer(first.path, pairs_csv, tmp_path / "second", method=LORA, **FEW)
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"add_tokens": ["yes yes"]})})
    second = tune(recipe)
    merge_runs([second.directory], tmp_path / "merged")
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(said(merged), said(second.model.model.trunk), atol=2e-5, rtol=2e-5)
    assert len(transformers.AutoTokenizer.from_pretrained(tmp_path / "merged")) == len(second.model.model.tokenizer)


def test_a_t5_and_its_encoder_merge(seq2seq_folder: Path, pairs_csv: Path, reviews_csv: Path, tmp_path: Path) -> None:
    merge_runs([tune(writer(seq2seq_folder, pairs_csv, tmp_path / "a", method=LORA, **FEW)).directory], tmp_path / "whole")
    assert transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "whole")
    merge_runs([tune(classifier(seq2seq_folder, reviews_csv, tmp_path / "b", **FEW)).directory], tmp_path / "half")
    tune(classifier(tmp_path / "half", reviews_csv, tmp_path / "again", **FEW))


def test_an_adapter_of_a_rounded_base_goes_into_the_exact_one_and_says_so(writes: Any, tmp_path: Path) -> None:
    summary = merge_runs([writes("int8", {**LORA, "base_precision": "int8"})], tmp_path / "merged")
    assert summary["notes"] == [
        "int8 was tuned on a base in int8; its change was merged into the base in full precision, which answers a little otherwise."
    ]


def test_what_does_not_go_together_is_refused_and_nothing_written(
    writes: Any, encoder_folder: Path, decoder_folder: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    out, one = tmp_path / "merged", writes("one")
    other = tune(classifier(encoder_folder, reviews_csv, tmp_path / "other", **FEW)).directory
    more = tune(classifier(encoder_folder, reviews_csv, tmp_path / "more", seed=5, **FEW)).directory
    lily = writes("lily", {"name": "peft", "peft_type": "LILY", "r": 4})
    for runs, weights, error, text in (
        ([one, other], None, RunError, r"other: was tuned on .* Take runs of one base"),
        ([other, more], None, RunError, "more: has another head than other. Heads are not combined"),
        ([lily], None, MethodError, "lily: what the method peft trains cannot be folded"),
        ([one], [0.5, 0.5], UsageError, "--weights: found 2, expected one for each of 1 runs"),
        ([one, one], None, UsageError, "one: is named twice"),
        ([], None, UsageError, "at least one run"),
    ):
        with pytest.raises(error, match=text):
            merge_runs(runs, out, weights=weights)
        assert not out.exists()
    with pytest.raises(UsageError, match=r"exists\. Name a folder that does not"):
        merge_runs([one], tmp_path)


def test_a_model_that_answers_otherwise_is_not_written(writes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = writes("one")
    fold = merging.merge_adapter

    def wrong(trunk: Any) -> None:
        fold(trunk)
        trunk.model.layers[0].mlp.up_proj.weight.data.mul_(1.01)

    monkeypatch.setattr(merging, "merge_adapter", wrong)
    for weights in (None, [0.5]):
        with pytest.raises(RunError, match="the model merged says something else than unmerged"):
            merge_runs([run], tmp_path / "merged", weights=weights)
        assert not (tmp_path / "merged").exists()


def test_the_command_prints_one_document(writes: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = writes("one"), writes("two", seed=3)
    arguments = ["merge", str(one.path), str(two.path), "--output", str(tmp_path / "merged"), "--weights", "0.7,0.3"]
    assert command([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "tunesmith/merge/1"
    assert [run["weight"] for run in document["runs"]] == [0.7, 0.3]
    assert command(arguments) == 2
    assert "exists. Name a folder that does not." in capsys.readouterr().err
    assert command([*arguments[:-1], "half"]) == 2
    assert "--weights half: expected numbers between commas" in capsys.readouterr().err


@pytest.fixture(scope="module")
def petals(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A network of numbers, new from a recipe, that names three flowers."""
    return tune(_flowers(tmp_path_factory.mktemp("petals") / "petals", {"architecture": "dense", "hidden": [8, 6]}, "full")).directory


def _flowers(out: Path, model: Any, method: Any, **changes: Any) -> Recipe:
    train = {"epochs": 2, "learning_rate": 2e-2, "examples_per_step": 8}
    recipe = {"model": model, "data": "iris", "method": method, "train": train, "export": "h5", "output_dir": str(out), **changes}
    return from_mapping(recipe, name="flowers")


@pytest.mark.parametrize(
    "method", ["head", "full", {"name": "lora", "r": 2}, {"name": "direct", "adjust": ["threshold", "biases"], "trials": 4}]
)
def test_a_run_on_a_network_of_numbers_is_merged_and_quantized(method: Any, petals: RunDirectory, tmp_path: Path) -> None:
    model = f"run:{petals.path}" if "direct" in str(method) else str(petals.h5)
    run = tune(_flowers(tmp_path / "run", model, method)).directory
    summary = merge_runs([run], tmp_path / "merged")
    assert summary["max_difference"] <= summary["tolerance"]
    merged, base = (load_file(folder / "model.safetensors") for folder in (tmp_path / "merged", petals.model))
    if isinstance(method, dict) and method["name"] == "lora":
        adapter = load_file(run.adapter / "adapter_model.safetensors")
        for name in ("layers.0.linear", "layers.1.linear"):
            low, high = (adapter[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
            torch.testing.assert_close(merged[f"{name}.weight"], base[f"{name}.weight"] + 32 / 2 * high @ low)
    again = transformers.AutoModel.from_pretrained(tmp_path / "merged").eval()
    row = torch.tensor([[[5.1, 3.5, 1.4, 0.2]]])
    with torch.no_grad():
        expected = tunesmith.Run(run).model.model.trunk(inputs_embeds=row)[0]
        torch.testing.assert_close(again(inputs_embeds=row)[0], expected, atol=1e-5, rtol=1e-5)
    document = quantize(run, "int8", output=tmp_path / "int8", max_loss=1.0)
    reported = tunesmith.Run(run).report["metrics"]["accuracy"]["tuned"]["value"]
    assert document["metrics"]["accuracy"]["before"]["value"] == pytest.approx(reported)


def test_a_network_of_numbers_is_compared_where_it_was_standardized_for() -> None:
    """About a mean of 2019 and a deviation of 0.5, random numbers about 0 all lie where a tanh is flat: any two networks would say the same."""
    layers = [
        {"class": "Normalization", "mean": [2019.0], "variance": [0.25]},
        {"class": "Dense", "units": 3, "activation": "tanh", "use_bias": False},
    ]
    network = LayeredModel(LayeredConfig.of(layers, num_columns=1)).eval()
    with torch.no_grad():
        network.layers[0].linear.weight.copy_(torch.tensor([[0.5], [-0.2], [0.1]]))
    loaded: Any = SimpleNamespace(facts=SimpleNamespace(num_columns=1))
    before = sample_outputs(network, loaded)
    assert before.abs().max() < 0.99
    with torch.no_grad():
        network.layers[0].linear.weight.mul_(1.01)
    assert (sample_outputs(network, loaded) - before).abs().max() > TOLERANCE
