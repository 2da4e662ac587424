import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tunesmith.core.errors import ModelError
from tunesmith.model.load import load

H, FF, VOCAB = 32, 64, 300


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))


def _q4_1(scale: float, offset: float, integers: list[int]) -> np.ndarray:
    """A block of 32 numbers, each `scale x integer + offset`: two float16, then the low halves of 16 bytes, then the high ones."""
    halves = np.array(integers[:16], np.uint8) | (np.array(integers[16:], np.uint8) << 4)
    return np.concatenate([np.array([scale, offset], np.float16).view(np.uint8), halves])


def _write(path: Path, architecture: str = "llama", without: str = "") -> np.ndarray:
    """A tiny Llama as GGUF: Q4_1 matrices, float32 norms. Returns what its first feed-forward matrix is, worked by hand."""
    draw = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_license("mit")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(H)
    writer.add_feed_forward_length(FF)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_rope_dimension_count(8)
    writer.add_rope_freq_base(5000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCAB)
    letters = [chr(code) for code in [*range(33, 127), *range(161, 173), *range(174, 256)]] + [chr(256 + n) for n in range(68)]
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *letters, "ab"]
    tokens += [f"<|reserved{n}|>" for n in range(VOCAB - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}")
    blocks, expected = [], []
    for row in range(FF):
        scale, offset, integers = 0.01 * (row + 1), -0.05 * row, draw.integers(0, 16, 32).tolist()
        blocks.append(_q4_1(scale, offset, integers))
        expected.append(np.float32(np.float16(scale)) * np.array(integers, np.float32) + np.float32(np.float16(offset)))
    writer.add_tensor("blk.0.ffn_gate.weight", np.stack(blocks), raw_dtype=gguf.GGMLQuantizationType.Q4_1)
    shapes = {"attn_q": (H, H), "attn_k": (H, H), "attn_v": (H, H), "attn_output": (H, H), "ffn_up": (FF, H), "ffn_down": (H, FF)}
    for name, shape in shapes.items():
        if name != without:
            writer.add_tensor(f"blk.0.{name}.weight", (draw.standard_normal(shape) * 0.1).astype(np.float32))
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(H, np.float32))
    writer.add_tensor("token_embd.weight", draw.standard_normal((VOCAB, H)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return np.stack(expected)


def test_a_gguf_file_becomes_a_model_folder_with_exactly_its_numbers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    expected = _write(tmp_path / "tiny.gguf")
    capfd.readouterr()
    loaded = load(str(tmp_path / "tiny.gguf"))
    assert capfd.readouterr() == ("", "")
    found = load_file(loaded.source.folder / "model.safetensors")["model.layers.0.mlp.gate_proj.weight"]
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), expected)
    config = json.loads((loaded.source.folder / "config.json").read_text())
    assert config["rope_parameters"]["rope_theta"] == 5000
    assert config["tie_word_embeddings"] is True
    assert "quantization_config" not in config
    assert loaded.trunk.lm_head.weight is loaded.trunk.model.embed_tokens.weight  # type: ignore[union-attr]
    assert loaded.facts.max_length == 64
    assert loaded.source.licence == "mit"
    assert loaded.tokenizer("<|im_start|>hello<|im_end|>")["input_ids"][::6] == [1, 2]
    assert loaded.tokenizer.eos_token == "<|im_end|>"


def test_a_file_is_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path / "tiny.gguf")
    load(str(tmp_path / "tiny.gguf"))
    monkeypatch.setattr("tunesmith.model.sources._gguf._convert", lambda *_: pytest.fail("converted twice"))
    load(str(tmp_path / "tiny.gguf"))


def test_a_broken_file_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF nothing of the kind")
    with pytest.raises(ModelError, match=r"bad\.gguf: this GGUF file cannot be read") as raised:
        load(str(tmp_path / "bad.gguf"))
    assert "\n" not in str(raised.value)
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_a_file_that_lacks_a_tensor_is_refused_and_not_filled_at_random(tmp_path: Path) -> None:
    _write(tmp_path / "tiny.gguf", without="attn_k")
    with pytest.raises(ModelError, match=r"tiny\.gguf: its weights lack model\.layers\.0\.self_attn\.k_proj\.weight \(1 tensors in all\)"):
        load(str(tmp_path / "tiny.gguf"))
    assert list((tmp_path / "cache" / "models").iterdir()) == []


@pytest.mark.parametrize("architecture", ["chatglm", "t5"])
def test_a_whole_file_of_an_unknown_architecture_is_refused_with_those_that_are_known(architecture: str, tmp_path: Path) -> None:
    _write(tmp_path / "tiny.gguf", architecture)
    said = (
        rf"tiny\.gguf: holds a model of the architecture {architecture}, which transformers [\d.]+ does not read from GGUF\. "
        r"Known: bloom, .*, gpt2, gpt_oss, .*, llama, .*, qwen2_moe, .*\. Use the model's safetensors folder\.$"
    )
    with pytest.raises(ModelError, match=said):
        load(str(tmp_path / "tiny.gguf"))
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_an_architecture_is_known_as_files_spell_it(tmp_path: Path) -> None:
    _write(tmp_path / "tiny.gguf", "qwen2moe")
    with pytest.raises(ModelError, match=r"its weights lack .* that a Qwen2MoeForCausalLM needs"):  # the tensors are a Llama's
        load(str(tmp_path / "tiny.gguf"))
