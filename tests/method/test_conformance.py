"""What every method promises, held over every method found, and those that its options make, on tiny models with and without a vocabulary head."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from families import CAUSAL, facts_of, make, random_rows
from tiny_training import pefts_losses
from torch import Tensor, nn
from ways import WAYS

from tunesmith.core import registry
from tunesmith.core.batch import collate
from tunesmith.core.errors import MethodError
from tunesmith.core.layers import repeated_layers
from tunesmith.core.types import Method, Objective, ParamGroup
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.kernels.quantized import quantize_weights
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.probe import probe
from tunesmith.method._peft import merge_adapter
from tunesmith.method._virtual import unfoldable
from tunesmith.model.heads import Head, load_heads, save_heads
from tunesmith.recipe.overlays import true_method

FAMILIES = ["llama", "gpt2", "bert", "roberta", "bloom"]
CASES = [(way, family) for way in WAYS for family in FAMILIES if way in registry.names("method") or family in ("llama", "gpt2", "bert")]
RECURRENT = ("full", "gradual", "layers", "bitfit", "head", "prompt", "p_tuning", "new_tokens")
CASES += [(way, "lstm") for way in RECURRENT] + [("full", "attending"), ("bitfit", "attending"), ("lora", "attending")]
OF_T5 = [way for way in WAYS if way in registry.names("method") and way != "prefix"]  # which is refused: tests/method/test_virtual.py
CASES += [(way, "t5") for way in OF_T5]
SAVED = [(way, family) for way in WAYS for family in ("llama", "bert")] + [(way, "t5") for way in OF_T5]
PLAN = TrainingPlan(num_steps=4, steps_per_epoch=4, learning_rate=2e-2, schedule="constant", num_warmup_steps=0, max_grad_norm=1.0)


def _objective(family: str, way: str) -> str:
    return "sft" if family in (*CAUSAL, "attending", "t5") and way != "head" else "classify"


def _method(way: str) -> Method:
    options = {name: value for name, value in WAYS[way].items() if name != "name"}
    return registry.create("method", true_method(WAYS[way]["name"]), **options)  # type: ignore[no-any-return]


def _base(family: str, way: str) -> nn.Module:
    model = make(family, scale=1.0 if family == "t5" else 4.0)  # whose attention is not divided by the width, and sharp as it is
    if way == "qlora":
        quantize_weights(model, "nf4")
    return model


def _build(family: str, way: str) -> tuple[PackedForward, list[ParamGroup], Method, Objective]:
    """A tiny model with the method applied and, where the objective needs one, a seeded head."""
    model = _base(family, way)
    facts = facts_of(family, model)
    paths = probe(model, facts)
    objective = registry.create("objective", _objective(family, way))
    made = _method(way)
    torch.manual_seed(1)
    heads = {} if objective.uses_lm_head else {"label": Head("label", facts.hidden_size, 3, pooling="mean")}
    torch.manual_seed(2)
    if way == "new_tokens":
        model.new_token_ids = tuple(range(50, 97))  # type: ignore[assignment]  # as if the model had been given them
    groups = made.apply(model)
    groups += [ParamGroup(name, list(head.parameters())) for name, head in heads.items()]
    forward = PackedForward(model, heads, facts, paths)
    forward.use_virtual_tokens(made.virtual_tokens)
    forward.drops_out = family != "t5"  # embeddings of unit variance: dropout moves the loss by more than four steps of a small method do
    return forward, groups, made, objective


def _outputs(forward: PackedForward) -> Tensor:
    forward.eval()
    with torch.no_grad():
        return forward.hidden(collate(random_rows((9, 14, 5), forward.facts, label=3), forward.facts))


def _train(forward: PackedForward, groups: list[ParamGroup], objective: Objective) -> list[float]:
    rows = random_rows((9, 14, 5, 8), forward.facts, label=3)
    state = TrainingState(make_optimizer(groups, name="adamw", weight_decay=0.0))
    plan = replace(PLAN, learning_rate=1e-1) if groups and groups[0].name == "peft" else PLAN  # VeRA takes a larger one, as its paper says
    return [s.loss for s in train(forward, objective, [[collate(rows, forward.facts)]] * PLAN.num_steps, plan, state)]


@pytest.mark.parametrize(("way", "family"), CASES)
def test_step_zero_is_the_base_model_where_the_method_says_so(way: str, family: str) -> None:
    base = _base(family, way)
    facts = facts_of(family, base)
    expected = _outputs(PackedForward(base, {}, facts, probe(base, facts)))
    forward, _, made, _ = _build(family, way)
    assert made.starts_at_base == torch.equal(_outputs(forward), expected)


@pytest.mark.parametrize(("way", "family"), CASES)
def test_training_lowers_the_loss_and_leaves_frozen_weights_bit_identical(way: str, family: str) -> None:
    forward, groups, _, objective = _build(family, way)
    before = {name: tensor.detach().clone() for name, tensor in [*forward.named_parameters(), *forward.named_buffers()]}
    trained = {id(p) for group in groups for p in group.params}
    losses = _train(forward, groups, objective)
    assert losses[-1] < losses[0]
    for name, p in forward.named_parameters():
        assert p.requires_grad == (id(p) in trained), name
        if not p.requires_grad:
            assert torch.equal(p, before[name]), name
    assert any(not torch.equal(p, before[name]) for name, p in forward.named_parameters() if id(p) in trained)
    assert all(torch.equal(buffer, before[name]) for name, buffer in forward.named_buffers())  # a quantized weight is one


@pytest.mark.parametrize(("way", "family"), CASES)
def test_what_is_saved_and_loaded_gives_equal_outputs(way: str, family: str, tmp_path: Path) -> None:
    forward, groups, made, objective = _build(family, way)
    _train(forward, groups, objective)
    made.save(forward.trunk, tmp_path / "saved")
    again, _, other, _ = _build(family, way)
    other.load(again.trunk, tmp_path / "saved")
    assert torch.equal(_outputs(again), _outputs(forward))
    if forward.heads:
        save_heads(dict(forward.heads.items()), ("a", "b", "c"), tmp_path / "heads.safetensors", tmp_path / "heads.json")
        again.heads.update(load_heads(tmp_path / "heads.safetensors", tmp_path / "heads.json")[0])
        batch = collate(random_rows((9, 14, 5), forward.facts, label=3), forward.facts)
        with torch.no_grad():
            assert torch.equal(again.eval().head("label", batch), forward.eval().head("label", batch))
            assert not torch.equal(forward.head("label", batch), _build(family, way)[0].eval().head("label", batch))


@pytest.mark.parametrize(("way", "family"), CASES)
def test_rows_together_are_each_row_alone(way: str, family: str) -> None:
    forward, groups, _, objective = _build(family, way)
    _train(forward, groups, objective)
    forward.eval()
    rows = random_rows((9, 14, 5, 8), forward.facts, label=3)
    with torch.no_grad():
        together = forward.hidden(collate(rows, forward.facts))
        alone = torch.cat([forward.hidden(collate([row], forward.facts)) for row in rows])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("way", "family"), CASES)
def test_one_micro_batch_of_four_is_four_of_one(way: str, family: str) -> None:
    """Gradient accumulation: the same loss and the same gradient of everything that trains, without dropout."""
    found = []
    for parts in ([(0, 1, 2, 3)], [(0,), (1,), (2,), (3,)]):
        forward, groups, _, objective = _build(family, way)
        for module in forward.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
            if hasattr(module, "dropout") and isinstance(module.dropout, float):
                module.dropout = 0.0
        rows = random_rows((9, 14, 5, 8), forward.facts, label=3)
        batches = [collate([rows[i] for i in part], forward.facts) for part in parts]
        state = TrainingState(make_optimizer(groups, name="sgd", weight_decay=0.0))
        plan = replace(PLAN, num_steps=1, max_grad_norm=1e9)
        (step,) = train(forward, objective, [batches], plan, state)
        found.append((step.loss, step.grad_norm, torch.cat([p.detach().flatten() for group in groups for p in group.params])))
    assert found[0][:2] == pytest.approx(found[1][:2], rel=1e-3)
    torch.testing.assert_close(found[0][2], found[1][2], atol=1e-4, rtol=1e-4)


def test_what_is_saved_gives_the_same_outputs_in_a_fresh_process(tmp_path: Path) -> None:
    for way, family in SAVED:
        forward, groups, made, objective = _build(family, way)
        _train(forward, groups, objective)
        made.save(forward.trunk, tmp_path / f"{way}-{family}")
        torch.save(_outputs(forward), tmp_path / f"{way}-{family}.pt")
    script = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
import torch
from pathlib import Path
from test_conformance import SAVED, _build, _outputs
for way, family in SAVED:
    forward, _, made, _ = _build(family, way)
    made.load(forward.trunk, Path({str(tmp_path)!r}) / f"{{way}}-{{family}}")
    assert torch.allclose(_outputs(forward), torch.load(f"{tmp_path}/{{way}}-{{family}}.pt"), atol=1e-6), (way, family)
print(len(SAVED))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    assert int(result.stdout) == len(SAVED)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
@pytest.mark.parametrize("way", [way for way in WAYS if _method(way).mergeable and way != "qlora"])
def test_merged_equals_unmerged_where_the_method_says_so(way: str, family: str) -> None:
    forward, groups, _, objective = _build(family, way)
    _train(forward, groups, objective)
    expected = _outputs(forward)
    merge_adapter(forward.trunk)
    assert [name for name, _ in forward.trunk.named_parameters()] == [name for name, _ in make(family).named_parameters()]
    torch.testing.assert_close(_outputs(forward), expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_saved_can_be_folded_into_a_model_where_the_method_says_so(way: str, tmp_path: Path) -> None:
    forward, _, made, _ = _build("llama", way)
    made.save(forward.trunk, tmp_path)
    assert made.mergeable == (not unfoldable(tmp_path))


def test_an_adapter_is_not_merged_into_a_quantized_weight() -> None:
    with pytest.raises(MethodError, match="its base is quantized, and an adapter is merged into a model in its own numbers only"):
        merge_adapter(_build("llama", "qlora")[0].trunk)


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_lora_trains_r_times_in_plus_out_parameters_a_layer(family: str) -> None:
    _, groups, _, _ = _build(family, "lora")
    linear = [m for name, m in make(family).named_modules() if isinstance(m, nn.Linear) and name != "lm_head"]
    assert sum(p.numel() for p in groups[0].params) == 16 * sum(m.in_features + m.out_features for m in linear)


def test_what_trains_of_a_t5_of_two_layers_is_as_many_as_counted_by_hand() -> None:
    """Width 32, inner width 48, two layers a half: an encoder's layer has 4 attention matrices and 2 of its dense part, a decoder's 4 more."""
    square, dense = 32 + 32, 32 + 48
    gains = 32 * (2 * 2 + 1 + 2 * 3 + 1)
    for way, expected in (("lora", 16 * 2 * ((4 + 8) * square + 2 * 2 * dense)), ("bitfit", gains), ("prompt", 20 * 32)):
        _, groups, _, _ = _build("t5", way)
        assert sum(p.numel() for group in groups for p in group.params) == expected, way


def test_peft_in_a_fresh_process_gives_our_logits(tmp_path: Path) -> None:
    """peft itself loads the adapter onto the base that transformers loads."""
    forward, groups, made, objective = _build("llama", "lora")
    make("llama").save_pretrained(tmp_path / "base")
    _train(forward, groups, objective)
    made.save(forward.trunk, tmp_path / "adapter")
    ids = list(range(6, 26))
    forward.eval()
    with torch.no_grad():
        torch.save(forward.trunk(torch.tensor([ids])).logits, tmp_path / "ours.pt")
    script = f"""
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({str(tmp_path / "base")!r}), {str(tmp_path / "adapter")!r}).eval()
with torch.no_grad():
    theirs = model(torch.tensor([{ids}])).logits
    plain = model.get_base_model()
    with model.disable_adapter():
        base = model(torch.tensor([{ids}])).logits
ours = torch.load({str(tmp_path / "ours.pt")!r})
assert (theirs - base).abs().max() > 1e-2, "the adapter changes nothing"
print(float((theirs - ours).abs().max()))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout.split()[-1]) <= 1e-5


def test_an_adapter_that_peft_saved_loads_into_ours(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(3)
    theirs = get_peft_model(make("llama"), LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")).eval()
    with torch.no_grad():
        for name, p in theirs.named_parameters():
            if "lora_B" in name:
                p.normal_()
    theirs.save_pretrained(tmp_path)
    ours = make("llama")
    method = registry.create("method", "lora", r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])
    method.apply(ours)
    method.load(ours, tmp_path)
    ids = torch.arange(6, 26)[None]
    with torch.no_grad():
        assert torch.equal(ours.eval()(ids).logits, theirs(ids).logits)


def test_the_loss_curve_is_pefts_own() -> None:
    """Same seed, same data: peft's LoRA under a plain transformers and torch loop."""
    from peft import LoraConfig

    forward, groups, _, objective = _build("llama", "lora")
    losses = _train(forward, groups, objective)
    expected = pefts_losses("llama", LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert losses == pytest.approx(expected, abs=1e-4)


def test_layers_that_are_not_there_are_named() -> None:
    from tunesmith.core.errors import MethodError

    with pytest.raises(MethodError, match=r"method.target_modules: q_lin matches nothing .* Its linear modules: .*q_proj"):
        registry.create("method", "lora", target_modules=["q_lin"]).apply(make("llama"))


def test_an_adapter_of_other_options_is_refused(tmp_path: Path) -> None:
    from tunesmith.core.errors import MethodError

    forward, _, made, _ = _build("llama", "lora")
    made.save(forward.trunk, tmp_path)
    other = make("llama")
    smaller = registry.create("method", "lora", r=4)
    smaller.apply(other)
    with pytest.raises(MethodError, match="do not fit this model and method"):
        smaller.load(other, tmp_path)


def test_bitfit_trains_every_bias_and_where_there_is_none_every_gain() -> None:
    for family in (*FAMILIES, "t5"):
        model = make(family)
        wanted = [name for name, _ in model.named_parameters() if name.endswith(".bias")] or [
            f"{name}.weight" for name, module in model.named_modules() if "norm" in type(module).__name__.lower()
        ]
        registry.create("method", "bitfit").apply(model)
        assert [name for name, p in model.named_parameters() if p.requires_grad] == wanted


def test_bitfit_is_told_what_does_not_fit(tmp_path: Path) -> None:
    bitfit = registry.create("method", "bitfit")
    small = make("llama")
    bitfit.apply(small)
    bitfit.save(small, tmp_path / "saved")
    with pytest.raises(MethodError, match=r"selected\.safetensors: .* does not fit this model"):
        bitfit.load(make("gpt2"), tmp_path / "saved")
    with pytest.raises(MethodError, match="no such file. It was saved by another method"):
        bitfit.load(small, tmp_path / "elsewhere")
    with pytest.raises(MethodError, match="has neither"):
        bitfit.apply(nn.Linear(2, 2, bias=False))
    small.new_token_ids = (1,)  # type: ignore[assignment]
    with pytest.raises(MethodError, match=r"trains no token, and model\.add_tokens adds some"):
        bitfit.apply(small)


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_trains_the_last_ones_or_what_is_named(family: str) -> None:
    model = make(family)
    (group,) = registry.create("method", "layers", last=1).apply(model)
    last = repeated_layers(model)[-1]
    assert {id(p) for p in group.params} == {id(p) for p in last.parameters()} == {id(p) for p in model.parameters() if p.requires_grad}
    (group,) = registry.create("method", "layers", names="bias$|norm.*weight").apply(model)
    assert {id(p) for p in group.params} == {id(p) for name, p in model.named_parameters() if re.search("bias$|norm.*weight", name)}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"last": 0}, "method.last: expected at least 1, found 0"),
        ({"last": 9}, r"method.last: 9; this model has 2 layers. Choose fewer"),
        ({"names": "("}, "method.names: .* is no regular expression"),
        ({"names": "nowhere"}, "method.names: 'nowhere' is found in no name of a parameter"),
    ],
)
def test_layers_that_are_not_there_are_told(options: dict[str, Any], said: str) -> None:
    with pytest.raises(MethodError, match=said):
        registry.create("method", "layers", **options).apply(make("llama"))


@pytest.mark.parametrize("way", sorted({*WAYS} - {*RECURRENT} - {"lstm"}))
def test_a_recurrent_model_is_refused_in_one_line_that_names_what_tunes_it(way: str) -> None:
    with pytest.raises(MethodError, match=r"(?s)^[^\n]*use full, layers, bitfit, prompt or head\.$"):
        _method(way).apply(make("lstm"))


def test_lora_on_attention_of_a_recurrent_model_is_refused() -> None:
    with pytest.raises(MethodError, match=r"matches nothing in this model\. Its linear modules: lm_head\. .* use full, layers"):
        registry.create("method", "lora", target_modules=["q_proj", "v_proj"]).apply(make("lstm"))
