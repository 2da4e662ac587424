"""Every method on a base whose weights are quantized, but for those that would train these."""

from pathlib import Path
from typing import Any

import pytest
import torch
from families import make, random_rows
from tiny_training import LENGTHS, build, trained
from torch import Tensor

from tunesmith.core import registry
from tunesmith.core.batch import collate
from tunesmith.core.types import Method, ParamGroup
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.kernels.quantized import QuantizedLayer, quantize_weights

TRAIN_THE_BASE = {"full", "layers"}
WAYS: dict[str, dict[str, Any]] = {
    **{name: {} for name in registry.names("method") if name not in TRAIN_THE_BASE and name != "direct"},  # which takes no steps
    **{f"adapter-{placement}": {"placement": placement} for placement in ("houlsby", "parallel")},
    "lora-dora": {"use_dora": True},
    "lora-saved": {"target_modules": ["q_proj"], "modules_to_save": ["input_layernorm"]},
}


def _on_quantized(form: str, way: str) -> tuple[PackedForward, list[ParamGroup], Method]:
    """A tiny Llama, whose layers have no biases."""
    model: Any = make("llama")
    assert quantize_weights(model, form)
    if way == "new_tokens":
        model.new_token_ids = tuple(range(50, 97))  # as if the model had been given them
    return build("llama", way.partition("-")[0], model=model, **WAYS[way])


def _outputs(forward: PackedForward) -> Tensor:
    batch = collate(random_rows(LENGTHS, forward.facts, label=3), forward.facts)
    with torch.no_grad():
        return forward.eval().head("label", batch) if forward.heads else forward.hidden(batch)


@pytest.mark.parametrize("form", ["nf4", "int8"])
@pytest.mark.parametrize("way", WAYS)
def test_a_method_learns_leaves_the_base_as_it_is_and_loads_what_it_saved(way: str, form: str, tmp_path: Path) -> None:
    forward, groups, method = _on_quantized(form, way)
    learning = {name for name, p in forward.named_parameters() if p.requires_grad}
    before = {name: tensor.clone() for name, tensor in forward.state_dict().items() if name not in learning}
    assert sum(name.endswith("weight_codes") for name in before) == sum(isinstance(m, QuantizedLayer) for m in forward.modules()) == 14
    losses = trained(forward, groups)
    assert losses[-1] < losses[0]
    after = forward.state_dict()
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor), name
    method.save(forward.trunk, tmp_path / "saved")
    again, _, other = _on_quantized(form, way)
    again.heads.update(forward.heads.items())
    assert torch.equal(_outputs(again), _outputs(forward)) == bool(forward.heads)  # under a head alone the trunk is as it was
    other.load(again.trunk, tmp_path / "saved")
    assert torch.equal(_outputs(again), _outputs(forward))
