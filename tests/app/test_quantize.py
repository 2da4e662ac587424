"""`tunesmith quantize`: what is written is read again by tunesmith and by transformers, what breaks a model is refused."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tiny_recipes import classifier, writer

from tunesmith.app import quantize as quantizing
from tunesmith.app.quantize import quantize
from tunesmith.app.run import Run
from tunesmith.app.tune import tune
from tunesmith.cli.main import run as command
from tunesmith.core.errors import ModelError, RunError, TunesmithError, UsageError
from tunesmith.model.load import load
from tunesmith.recipe import from_mapping

FEW = {"train": {"max_steps": 6, "examples_per_step": 8, "learning_rate": 3e-2}}
ALL = ("int8", "int4", "nf4", "fp4", "bf16", "fp16")
IDS = torch.arange(5, 27)[None]
LEVELS = {"int8": 255, "nf4": 16, "fp4": 16}


def said(trunk: Any) -> torch.Tensor:
    with torch.no_grad():
        return trunk.eval()(IDS)[0].float()  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def wide_folder(tmp_path_factory: pytest.TempPathFactory, decoder_folder: Path) -> Path:
    """A Llama as wide as bitsandbytes' own products on a CPU need it."""
    folder = tmp_path_factory.mktemp("models") / "wide-llama"
    torch.manual_seed(0)
    sizes: dict[str, Any] = dict(vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4)
    config = transformers.LlamaConfig(**sizes, num_key_value_heads=2, max_position_embeddings=64, eos_token_id=4, pad_token_id=0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(decoder_folder).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("form", ALL)
def test_a_run_is_written_smaller_and_reads_its_test_rows_again(form: str, wide_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    method = {"name": "lora", "r": 4}
    run = tune(writer(wide_folder, pairs_csv, tmp_path / "run", method=method, **FEW))
    out = tmp_path / "small"
    document = quantize(str(run.directory.path), form, output=out)
    size = document["size"]
    assert size["after_bytes"] == (out / "model.safetensors").stat().st_size
    assert size["output_bytes"] == sum(file.stat().st_size for file in out.iterdir())
    adapter = run.directory.adapter / "adapter_model.safetensors"
    assert size["before_bytes"] >= (wide_folder / "model.safetensors").stat().st_size + adapter.stat().st_size
    assert size["after_bytes"] < size["before_bytes"]
    assert document["metrics"].keys() == run.report["metrics"].keys()
    for name, entry in document["metrics"].items():
        assert entry["before"]["value"] == pytest.approx(run.report["metrics"][name]["tuned"]["value"], rel=1e-4)
        assert entry["difference"]["value"] == pytest.approx(entry["after"]["value"] - entry["before"]["value"])
        if entry["difference"]["value"]:
            assert entry["difference"]["low"] <= entry["difference"]["value"] <= entry["difference"]["high"]
    assert document["notes"][0] == f"run: what it trained was merged into {wide_folder} in full precision first."
    assert all(number > 0 for number in document["tokens_per_second"].values())
    whole, again = said(run.model.model.trunk), said(load(str(out)).trunk)
    error = float((again - whole).norm() / whole.norm())
    assert 0 < error < {"bf16": 0.02, "fp16": 0.003, "int8": 0.05, "int4": 0.4, "nf4": 0.4, "fp4": 0.5}[form]


def test_a_mixture_on_a_model_with_new_tokens_and_a_t5_are_judged_as_their_reports_did(
    decoder_folder: Path, seq2seq_folder: Path, pairs_csv: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    reviews = {"source": str(reviews_csv), "columns": {"text": "review", "label": "sentiment"}}
    mixed = {
        "model": {"source": str(decoder_folder), "add_tokens": ["yes yes"]},
        "data": {"mix": {"pairs": {"source": str(pairs_csv)}, "reviews": reviews}},
        "method": {"name": "lora", "r": 4},
        "output_dir": str(tmp_path / "mixed"),
    }
    for name, recipe in (
        ("mixed", from_mapping({**mixed, **FEW}, name="tiny")),
        ("t5", writer(seq2seq_folder, pairs_csv, tmp_path / "t5", method={"name": "lora", "r": 4}, **FEW)),
    ):
        run = tune(recipe)
        document = quantize(run.directory, "int8", output=tmp_path / f"{name}-small", force=True)
        for metric, entry in run.report["metrics"].items():
            assert document["metrics"][metric]["before"]["value"] == pytest.approx(entry["tuned"]["value"], rel=1e-3), (name, metric)


def test_weights_are_off_by_as_much_where_the_run_computes_in_bf16(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    """The run's own weights are stored in bf16 while it is asked, and are rounded then as `--to bf16` rounds them."""
    run = tune(writer(decoder_folder, pairs_csv, tmp_path / "run", engine={"precision": "bf16"}, **FEW))
    plain = load_file(run.directory.model / "model.safetensors")
    document = quantize(run.directory, "bf16", output=tmp_path / "small", limit=4)
    linear = [p.double() for name, p in plain.items() if "_proj" in name]
    lost, whole = (sum(float((p - factor * p.bfloat16().double()).square().sum()) for p in linear) for factor in (1, 0))
    assert document["weight_error"] == pytest.approx((lost / whole) ** 0.5, rel=1e-4)
    assert all(entry["difference"]["value"] == 0 for entry in document["metrics"].values())


@pytest.mark.parametrize("form", ["int8", "nf4", "fp4"])
def test_transformers_reads_the_folder_with_bitsandbytes(form: str, wide_folder: Path, tmp_path: Path) -> None:
    quantize(str(wide_folder), form, output=tmp_path / "small", limit=2, force=True)
    peer: Any = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "small")
    layer = peer.model.layers[0].mlp.up_proj
    assert type(layer).__name__ == ("Linear8bitLt" if form == "int8" else "Linear4bit")
    assert type(peer.lm_head) is torch.nn.Linear
    ours: Any = load(str(tmp_path / "small")).trunk
    assert len(ours.model.layers[0].mlp.up_proj.weight[0].unique()) <= LEVELS[form]  # a row is one block of 64
    # bitsandbytes computes int8 with int8 inputs, and 4 bits in bfloat16 where the processor has that
    torch.testing.assert_close(said(peer), said(ours), atol=0.05 * float(said(ours).abs().max()), rtol=0)


@pytest.mark.parametrize("form", ["int8", "nf4"])
def test_a_folder_that_transformers_wrote_is_read_with_the_numbers_that_it_makes(form: str, wide_folder: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"load_in_8bit": True} if form == "int8" else {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    config = transformers.BitsAndBytesConfig(**settings)  # type: ignore[no-untyped-call]
    peer: Any = transformers.AutoModelForCausalLM.from_pretrained(wide_folder, quantization_config=config, dtype=torch.float32)
    peer.save_pretrained(tmp_path / "theirs")
    transformers.AutoTokenizer.from_pretrained(wide_folder).save_pretrained(tmp_path / "theirs")
    model = load(str(tmp_path / "theirs"))
    theirs = peer.dequantize(torch.float32).state_dict()
    for name, p in model.trunk.state_dict().items():
        torch.testing.assert_close(p, theirs[name].float(), atol=1e-6, rtol=1e-3)
    assert model.source.notes == (f"made from {form} (bitsandbytes) to float32",)


@pytest.mark.parametrize(("form", "steps"), [("int8", 127), ("int4", 7)])
def test_conv1d_layers_of_gpt2_come_back_the_right_way_round(form: str, steps: int, decoder_folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=64, n_embd=64, n_layer=1, n_head=4, n_positions=64))
    plain.save_pretrained(tmp_path / "gpt2")
    transformers.AutoTokenizer.from_pretrained(decoder_folder).save_pretrained(tmp_path / "gpt2")
    quantize(str(tmp_path / "gpt2"), form, output=tmp_path / "small", limit=2, force=True)
    again = load(str(tmp_path / "small")).trunk.state_dict()
    for name, p in plain.state_dict().items():  # a step is the largest weight of a row, or of a part of one, / 127 or / 7
        torch.testing.assert_close(again[name], p, atol=float(p.abs().max()) / (2 * steps) * 1.01, rtol=0)
    if form == "int8":
        peer: Any = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "small")
        torch.testing.assert_close(said(peer), said(plain), atol=0.05 * float(said(plain).abs().max()), rtol=0)


def test_transformers_reads_int4_with_compressed_tensors(wide_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("compressed_tensors")
    quantize(str(wide_folder), "int4", output=tmp_path / "small", limit=2, force=True)
    peer: Any = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "small")
    assert type(peer.lm_head) is torch.nn.Linear
    ours: Any = load(str(tmp_path / "small")).trunk
    torch.testing.assert_close(said(peer), said(ours), atol=1e-2 * float(said(ours).abs().max()), rtol=0)
    layer = peer.model.layers[0].mlp.up_proj
    torch.testing.assert_close(layer.weight.float(), ours.model.layers[0].mlp.up_proj.weight, atol=1e-6, rtol=1e-3)


def test_a_classifier_keeps_its_head_and_a_recipe_begins_with_the_folder(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "run", train={"epochs": 6, "learning_rate": 1e-2}))
    document = quantize(run.directory, "int8", output=tmp_path / "small")
    accuracy, reported = document["metrics"]["accuracy"], run.report["metrics"]["accuracy"]["tuned"]
    assert accuracy["before"]["value"] == reported["value"]
    assert accuracy["rows"] == run.report["metrics"]["accuracy"]["rows"]
    assert load_file(tmp_path / "small" / "heads.safetensors").keys() == load_file(run.directory.heads).keys()
    assert json.loads((tmp_path / "small" / "config.json").read_text())["id2label"] == {"0": "negative", "1": "positive"}
    second = tune(classifier(tmp_path / "small", reviews_csv, tmp_path / "second", **FEW))
    assert second.report["model"]["notes"] == ["made from int8 (bitsandbytes) to float32"]
    assert Run(tmp_path / "second").predict(["the cat was good"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")
@pytest.mark.parametrize("form", ["nf4", "bf16"])
def test_a_run_is_judged_on_the_gpu_and_its_weights_where_they_were_written(
    form: str, decoder_folder: Path, pairs_csv: Path, tmp_path: Path
) -> None:
    run = tune(writer(decoder_folder, pairs_csv, tmp_path / "run", engine={"device": "cuda"}, **FEW))
    document = quantize(run.directory, form, output=tmp_path / "small", limit=4, force=True)
    assert 0 < document["weight_error"] < 0.2
    assert document["metrics"]["perplexity"]["rows"] == 4


def test_a_run_that_learned_from_pairs_too_is_judged(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    objective = {"name": "classify", "contrastive": 1.0}
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "run", method="full", objective=objective, **FEW))
    document = quantize(run.directory, "int8", output=tmp_path / "small", force=True)
    assert document["metrics"]["accuracy"]["before"]["value"] == run.report["metrics"]["accuracy"]["tuned"]["value"]


def test_a_run_on_a_quantized_base_and_one_of_a_whole_model_are_written(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    recipe = writer(decoder_folder, pairs_csv, tmp_path / "qlora", method={"name": "qlora", "r": 4}, **FEW)
    tune(recipe)
    notes = quantize(str(tmp_path / "qlora"), "nf4", output=tmp_path / "a", limit=4, force=True)["notes"]
    assert notes[1].startswith("qlora was tuned on a base in nf4; its change was merged into the base in full precision")
    whole = tune(writer(decoder_folder, pairs_csv, tmp_path / "whole", **FEW))
    document = quantize(whole.directory, "fp16", output=tmp_path / "b", limit=4)
    assert document["size"]["before_bytes"] == sum(file.stat().st_size for file in whole.directory.model.iterdir())
    assert {entry["rows"] for entry in document["metrics"].values()} == {4}


def test_a_model_is_judged_on_pages_of_the_python_reference(decoder_folder: Path, tmp_path: Path) -> None:
    document = quantize(str(decoder_folder), "bf16", output=tmp_path / "small", limit=3)
    assert document["run"] is None
    assert set(document["metrics"]) >= {"perplexity", "bits_per_byte"}
    for entry in document["metrics"].values():
        assert entry["rows"] == 3
        assert entry["before"]["low"] <= entry["before"]["value"] <= entry["before"]["high"]
    weights = load_file(tmp_path / "small" / "model.safetensors")
    plain = load_file(decoder_folder / "model.safetensors")
    assert weights.keys() == plain.keys()
    linear = [name for name in plain if "_proj" in name]
    lost, whole = (sum(float((plain[n] - factor * weights[n].float()).double().square().sum()) for n in linear) for factor in (1, 0))
    assert document["weight_error"] == pytest.approx((lost / whole) ** 0.5, rel=1e-4)
    for name in plain:
        assert torch.equal(weights[name], plain[name].bfloat16())


def test_weights_that_a_form_cannot_hold_are_refused_and_written_only_by_force(decoder_folder: Path, tmp_path: Path) -> None:
    """fp16 ends at 65,504."""
    broken, out = tmp_path / "large", tmp_path / "new" / "small"
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(decoder_folder)
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight[0, 0] = 1e6
    model.save_pretrained(broken)
    transformers.AutoTokenizer.from_pretrained(decoder_folder).save_pretrained(broken)
    with pytest.raises(TunesmithError, match=r"large in fp16: Its outputs are not all finite numbers\. Nothing was written\.") as caught:
        quantize(str(broken), "fp16", output=out, limit=2)
    assert caught.value.exit_code == 1
    assert not out.parent.exists()
    document = quantize(str(broken), "fp16", output=out, limit=2, force=True)
    assert document["problems"] == ["Its outputs are not all finite numbers."]
    assert (out / "model.safetensors").is_file()
    assert quantize(str(broken), "bf16", output=tmp_path / "fine", limit=2, max_loss=1.0)["problems"] == []


def test_a_loss_that_is_certain_is_refused(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    """One input of each row is made so large, and what feeds it as much smaller, that the model says the same and int8 keeps nothing of the others."""
    run = tune(writer(decoder_folder, pairs_csv, tmp_path / "run"))
    file = run.directory.model / "model.safetensors"
    tensors = load_file(file)
    for layer in (f"model.layers.{number}" for number in range(2)):
        for written, read, columns in (("self_attn.v_proj", "self_attn.o_proj", (0, 8)), ("mlp.up_proj", "mlp.down_proj", (0,))):
            tensors[f"{layer}.{written}.weight"][0] /= 1e4
            tensors[f"{layer}.{read}.weight"][:, list(columns)] *= 1e4  # two query heads share a value
    save_file(tensors, file, metadata={"format": "pt"})
    fine = quantize(run.directory, "bf16", output=tmp_path / "fine")["metrics"]["perplexity"]
    assert fine["before"]["value"] == pytest.approx(run.report["metrics"]["perplexity"]["tuned"]["value"], rel=1e-3)
    with pytest.raises(TunesmithError, match=r"run in int8: .*perplexity is .*, where --max-loss 0\.05 allows .* Nothing was written"):
        quantize(run.directory, "int8", output=tmp_path / "small")
    assert not (tmp_path / "small").exists()
    forced = quantize(run.directory, "int8", output=tmp_path / "small", force=True)
    assert forced["metrics"]["perplexity"]["difference"]["low"] > 0.05 * fine["before"]["value"]
    assert any("perplexity" in problem for problem in forced["problems"])
    assert quantize(run.directory, "int8", output=tmp_path / "allowed", max_loss=1e6)["problems"] == []


def test_only_a_difference_whose_whole_interval_is_worse_counts() -> None:
    def entry(value: float, low: float, high: float, *, higher: bool) -> dict[str, Any]:
        difference = {"value": (low + high) / 2, "low": low, "high": high}
        return {
            "higher_is_better": higher,
            "before": {"value": value},
            "after": {"value": value + (low + high) / 2},
            "difference": difference,
        }

    assert not quantizing._loss("accuracy", entry(0.8, -0.10, -0.03, higher=True), 0.05)  # 0.04 is allowed, and 0.03 may be all
    assert "where --max-loss 0.05 allows 0.04." in quantizing._loss("accuracy", entry(0.8, -0.10, -0.05, higher=True), 0.05)
    assert not quantizing._loss("perplexity", entry(20.0, 0.5, 3.0, higher=False), 0.05)
    assert quantizing._loss("perplexity", entry(20.0, 1.5, 3.0, higher=False), 0.05)
    assert not quantizing._loss("perplexity", entry(20.0, -3.0, -1.5, higher=False), 0.05)
    assert quantizing._loss("pearson", entry(0.8, math.nan, math.nan, higher=True), 0.05) == "pearson is no finite number, before 0.8."
    assert not quantizing._loss("pearson", entry(math.nan, math.nan, math.nan, higher=True), 0.05)


def test_a_change_of_which_one_row_tells_nothing_is_noted(decoder_folder: Path, tmp_path: Path) -> None:
    document = quantize(str(decoder_folder), "nf4", output=tmp_path / "small", limit=1)
    assert document["metrics"]["perplexity"]["difference"]["value"]
    assert "perplexity: its change has no interval (rows: 1) and is not held against --max-loss." in document["notes"]
    assert document["problems"] == []


def test_what_cannot_be_is_refused_before_anything_is_written(
    decoder_folder: Path, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    for target, form, more, error, text in (
        (decoder_folder, "nf5", {}, UsageError, r'--to nf5: no such form\. Did you mean "nf4"\?'),
        (decoder_folder, "nf4", {"output": tmp_path / "there"}, UsageError, "there: exists. Name another with --output"),
        (decoder_folder, "nf4", {"limit": 0}, UsageError, "--limit 0"),
        (decoder_folder, "nf4", {"max_loss": -1.0}, UsageError, "--max-loss -1"),
        (encoder_folder, "nf4", {}, ModelError, "is no decoder-only language model, .* Quantize a run on it"),
        ("run:none", "nf4", {}, RunError, "no such run"),
        (tmp_path / "none", "nf4", {}, ModelError, "no such folder"),
    ):
        with pytest.raises(error, match=text):
            quantize(str(target), form, **more)
        assert [file.name for file in tmp_path.iterdir()] == ["there"]


def test_a_run_without_test_rows_is_refused_and_written_unjudged_by_force(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    recipe = writer(decoder_folder, pairs_csv, tmp_path / "run", **FEW)
    run = tune(
        recipe.model_copy(update={"data": recipe.data.model_copy(update={"split": recipe.data.split.model_copy(update={"test": 0.0})})})
    )
    with pytest.raises(RunError, match=r"run: has no test rows, so that nothing here tells .* write it unjudged with --force"):
        quantize(run.directory, "int8", output=tmp_path / "small")
    assert not (tmp_path / "small").exists()
    document = quantize(run.directory, "int8", output=tmp_path / "small", force=True)
    assert document["metrics"] == {}
    assert document["tokens_per_second"] == {"before": None, "after": None}
    assert document["weight_error"] > 0


def test_an_encoder_is_written_unjudged_by_force(encoder_folder: Path, tmp_path: Path) -> None:
    document = quantize(str(encoder_folder), "nf4", output=tmp_path / "small", force=True)
    assert document["metrics"] == {}
    assert document["tokens_per_second"] == {"before": None, "after": None}
    assert load(str(tmp_path / "small")).facts.architecture == "BertModel"


@pytest.mark.parametrize("family", ["encoder", "seq2seq", "decoder"])
def test_a_model_with_an_adapter_is_written_merged(family: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """As peft saves one beside its base, without a word of a run."""
    base = request.getfixturevalue(f"{family}_folder")
    model: Any = load(str(base)).trunk
    adapted = get_peft_model(model, LoraConfig(target_modules="all-linear", init_lora_weights=False, base_model_name_or_path=str(base)))
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    adapted.save_pretrained(tmp_path / "adapter")
    quantize(str(tmp_path / "adapter"), "bf16", output=tmp_path / "small", limit=2, force=True)
    merged = adapted.merge_and_unload().state_dict()
    for name, p in load(str(tmp_path / "small")).trunk.state_dict().items():
        torch.testing.assert_close(p, merged[name].bfloat16().float(), atol=1e-6, rtol=1e-2)


def test_the_command_prints_one_document_and_fails_with_1(
    decoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(["quantize", str(decoder_folder), "--to", "bf16", "--limit", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "tunesmith/quantize/1"
    assert document["output"] == "tiny-llama-bf16"
    assert command(["quantize", str(decoder_folder), "--to", "int8", "--limit", "2", "-o", "eight"]) == 0
    printed = capsys.readouterr().out
    assert "bits_per_byte: " in printed
    assert "weights: " in printed
    assert "linear layers' weights: off by 0." in printed
    monkeypatch.setattr(quantizing, "_loss", lambda name, entry, max_loss: f"{name} is worse.")
    assert command(["quantize", str(decoder_folder), "--to", "int8", "--limit", "2", "-o", "worse", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 1
    assert not Path("worse").exists()


@pytest.mark.parametrize(
    ("form", "lost"), [("nf4", "nested_absmax"), ("nf4", "quant_state.bitsandbytes__nf4"), ("int8", "SCB"), ("int4", "weight_scale")]
)
def test_damaged_files_are_one_line(form: str, lost: str, decoder_folder: Path, tmp_path: Path) -> None:
    quantize(str(decoder_folder), form, output=tmp_path / "small", limit=2, force=True)
    file = tmp_path / "small" / "model.safetensors"
    save_file({name: tensor for name, tensor in load_file(file).items() if not name.endswith(lost)}, file, metadata={"format": "pt"})
    with pytest.raises(
        ModelError,
        match=r"its weights are not as (bitsandbytes|compressed-tensors) saves them \(model\.layers\..* lacks .*\)\. Copy or download",
    ):
        load(str(tmp_path / "small"))
