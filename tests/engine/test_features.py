"""A frozen trunk runs once a row; a head trained on what it kept learns what it would have learned."""

import pytest
import torch
from families import facts_of, make, random_rows
from torch import Tensor

from tunesmith.core.batch import Batch, collate
from tunesmith.core.types import Row
from tunesmith.engine.features import FrozenFeatures
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.probe import probe
from tunesmith.engine.row_store import RowStore
from tunesmith.model.heads import Head


def _forward(pooling: str = "mean") -> PackedForward:
    model = make("bert").requires_grad_(False)
    facts = facts_of("bert", model)
    torch.manual_seed(0)
    return PackedForward(model, {"label": Head("label", facts.hidden_size, 3, pooling=pooling)}, facts, probe(model, facts))  # type: ignore[arg-type]


def _rows(forward: PackedForward) -> list[Row]:
    return random_rows((9, 14, 5, 9), forward.facts)


@pytest.mark.parametrize("pooling", ["first", "mean", "last"])
def test_outputs_and_gradients_are_those_of_running_the_trunk(pooling: str) -> None:
    plain, kept = _forward(pooling), _forward(pooling)
    kept.keep_features()
    batch = collate(_rows(plain), plain.facts)
    kept.head("label", collate(_rows(plain)[1:3], plain.facts))  # some are known already, in another order
    plain.eval()
    found, expected = kept.train().head("label", batch), plain.head("label", batch)
    torch.testing.assert_close(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    for ours, theirs in zip(kept.heads.parameters(), plain.heads.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_trunk_runs_once_a_row_and_without_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = _forward()
    forward.keep_features()
    ran, hidden = list[int](), forward.hidden

    def counted(batch: Batch) -> Tensor:
        ran.append(len(batch.rows))
        return hidden(batch)

    monkeypatch.setattr(forward, "hidden", counted)
    forward.train()
    assert not any(module.training for module in forward.trunk.modules())
    rows = _rows(forward)
    first = forward.head("label", collate(rows[:3], forward.facts))
    again = forward.head("label", collate(rows, forward.facts))
    assert ran == [3, 1]
    assert torch.equal(first, again[:3])


def test_a_trunk_that_trains_keeps_nothing() -> None:
    forward = _forward()
    next(forward.trunk.parameters()).requires_grad_(True)
    forward.keep_features()
    assert forward.features is None
    assert forward.train().trunk.training


def test_what_no_longer_fits_is_computed_again() -> None:
    forward = _forward()
    rows = _rows(forward)
    features = FrozenFeatures(RowStore(max_bytes=2 * 4 * forward.facts.hidden_size))
    asked = list[int]()

    def compute(batch: Batch) -> Tensor:
        asked.append(len(batch.rows))
        return torch.ones(len(batch.rows), forward.facts.hidden_size)

    for _ in range(2):
        features.of(collate(rows, forward.facts), "mean", compute)
    assert asked == [4, 2]
    assert features.store.num_bytes <= features.store.max_bytes
