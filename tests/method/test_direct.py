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
from tunesmith.model.networks.recurrent import RecurrentConfig, RecurrentForCausalLM

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


@pytest.mark.parametrize(("cell", "peer"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)])
def test_both_biases_of_a_recurrent_cell_are_multiplied_as_torch_would_run_them(cell: str, peer: type[nn.RNNBase]) -> None:
    torch.manual_seed(0)
    sizes = {"vocab_size": 20, "embedding_size": 6, "inner_size": 8, "hidden_size": 8, "num_hidden_layers": 2}
    trunk = RecurrentForCausalLM(RecurrentConfig(cell=cell, **sizes)).eval()  # type: ignore[arg-type]
    trunk.reads_vocabulary_head = False  # type: ignore[assignment]
    one = Direct(adjust=("biases",)).adjustments["biases"]
    assert isinstance(one, WeightAdjustment)
    own = {name: parameter.detach().clone() for name, parameter in trunk.named_parameters()}
    assert one.touches(trunk) == [f"model.layers.{layer}.bias_{kind}" for layer in (0, 1) for kind in ("ih", "hh")]
    torch_own = peer(6, 8, num_layers=2, batch_first=True)
    by = (1.7, 0.4)
    with torch.no_grad():
        for name, tensor in one.changed(trunk, by, own).items():
            dict(trunk.named_parameters())[name].copy_(tensor)
        for layer in (0, 1):
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                times = by[layer] if kind.startswith("bias") else 1.0
                getattr(torch_own, f"{kind}_l{layer}").copy_(times * own[f"model.layers.{layer}.{kind}"])
        ids = torch.tensor([[3, 1, 4, 1, 5]])
        expected = torch_own(torch.nn.functional.embedding(ids, own["model.embedding.weight"]))[0]
        torch.testing.assert_close(trunk.model(ids).last_hidden_state, expected)


def test_the_bias_of_a_vocabulary_head_is_searched_for_only_where_the_head_is_read() -> None:
    trunk = RecurrentForCausalLM(RecurrentConfig(vocab_size=20, embedding_size=6, hidden_size=8))  # type: ignore[arg-type]
    one = Direct(adjust=("biases",)).adjustments["biases"]
    assert isinstance(one, WeightAdjustment)
    for is_read in (True, False):
        trunk.reads_vocabulary_head = is_read  # type: ignore[assignment]
        assert ("lm_head.bias" in one.touches(trunk)) == is_read


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
