"""`method: peft`: every type that peft knows either works, as it says of itself, or is refused with a reason."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch
from families import make
from peft import PeftModel, VeraConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from safetensors.torch import load_file
from tiny_training import build, outputs, pefts_losses, trained

from tunesmith.app.placing import trained_in_place
from tunesmith.core import registry
from tunesmith.core.errors import MethodError
from tunesmith.method._peft import attach_adapter, merge_adapter
from tunesmith.method.peft import _REFUSED

SUPPORTED = sorted(str(kind.value) for kind in PEFT_TYPE_TO_CONFIG_MAPPING if kind.value not in _REFUSED)
SMALL: dict[str, dict[str, Any]] = {
    "FOURIERFT": {"n_frequency": 100, "scaling": 30.0},
    "VBLORA": {"vector_length": 8, "num_vectors": 16},
    "MISS": {"r": 8},
    "ROAD": {"group_size": 8},
    "SHIRA": {"r": 4},
    "C3A": {"block_size": 16},
    "WAVEFT": {"n_frequency": 64},
    "PSOFT": {"r": 8},
    "TRAINABLE_TOKENS": {"token_indices": [6, 7, 8]},
}
"""Options where a type's own defaults are made for a larger model."""


def options(kind: str, family: str) -> dict[str, Any]:
    norms = {"target_modules": ["LayerNorm"]} if (kind, family) == ("LN_TUNING", "bert") else {}
    return {"peft_type": kind, **SMALL.get(kind, {}), **norms}


@pytest.mark.parametrize("family", ["llama", "bert"])
@pytest.mark.parametrize("kind", SUPPORTED)
def test_every_type_is_what_it_says(kind: str, family: str, tmp_path: Path) -> None:
    base = outputs(make(family))
    given = options(kind, family)
    assert not trained_in_place(registry.create("method", "peft", **given), make(family))
    forward, groups, made = build(family, "peft", **given)
    begun = outputs(forward.trunk)
    assert made.starts_at_base == torch.allclose(begun, base, atol=2e-6)

    before = {name: p.detach().clone() for name, p in forward.named_parameters()}
    ids = {id(p) for group in groups for p in group.params}
    losses = trained(forward, groups)
    assert min(losses[1:]) < losses[0]
    for name, p in forward.named_parameters():
        assert p.requires_grad == (id(p) in ids), name
        assert p.requires_grad or torch.equal(p, before[name]), name
    tuned = outputs(forward.trunk)
    assert not torch.equal(tuned, begun)

    made.save(forward.trunk, tmp_path / "saved")
    again, _, other = build(family, "peft", **given)
    other.load(again.trunk, tmp_path / "saved")
    assert torch.equal(outputs(again.trunk), tuned)
    theirs = PeftModel.from_pretrained(make(family), str(tmp_path / "saved"))
    torch.testing.assert_close(outputs(theirs.get_base_model()), tuned, atol=1e-5, rtol=1e-5)

    if not made.mergeable:
        has_biases = (kind, family) == ("BEFT", "bert")
        with contextlib.nullcontext() if has_biases else pytest.raises(MethodError, match="cannot be folded into the model"):
            merge_adapter(forward.trunk)
        return
    folded = make(family)
    attach_adapter(folded, tmp_path / "saved")
    for trunk in (forward.trunk, folded):
        merge_adapter(trunk)
        assert [name for name, _ in trunk.named_modules()] == [name for name, _ in make(family).named_modules()]
        torch.testing.assert_close(outputs(trunk), tuned, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("kind", sorted(_REFUSED))
def test_types_that_take_more_are_refused_with_what_to_use(kind: str) -> None:
    with pytest.raises(MethodError, match=rf"method\.peft_type: {kind} .* Use the method \w+"):
        registry.create("method", "peft", peft_type=kind)
    assert kind in {config.value for config in PEFT_TYPE_TO_CONFIG_MAPPING}


def test_vera_is_pefts_own_loss_curve_and_trains_r_plus_out() -> None:
    """Llama of width 32, two key heads of four, feed-forward 48, two layers: outputs 2 x 32 + 2 x 16 + 2 x 48 + 32 a layer."""
    forward, groups, _ = build("llama", "peft", r=8)
    assert sum(p.numel() for p in groups[0].params) == 2 * (7 * 8 + 224)
    losses = trained(forward, groups)
    assert losses == pytest.approx(pefts_losses("llama", VeraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM")), abs=1e-4)


def test_layers_of_vera_share_their_projections_after_loading_too(tmp_path: Path) -> None:
    forward, groups, made = build("llama", "peft", r=8, projection_prng_key=5)
    trained(forward, groups)
    made.save(forward.trunk, tmp_path / "saved")
    again, _, other = build("llama", "peft", r=8, projection_prng_key=5)
    other.load(again.trunk, tmp_path / "saved")
    shared = {m.vera_A["default"].data_ptr() for m in again.trunk.modules() if hasattr(m, "vera_A")}
    assert len(shared) == 1


def test_vera_need_not_save_what_it_can_draw_again(tmp_path: Path) -> None:
    forward, groups, made = build("llama", "peft", r=8, save_projection=False)
    trained(forward, groups)
    made.save(forward.trunk, tmp_path / "saved")
    assert sum(t.numel() for t in load_file(tmp_path / "saved" / "adapter_model.safetensors").values()) == 2 * (7 * 8 + 224)
    again, _, other = build("llama", "peft", r=8, save_projection=False)
    other.load(again.trunk, tmp_path / "saved")
    assert torch.equal(outputs(again.trunk), outputs(forward.trunk))


def test_modules_to_save_go_along(tmp_path: Path) -> None:
    forward, groups, made = build("llama", "peft", r=8, modules_to_save=["lm_head"], target_modules=["q_proj"])
    assert sum(p.numel() for p in groups[0].params) == 2 * (8 + 32) + 97 * 32
    trained(forward, groups)
    made.save(forward.trunk, tmp_path / "saved")
    theirs = PeftModel.from_pretrained(make("llama"), str(tmp_path / "saved"))
    torch.testing.assert_close(outputs(theirs), outputs(forward.trunk), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"peft_type": "VERRA"}, r'method\.peft_type: VERRA: unknown to peft\. Did you mean "VERA"\?'),
        ({"rank": 4}, r"method\.rank: unknown option of peft's VERA\..* Known: .*, r, "),
        ({"target_module": ["q_proj"]}, r'method\.target_module: unknown .* Did you mean "target_modules"\?'),
        ({"inference_mode": True}, r"method\.inference_mode: unknown option"),
        ({"r": "many"}, r"method\.r: found 'many': input should be a valid integer"),
        ({"target_modules": ["q_lin"]}, r"method\.target_modules: q_lin matches nothing .*q_proj"),
        ({"modules_to_save": ["score"]}, r"method\.modules_to_save: score matches nothing"),
        ({"peft_type": "MISS", "r": 640}, r"method: peft's MISS does not fit this model: .*640"),
        ({"peft_type": "OFT", "r": 4, "oft_block_size": 4}, r"method: peft refuses the options of OFT: .*oft_block_size"),
        *(
            (
                {"peft_type": "LORA", "init_lora_weights": start},
                rf"method\.init_lora_weights: {start}: expected true, false, gaussian or orthogonal\. Others",
            )
            for start in ("pissa", "pissa_niter_4", "olora", "corda", "loftq", "lora_ga", "eva", "mica")
        ),
    ],
)
def test_options_that_do_not_fit_are_told(given: dict[str, Any], said: str) -> None:
    with pytest.raises(MethodError, match=said):
        registry.create("method", "peft", **given).apply(make("llama"))


def test_types_that_begin_otherwise_say_so() -> None:
    assert registry.create("method", "peft").starts_at_base
    assert not registry.create("method", "peft", peft_type="LOHA", init_weights=False).starts_at_base


@pytest.mark.parametrize("start", [True, False, "gaussian", "orthogonal"])
def test_lora_as_peft_begins_it_leaves_the_base_as_it_is(start: bool | str) -> None:
    method, model = registry.create("method", "peft", peft_type="LORA", r=4, init_lora_weights=start), make("llama")
    assert not trained_in_place(method, model)
    before = {p: p.detach().clone() for p in model.parameters()}
    method.apply(model)
    layers = dict(model.named_parameters()).values()
    assert all(any(p is q for q in layers) and torch.equal(p, was) for p, was in before.items())
