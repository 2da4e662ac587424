"""`tunesmith quantize --to gguf:...`: the file, read by gguf and by transformers, holds the model and its tokenizer."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from gguf import GGMLQuantizationType, GGUFReader, dequantize
from tiny_recipes import classifier, writer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

from tunesmith.app.quantize import quantize
from tunesmith.app.tune import tune
from tunesmith.cli.main import run as command
from tunesmith.core.errors import ModelError, UsageError
from tunesmith.model.load import load

IDS = torch.arange(5, 27)[None]
TEXTS = ["the cat was good: 1984 times!", "für alle, ÄÖ\n  x = f(y)", "<|user|> says </s> no"]
SIZES: dict[str, Any] = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
KINDS: dict[str, Any] = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM, {}),
    "tied": (transformers.LlamaConfig, transformers.LlamaForCausalLM, {"tie_word_embeddings": True, "head_dim": 32}),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM, {}),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM, {"head_dim": 128}),
}


@pytest.fixture(scope="module")
def tokenizer() -> transformers.PreTrainedTokenizerFast:
    built = Tokenizer(models.BPE())
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    built.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    special = ["</s>", "<|user|>", "<|assistant|>"]
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    built.train_from_iterator(TEXTS * 20, trainer)
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=built, eos_token="</s>", pad_token="</s>")
    made.add_special_tokens({"additional_special_tokens": special[1:]})
    made.chat_template = TEMPLATE
    return made


@pytest.fixture
def made(tokenizer: transformers.PreTrainedTokenizerFast, tmp_path: Path) -> Any:
    def make(kind: str, **changes: Any) -> tuple[Path, Any]:
        config_class, model_class, more = KINDS[kind]
        torch.manual_seed(0)
        config = config_class(
            **{
                **SIZES,
                "vocab_size": len(tokenizer) + 5,
                "max_position_embeddings": 64,
                "rope_theta": 5e4,
                "eos_token_id": 0,
                **more,
                **changes,
            }
        )
        model = model_class(config)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(2.0).add_(0.01 * torch.randn_like(p))
        model.save_pretrained(tmp_path / kind)
        tokenizer.save_pretrained(tmp_path / kind)
        return tmp_path / kind, model.eval()

    return make


def said(trunk: Any) -> torch.Tensor:
    with torch.no_grad():
        return trunk(IDS)[0].float()  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("form", "most"), [("f16", 0.003), ("q8_0", 0.04), ("q4_0", 0.4)])
def test_the_file_is_read_again_with_the_same_weights_and_tokens(kind: str, form: str, most: float, made: Any, tmp_path: Path) -> None:
    folder, plain = made(kind)
    file = tmp_path / "small.gguf"
    document = quantize(str(folder), f"gguf:{form}", output=file, limit=2, force=True)
    assert document["size"]["after_bytes"] == document["size"]["output_bytes"] == file.stat().st_size
    assert document["tokens_per_second"]["after"] is None
    assert set(document["metrics"]) >= {"perplexity", "bits_per_byte"}
    again = load(str(file))
    weights = again.trunk.state_dict()
    for name, p in plain.state_dict().items():
        if p.ndim == 1:
            assert torch.equal(weights[name], p)
        elif form == "f16":
            assert torch.equal(weights[name], p.half().float())
        else:  # a block of 32 shares a step: its largest weight / 127, or / 8, kept in float16
            largest = p.view(-1, 32).abs().amax(1, keepdim=True)
            steps = largest / (127 if form == "q8_0" or "embed" in name or "lm_head" in name else 8)
            assert bool(((weights[name].view(-1, 32) - p.view(-1, 32)).abs() <= steps * 1.01 + 1e-3 * largest).all()), name
    error = float((said(again.trunk) - said(plain)).norm() / said(plain).norm())
    assert 0 < error < most
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        assert again.tokenizer(text)["input_ids"] == theirs(text)["input_ids"]
    assert again.tokenizer.chat_template == TEMPLATE
    assert again.trunk.config.rope_parameters["rope_theta"] == 5e4  # type: ignore[union-attr,index]


def test_the_file_says_what_llama_cpp_reads(made: Any, tmp_path: Path) -> None:
    folder, plain = made("llama")
    quantize(str(folder), "gguf:q8_0", output=tmp_path / "small.gguf", limit=2, force=True)
    reader = GGUFReader(tmp_path / "small.gguf")
    fields = {name: field.contents() for name, field in reader.fields.items()}
    expected = {
        "general.architecture": "llama", "general.file_type": 7, "llama.block_count": 2, "llama.embedding_length": 64, "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2, "llama.rope.dimension_count": 16, "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.eos_token_id": 0, "tokenizer.ggml.add_bos_token": False,
    }  # fmt: skip
    assert {name: fields[name] for name in expected} == expected
    assert fields["tokenizer.ggml.token_type"][:3] == [3, 3, 3]
    assert fields["tokenizer.ggml.token_type"][-5:] == [5] * 5  # rows of the embedding that no token has
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    assert tensors["output_norm.weight"].tensor_type == GGMLQuantizationType.F32
    query = tensors["blk.0.attn_q.weight"]
    assert query.tensor_type == GGMLQuantizationType.Q8_0
    # a head's rows 0, 1, 2, ... are transformers' 0, 8, 1, 9, ...: those that a position turns together are neighbours
    order = [head * 16 + half * 8 + row for head in range(4) for row in range(8) for half in range(2)]
    rows = plain.model.layers[0].self_attn.q_proj.weight.detach().numpy()[order]
    np.testing.assert_allclose(dequantize(query.data, query.tensor_type), rows, atol=float(np.abs(rows).max()) / 200)


def test_a_run_becomes_a_file_that_a_recipe_begins_with(made: Any, pairs_csv: Path, tmp_path: Path) -> None:
    folder, _ = made("llama")
    few = {"train": {"max_steps": 4, "examples_per_step": 8, "learning_rate": 1e-2}}
    run = tune(writer(folder, pairs_csv, tmp_path / "run", method={"name": "lora", "r": 4}, **few))
    document = quantize(run.directory, "gguf:q8_0", output=tmp_path / "run.gguf", limit=6)
    assert document["metrics"]["perplexity"]["rows"] == 6
    whole, again = said(run.model.model.trunk), said(load(str(tmp_path / "run.gguf")).trunk)
    assert float((again - whole).norm() / whole.norm()) < 0.03
    second = tune(writer(tmp_path / "run.gguf", pairs_csv, tmp_path / "second", **few))
    assert second.report["model"]["notes"] == ["dequantized from GGUF to float32"]


@pytest.mark.parametrize("pre", ["llama-bpe", "qwen2"])
def test_how_a_known_tokenizer_splits_is_named_as_llama_cpp_names_it(pre: str, made: Any, tmp_path: Path) -> None:
    """The patterns as transformers' own reader of GGUF files has them."""
    folder, _ = made("llama")
    described = json.loads((folder / "tokenizer.json").read_text())
    split = {"type": "Split", "pattern": {"Regex": GGUF_PRE_TOKENIZER_SPLITS[pre]}, "behavior": "Isolated", "invert": False}
    described["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, {**described["pre_tokenizer"], "use_regex": False}]}
    (folder / "tokenizer.json").write_text(json.dumps(described))
    document = quantize(str(folder), "gguf:q8_0", output=tmp_path / "small.gguf", limit=2, force=True)
    assert GGUFReader(tmp_path / "small.gguf").fields["tokenizer.ggml.pre"].contents() == pre
    assert document["notes"] == []


def test_a_tokenizer_that_is_read_otherwise_is_told(made: Any, tmp_path: Path) -> None:
    """transformers knows no pattern for smollm, which parts numbers into digits."""
    folder, _ = made("llama")
    described = json.loads((folder / "tokenizer.json").read_text())
    digits = {"type": "Digits", "individual_digits": True}
    described["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, described["pre_tokenizer"]]}
    (folder / "tokenizer.json").write_text(json.dumps(described))
    rows = [f"the cat was good: 1984 times{'!' * number},yes" for number in range(1, 41)]
    (tmp_path / "pairs.csv").write_text("\n".join(["question,answer", *rows]))
    run = tune(writer(folder, tmp_path / "pairs.csv", tmp_path / "run", train={"max_steps": 1}))
    document = quantize(run.directory, "gguf:q8_0", output=tmp_path / "small.gguf", limit=4)
    assert GGUFReader(tmp_path / "small.gguf").fields["tokenizer.ggml.pre"].contents() == "smollm"
    assert document["notes"][1] == "read again, the tokenizer cuts 4 of 4 test texts otherwise; the metrics are on the tokens before."


def test_what_has_no_place_in_such_a_file_is_said_before_anything_runs(
    made: Any, encoder_folder: Path, decoder_folder: Path, reviews_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = made("llama")
    run = tune(classifier(folder, reviews_csv, tmp_path / "run", train={"max_steps": 2}))
    scaled, _ = made("qwen2", rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4})
    strange, _ = made("tied")
    tokenizer = json.loads((strange / "tokenizer.json").read_text())
    split = {"type": "Split", "pattern": {"Regex": "x+"}, "behavior": "Isolated", "invert": False}
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, {**tokenizer["pre_tokenizer"], "use_regex": False}]}
    (strange / "tokenizer.json").write_text(json.dumps(tokenizer))
    out = tmp_path / "small.gguf"
    for target, text in (
        (encoder_folder, "is a bert; GGUF files are written of llama, qwen2, qwen3"),
        (decoder_folder, r"its tokenizer \(WordLevel\) is no byte-level BPE"),
        (scaled, 'has rope_parameters.rope_type: "linear", which is not written'),
        (strange, r"splits texts \(Split, ByteLevel\) in a way that has no name"),
        (run.directory.path, "run: has a head of its own; a GGUF file holds a language model alone"),
    ):
        with pytest.raises(ModelError, match=text):
            quantize(str(target), "gguf:q8_0", output=out, force=True)
        assert not out.exists()
    with pytest.raises(UsageError, match=re.escape("expected the name of a file that ends in .gguf")):
        quantize(str(folder), "gguf:q8_0", output=tmp_path / "small")
    assert command(["quantize", str(encoder_folder), "--to", "gguf:f16", "-o", str(out)]) == 2
    assert "error: " in capsys.readouterr().err
