"""The recipe `new-language`, and the life of the tokens that it adds: a run's, a later run's, a prediction's."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from tiny_recipes import stop_at

from tunesmith.app.tune import resume, tune
from tunesmith.app.tuned import load_tuned
from tunesmith.app.vocabulary import add_tokens
from tunesmith.cli.main import run
from tunesmith.core import registry
from tunesmith.core.errors import Interrupted, RecipeError
from tunesmith.model.load import load as load_model
from tunesmith.recipe import load

_WORDS = "kissa koira talo järvi metsä punainen vanha juoksee istuu nukkuu".split()


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def model_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers whose byte-level tokenizer knows no merge."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = ["<|end|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    built = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(vocabulary)}, merges=[]))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    built.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    folder = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64,
        eos_token_id=0, pad_token_id=0, bos_token_id=None, tie_word_embeddings=request.param,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(tokenizer_object=built, eos_token="<|end|>", pad_token="<|end|>").save_pretrained(folder)
    return folder


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    draw = random.Random(0)
    file = tmp_path / "finnish.txt"
    file.write_text("\n\n".join(" ".join(draw.choices(_WORDS, k=6)) + "." for _ in range(80)), encoding="utf-8")
    return file


def _recipe(model: Path | str, texts: Path, out: Path, *changes: str) -> Any:
    return load("new-language", [
        f"model.source={model}", "model.add_tokens=6", "model.max_length=64", f"data.train={texts}", "train.max_steps=3", "train.learning_rate=1e-2",
        "evaluate.continuations=1", "evaluate.max_new_tokens=4", "evaluate.domains={}", f"output_dir={out}", *changes,
    ])  # fmt: skip


def test_a_new_row_is_the_mean_of_its_pieces_rows(model_folder: Path, texts: Path, tmp_path: Path) -> None:
    before = load_model(str(model_folder), need="lm")
    rows = before.trunk.get_input_embeddings().weight.detach().clone()  # type: ignore[operator]
    head = before.trunk.get_output_embeddings().weight.detach().clone()  # type: ignore[operator]
    spelled = before.tokenizer.encode(" järvi", add_special_tokens=False)
    grown = add_tokens(_recipe(model_folder, texts, tmp_path, "model.add_tokens=[järvi]"), before, [])
    assert grown.tokenizer.encode("vanha järvi", add_special_tokens=False)[-1] == 257 == grown.facts.vocab_size - 1
    assert grown.tokenizer.decode([257]) == " järvi"
    torch.testing.assert_close(grown.trunk.get_input_embeddings().weight[257], rows[spelled].mean(0))  # type: ignore[operator]
    torch.testing.assert_close(grown.trunk.get_output_embeddings().weight[257], head[spelled].mean(0))  # type: ignore[operator]
    assert torch.equal(grown.trunk.get_input_embeddings().weight[:257], rows)  # type: ignore[operator]


@pytest.mark.parametrize("method", ["new_tokens", "lora", "full"])
def test_a_run_keeps_its_tokens_and_a_later_one_goes_on_with_them(method: str, model_folder: Path, texts: Path, tmp_path: Path) -> None:
    done = tune(_recipe(model_folder, texts, tmp_path / "first", f"method={method}"))
    saved = json.loads(next((tmp_path / "first").glob("*/new_tokens.json")).read_text(encoding="utf-8"))["tokens"]
    assert len(saved) == 6
    assert set(saved) <= {f" {word}" for word in _WORDS}
    assert any("without the 6 tokens that the tuned model has beside" in warning for warning in done.report["warnings"])
    if method == "new_tokens":
        is_tied = load_model(str(model_folder), need="lm").trunk.config.tie_word_embeddings  # type: ignore[union-attr]
        assert done.report["cost"]["trainable_parameters"] == 6 * 32 * (1 if is_tied else 2)
    again = load_tuned(done.directory)
    assert again.model.tokenizer.encode(saved[0], add_special_tokens=False) == [257]
    plain = tune(_recipe(model_folder, texts, tmp_path / "plain", "model.add_tokens=null", "train.max_steps=1"))
    assert done.report["metrics"]["bits_per_byte"]["base"] == plain.report["metrics"]["bits_per_byte"]["base"]  # the model as it came
    later = tune(_recipe(tmp_path / "first", texts, tmp_path / "later", "model.add_tokens=null", "train.max_steps=1"))
    first, base = (report["metrics"]["bits_per_byte"] for report in (done.report, later.report))
    assert base["base"]["value"] == pytest.approx(first["tuned"]["value"], abs=1e-5)


def test_the_recipe_measures_english_beside_the_language(
    model_folder: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["tune", "new-language", f"model.source={model_folder}"]) == 3
    assert "texts.txt: no such file" in capsys.readouterr().err


def test_perplexity_compares_no_models_with_different_tokens(model_folder: Path, texts: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"evaluate\.metrics: perplexity is per token.*Use bits_per_byte"):
        tune(_recipe(model_folder, texts, tmp_path / "runs", "evaluate.metrics=[perplexity]"))
    done = tune(_recipe(model_folder, texts, tmp_path / "runs", "evaluate.metrics=null"))
    assert list(done.report["metrics"]) == ["bits_per_byte"]


def test_a_run_with_tokens_of_its_own_goes_on_after_an_interruption(model_folder: Path, texts: Path, tmp_path: Path) -> None:
    changes = ("method=new_tokens", "train.max_steps=6", "train.checkpoint_every_steps=2")
    whole = tune(_recipe(model_folder, texts, tmp_path / "whole", *changes))

    with pytest.raises(Interrupted):
        tune(_recipe(model_folder, texts, tmp_path / "cut", *changes), progress=stop_at(4))
    begun = next((tmp_path / "cut").glob("**/recipe.yaml")).parent
    done = resume(begun)
    assert done.report["metrics"] == whole.report["metrics"]
    rows = [load_file(next((tmp_path / name).glob("**/new_tokens.safetensors"))) for name in ("whole", "cut")]
    assert rows[0].keys() == rows[1].keys()
    assert all(torch.equal(rows[0][name], rows[1][name]) for name in rows[0])


def test_a_text_that_is_one_token_already_is_refused(model_folder: Path, texts: Path, tmp_path: Path) -> None:
    model = load_model(str(model_folder), need="lm")
    with pytest.raises(RecipeError, match="model.add_tokens"):
        add_tokens(_recipe(model_folder, texts, tmp_path, "model.add_tokens=['.']"), model, [])
    assert "new_tokens" in registry.names("method")
