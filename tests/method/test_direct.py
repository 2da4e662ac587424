"""`direct` changes what an adjustment touches and nothing else, and gives it back from its files."""

from pathlib import Path

import pytest
import torch
from families import make
from torch import nn

from tunesmith.core import registry
from tunesmith.core.adjusting import WeightAdjustment
from tunesmith.core.errors import MethodError
from tunesmith.method.direct import Direct

CASES = [("norms", family) for family in ("llama", "gpt2", "bert", "t5")] + [("biases", family) for family in ("gpt2", "bert")]


def _trunk(family: str) -> nn.Module:
    trunk = make(family)
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in trunk.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
    return trunk


@pytest.mark.parametrize(("aspect", "family"), CASES)
def test_what_is_found_is_put_kept_and_loaded_and_all_else_is_bit_identical(aspect: str, family: str, tmp_path: Path) -> None:
    trunk, fresh = _trunk(family), _trunk(family)
    own = {name: parameter.detach().clone() for name, parameter in trunk.named_parameters()}
    method = Direct(adjust=(aspect,))
    one = method.adjustments[aspect]
    assert isinstance(one, WeightAdjustment)
    (group,) = method.apply(trunk)
    touched = one.touches(trunk)
    assert len(group.params) == len(touched)
    values = [1.0 + 0.1 * number for number in range(1, 1 + len({*_layers(aspect, trunk)}))]
    found = one.changed(trunk, values, {name: own[name] for name in touched})
    assert set(found) == set(touched)
    with torch.no_grad():
        for name, tensor in found.items():
            dict(trunk.named_parameters())[name].copy_(tensor)
    method.keep({aspect: values})
    method.save(trunk, tmp_path)
    loaded = Direct(adjust=(aspect,))
    loaded.apply(fresh)
    loaded.load(fresh, tmp_path)
    for name, parameter in fresh.named_parameters():
        assert torch.equal(parameter, dict(trunk.named_parameters())[name]), name
        assert torch.equal(parameter, own[name]) == (name not in touched), name


def _layers(aspect: str, trunk: nn.Module) -> list[str]:
    from tunesmith.adjust._vectors import by_layer

    one = registry.create("adjustment", aspect)
    return [where for where, _ in by_layer(trunk, one.touches(trunk))]


def test_nothing_found_writes_nothing_and_loads_as_it_was(tmp_path: Path) -> None:
    trunk, method = _trunk("bert"), Direct(adjust=("norms",))
    method.apply(trunk)
    method.save(trunk, tmp_path)
    assert not any(tmp_path.iterdir())
    method.load(trunk, tmp_path)
    for parameter, own in zip(trunk.parameters(), _trunk("bert").parameters(), strict=True):
        assert torch.equal(parameter, own)


def test_tokens_that_were_added_are_refused_as_they_would_stay_as_they_began() -> None:
    trunk = _trunk("llama")
    trunk.new_token_ids = (50, 51)  # type: ignore[assignment]
    with pytest.raises(MethodError, match="direct trains no token"):
        Direct().apply(trunk)


@pytest.mark.parametrize("name", registry.names("adjustment"))
def test_every_adjustment_says_what_it_moves_and_in_words_what_it_found(name: str) -> None:
    one = registry.create("adjustment", name)
    assert one.moves
    assert callable(one.shown)
    assert sum(hasattr(one, kind) for kind in ("affine", "changed", "decoding")) == 1
