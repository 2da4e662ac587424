"""LoRA's options: rsLoRA, DoRA, ranks of single layers, modules that train whole; held against peft and against arithmetic by hand."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from families import make
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import layer as peft_lora
from tiny_training import build, outputs, pefts_losses, trained
from torch import nn

from tunesmith.core import registry
from tunesmith.core.errors import MethodError
from tunesmith.engine.kernels import lora as kernel
from tunesmith.method._peft import attach_adapter, merge_adapter

OPTIONS: dict[str, dict[str, Any]] = {
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "ranks": {"rank_pattern": {"q_proj": 4, r"layers\.1\.mlp\..*": 2}, "alpha_pattern": {"v_proj": 5.0}},
    "saved": {"modules_to_save": ["lm_head", "model.norm"]},
}
TIED = {"vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def tied_llama() -> Any:
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**TIED, tie_word_embeddings=True)).eval()


@pytest.mark.parametrize("name", OPTIONS)
def test_the_loss_curve_is_pefts_own(name: str) -> None:
    forward, groups, _ = build("llama", "lora", **OPTIONS[name])
    losses = trained(forward, groups)
    given = OPTIONS[name] | ({"modules_to_save": list(OPTIONS[name]["modules_to_save"])} if name == "saved" else {})
    config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM", **given)
    assert losses == pytest.approx(pefts_losses("llama", config), abs=1e-4)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_step_zero_is_the_base_and_merged_is_unmerged(family: str, name: str) -> None:
    if name in ("ranks", "saved") and family != "llama":
        pytest.skip("names of Llama's modules")
    base = outputs(make(family))
    forward, groups, made = build(family, "lora", **OPTIONS[name])
    assert made.mergeable
    assert made.starts_at_base
    torch.testing.assert_close(outputs(forward.trunk), base, atol=1e-6, rtol=1e-6)
    trained(forward, groups)
    expected = outputs(forward.trunk)
    assert (expected - base).abs().max() > 1e-2
    merge_adapter(forward.trunk)
    assert [name for name, _ in forward.trunk.named_modules()] == [name for name, _ in make(family).named_modules()]
    torch.testing.assert_close(outputs(forward.trunk), expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("name", OPTIONS)
def test_files_go_to_peft_and_back(name: str, tmp_path: Path) -> None:
    forward, groups, made = build("llama", "lora", **OPTIONS[name])
    trained(forward, groups)
    made.save(forward.trunk, tmp_path / "ours")
    theirs = PeftModel.from_pretrained(make("llama"), str(tmp_path / "ours"))
    torch.testing.assert_close(outputs(theirs), outputs(forward.trunk), atol=1e-5, rtol=1e-5)
    theirs.save_pretrained(str(tmp_path / "theirs"))
    again, _, other = build("llama", "lora", **OPTIONS[name])
    other.load(again.trunk, tmp_path / "theirs")
    assert torch.equal(outputs(again.trunk), outputs(forward.trunk))


def test_dora_adds_one_magnitude_for_each_output() -> None:
    """Llama of width 32, two key heads of four, feed-forward 48, two layers, r 4: worked by hand."""
    _, groups, _ = build("llama", "lora", r=4, use_dora=True)
    low_rank = 4 * (2 * (32 + 32) + 2 * (32 + 16) + 3 * (32 + 48))
    magnitudes = 2 * 32 + 2 * 16 + 2 * 48 + 32
    assert sum(p.numel() for p in groups[0].params) == 2 * (low_rank + magnitudes) == 2 * (1856 + 224)


def test_dora_is_the_papers_equation() -> None:
    """Equation 5: W' = m (W0 + s B A) / ||W0 + s B A||, a length for each output."""
    forward, groups, _ = build("llama", "lora", r=4, lora_alpha=8, use_dora=True)
    trained(forward, groups)
    layer = forward.trunk.get_submodule("model.layers.0.self_attn.q_proj")
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    m = layer.lora_magnitude_vector["default"].weight
    changed = layer.base_layer.weight + 8 / 4 * b @ a
    expected = m[:, None] * changed / changed.pow(2).sum(1).sqrt()[:, None]
    merge_adapter(forward.trunk)
    torch.testing.assert_close(forward.trunk.get_submodule("model.layers.0.self_attn.q_proj").weight, expected)


def test_rslora_divides_by_the_root_of_the_rank() -> None:
    forward, _, _ = build("llama", "lora", r=16, lora_alpha=8, use_rslora=True, rank_pattern={"v_proj": 4})
    scales = {
        path.rpartition(".")[2]: module.scaling["default"]
        for path, module in forward.trunk.named_modules()
        if isinstance(module, peft_lora.Linear)
    }
    assert scales["q_proj"] == 8 / 4
    assert scales["v_proj"] == 8 / 2


@pytest.mark.parametrize(("name", "is_fused"), [("rslora", True), ("ranks", True), ("saved", True), ("dora", False)])
def test_the_fused_pass_runs_where_the_plain_formula_holds(name: str, is_fused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, _, _ = build("llama", "lora", **OPTIONS[name])
    calls: list[int] = []
    fused = kernel.lora_linear
    monkeypatch.setattr(kernel, "lora_linear", lambda *given, **beside: (calls.append(1), fused(*given, **beside))[1])
    outputs(forward.trunk)
    assert len(calls) == (14 if is_fused else 0)


def test_ranks_of_single_layers_count() -> None:
    _, groups, _ = build("llama", "lora", target_modules=["q_proj", "v_proj"], r=8, rank_pattern={"layers.1.self_attn.q_proj": 2})
    assert sum(p.numel() for p in groups[0].params) == (8 + 2) * (32 + 32) + 2 * 8 * (32 + 16)


def test_modules_to_save_train_whole_and_the_rest_stands_still() -> None:
    forward, groups, _ = build("llama", "lora", r=4, target_modules=["q_proj"], modules_to_save=["model.norm"])
    before = {name: p.detach().clone() for name, p in forward.named_parameters()}
    assert sum(p.numel() for p in groups[0].params) == 2 * 4 * (32 + 32) + 32
    trained(forward, groups)
    changed = {name for name, p in forward.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {name for name, p in forward.named_parameters() if p.requires_grad}
    assert any("norm.modules_to_save" in name for name in changed)


@pytest.mark.parametrize("module", ["embed_tokens", "lm_head"])
def test_a_tied_embedding_that_trains_whole_stays_tied(module: str, tmp_path: Path) -> None:
    forward, groups, made = build("llama", "lora", model=tied_llama(), r=4, modules_to_save=[module])
    assert sum(p.numel() for p in groups[0].params if p.shape == (97, 32)) == 97 * 32
    trained(forward, groups)
    trunk: Any = forward.trunk
    assert trunk.get_input_embeddings().weight is trunk.get_output_embeddings().weight
    made.save(trunk, tmp_path / "adapter")
    expected = outputs(trunk)
    theirs = PeftModel.from_pretrained(tied_llama(), str(tmp_path / "adapter"))
    torch.testing.assert_close(outputs(theirs), expected, atol=1e-5, rtol=1e-5)
    again, _, other = build("llama", "lora", model=tied_llama(), r=4, modules_to_save=[module])
    other.load(again.trunk, tmp_path / "adapter")
    assert torch.equal(outputs(again.trunk), expected)
    merge_adapter(trunk)
    trunk.save_pretrained(tmp_path / "merged")
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert merged.config.tie_word_embeddings
    torch.testing.assert_close(outputs(merged), expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("options", [{"modules_to_save": ["embed_tokens"]}, {"target_modules": ["lm_head"]}])
def test_what_peft_parted_is_merged_as_two_matrices(options: dict[str, Any], tmp_path: Path) -> None:
    """peft, left to itself, changes one of two tied matrices; the merged model must not come back with them tied."""
    from tunesmith.method._peft import attach_adapter

    torch.manual_seed(3)
    config = LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"} | options)
    with pytest.warns(UserWarning, match="tie_word_embeddings"):
        theirs = get_peft_model(tied_llama(), config)
    with torch.no_grad():
        for p in theirs.parameters():
            if p.requires_grad:
                p.add_(torch.randn_like(p) * 0.1)
    theirs.save_pretrained(str(tmp_path / "adapter"), save_embedding_layers=False)
    ours = tied_llama()
    attach_adapter(ours, tmp_path / "adapter")
    merge_adapter(ours)
    torch.testing.assert_close(outputs(ours), outputs(theirs), atol=2e-5, rtol=2e-5)
    ours.save_pretrained(tmp_path / "merged")
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(outputs(merged), outputs(theirs), atol=2e-5, rtol=2e-5)


def test_a_module_that_trains_whole_is_float32_in_a_model_kept_in_bfloat16() -> None:
    model = make("llama").to(torch.bfloat16)
    base = outputs(model)
    made = registry.create("method", "lora", r=4, modules_to_save=["lm_head", "model.norm"])
    (group,) = made.apply(model)
    assert {p.dtype for p in group.params} == {torch.float32}
    torch.testing.assert_close(outputs(model), base, atol=3e-2, rtol=3e-2)


def test_added_tokens_are_not_masked_where_the_embedding_trains_whole() -> None:
    model: Any = make("llama")
    model.new_token_ids = (95, 96)
    groups = registry.create("method", "lora", r=4, modules_to_save=["embed_tokens"]).apply(model)
    assert [group.name for group in groups] == ["lora", "new_tokens"]
    assert len(groups[1].params) == 1, "the rows of the vocabulary head alone"
    model.model.embed_tokens.weight.sum().backward()
    assert bool((model.model.embed_tokens.weight.grad == 1).all())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"r": 17}, r"method\.r: 17 is above the size of model\.layers\.0\.self_attn\.k_proj, 16 x 32\. Choose at most 16"),
        ({"rank_pattern": {"up_proj": 40}}, r"40 is above the size of model\.layers\.0\.mlp\.up_proj, 48 x 32"),
        ({"rank_pattern": {"q_lin": 4}}, r"method\.rank_pattern: q_lin matches no layer with an adapter\. Those are: .*q_proj"),
        ({"alpha_pattern": {"lm_head": 4.0}}, r"method\.alpha_pattern: lm_head matches no layer"),
        ({"rank_pattern": {"q_proj": 0}}, r"method\.rank_pattern: q_proj: expected a rank of at least 1, found 0"),
        ({"alpha_pattern": {"q_proj": 0.0}}, r"method\.alpha_pattern: q_proj: expected more than 0"),
        ({"modules_to_save": ["score"]}, r"method\.modules_to_save: score matches nothing .* Its modules: .*lm_head"),
        ({"target_modules": ["q_proj", "q_lin"]}, r"method\.target_modules: q_lin matches nothing .* Its linear modules: .*q_proj"),
        ({"target_modules": ".*q_lin"}, r"method\.target_modules: '\.\*q_lin' matches nothing"),
        ({"target_modules": "("}, r"method\.target_modules: '\(' is no regular expression"),
        ({"target_modules": ["norm"]}, r"method: peft's LORA does not fit this model: Target module LlamaRMSNorm.* is not supported"),
        ({"use_dora": True, "base_precision": "int8"}, r"method\.use_dora: .* base_precision: int8"),
    ],
)
def test_options_that_do_not_fit_are_told(options: dict[str, Any], said: str) -> None:
    with pytest.raises(MethodError, match=said):
        registry.create("method", "lora", **options).apply(make("llama"))


def test_the_linear_modules_that_are_named_are_gpt2s_transposed_ones_too(tmp_path: Path) -> None:
    said = r"method\.target_modules: q_proj matches nothing in this model\. Its linear modules: c_attn, c_fc, c_proj, lm_head\."
    lora = registry.create("method", "lora", target_modules=["q_proj"])
    with pytest.raises(MethodError, match=said):
        lora.apply(make("gpt2"))
    trunk = make("llama")
    lora.apply(trunk)
    lora.save(trunk, tmp_path)
    with pytest.raises(MethodError, match=said):
        attach_adapter(make("gpt2"), tmp_path)


def test_a_tied_module_that_peft_would_part_is_told() -> None:
    with pytest.raises(MethodError, match=r"wte is the vocabulary head's matrix too\. Name embed_tokens or lm_head"):
        registry.create("method", "lora", modules_to_save=["wte"]).apply(make("gpt2"))
    model: nn.Module = make("gpt2")
    registry.create("method", "lora", modules_to_save=["lm_head"]).apply(model)
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight  # type: ignore[operator]


def _of_sizes(**sides: tuple[int, int]) -> Any:
    """Linear layers by name, inputs and outputs of each."""
    trunk: Any = nn.ModuleDict({name: nn.Linear(*shape) for name, shape in sides.items()})
    trunk.config = SimpleNamespace(is_encoder_decoder=False)
    return trunk


def _ranks(trunk: nn.Module) -> dict[str, int]:
    return {path: module.r["default"] for path, module in trunk.named_modules() if isinstance(module, peft_lora.Linear)}


@pytest.mark.parametrize(
    ("options", "ranks"),
    [
        ({}, {"wide": 16, "square": 16}),
        ({"r": 8}, {"wide": 8, "square": 8, "narrow": 8}),
        ({"r": 1}, {"wide": 1, "square": 1, "narrow": 1}),
        ({"rank_pattern": {"narrow": 2, "score": 1}}, {"wide": 16, "square": 16, "narrow": 2, "score": 1}),
        ({"target_modules": ["score"], "r": 1}, {"score": 1}),
    ],
)
def test_the_default_rank_leaves_out_what_is_narrower_and_no_rank_changes_a_vector_that_is_not_named(
    options: dict[str, Any], ranks: dict[str, int]
) -> None:
    trunk = _of_sizes(wide=(64, 16), square=(16, 16), narrow=(16, 8), score=(16, 1))
    registry.create("method", "lora", **options).apply(trunk)
    assert _ranks(trunk) == ranks
    assert trunk.without_adapter == (("narrow",) if not options else ())


def test_a_network_with_no_room_for_the_default_rank_is_told_what_there_is_room_for() -> None:
    with pytest.raises(MethodError, match=r"method\.r: 16 is above the size of first, 8 x 4\. Choose at most 4"):
        registry.create("method", "lora").apply(_of_sizes(first=(4, 8), second=(8, 8)))


def test_what_is_left_out_is_left_out_again_when_peft_and_we_load_the_adapter(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trunk, again, theirs = (_of_sizes(square=(16, 16), score=(16, 1)) for _ in range(3))
    made = registry.create("method", "lora")
    (group,) = made.apply(trunk)
    assert [tuple(p.shape) for p in group.params] == [(16, 16), (16, 16)]
    with torch.no_grad():
        for p in group.params:
            p.normal_()
    made.save(trunk, tmp_path)
    made.apply(again)
    made.load(again, tmp_path)
    attach_adapter(theirs, tmp_path)
    for other in (again, theirs):
        assert all(torch.equal(p, q) for p, q in zip(trunk.square.lora_B.parameters(), other.square.lora_B.parameters(), strict=True))
        assert isinstance(other.score, nn.Linear)
