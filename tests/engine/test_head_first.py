"""A head fitted alone: at the minimum that scikit-learn finds, with the trunk as it was."""

import numpy as np
import pytest
import torch
from families import facts_of, make
from sklearn.linear_model import LogisticRegression

from tunesmith.core.batch import collate
from tunesmith.core.types import Origin, Row, Segment
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.head_first import _PENALTY, fit_heads
from tunesmith.engine.probe import probe
from tunesmith.model.heads import Head
from tunesmith.objective.classify import Classify


def _ready() -> tuple[PackedForward, list[Row]]:
    model = make("bert", torch.float64)
    facts = facts_of("bert", model)
    torch.manual_seed(0)
    forward = PackedForward(model, {"label": Head("label", facts.hidden_size, 3, dropout=0.1).double()}, facts, probe(model, facts)).train()
    draw = np.random.default_rng(0)
    rows = [
        Row((Segment(tuple(int(t) for t in draw.integers(6, 20, 4 + i % 5))),), Origin("x", i), values={"label": (i % 3,)})
        for i in range(60)
    ]
    return forward, rows


def test_the_head_is_scikit_learns_logistic_regression_on_the_trunks_vectors() -> None:
    forward, rows = _ready()
    first, last = fit_heads(forward, Classify(), rows, 64)
    assert last < first
    head = forward.heads["label"]
    batch = collate(rows, forward.facts)
    with torch.no_grad():
        vectors = head.pool(forward.eval()._states(batch), batch.stream.bounds, batch.segments_A).numpy()  # type: ignore[operator]
        found = forward.head("label", batch).softmax(-1)
    # scikit-learn minimises C times the sum of the losses plus half of the squared weights
    labels = [row.values["label"][0] for row in rows]
    peer = LogisticRegression(C=1 / (2 * _PENALTY * len(rows)), tol=1e-10, max_iter=10_000).fit(vectors, labels)
    np.testing.assert_allclose(found.numpy(), peer.predict_proba(vectors), atol=2e-4)


def test_the_trunk_and_the_mode_stay_as_they_were() -> None:
    forward, rows = _ready()
    before = {name: p.clone() for name, p in forward.trunk.named_parameters()}
    fit_heads(forward, Classify(), rows, 64)
    assert forward.training
    assert forward.features is None
    assert all(torch.equal(p, before[name]) and p.grad is None for name, p in forward.trunk.named_parameters())
    assert all(p.grad is None for p in forward.heads.parameters())


def test_a_head_that_cannot_learn_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    forward, rows = _ready()
    before = [p.clone() for p in forward.heads.parameters()]
    monkeypatch.setattr(
        torch.optim.LBFGS, "step", lambda self, closure: [p.data.fill_(float("nan")) for p in self.param_groups[0]["params"]]
    )
    first, last = fit_heads(forward, Classify(), rows, 64)
    assert first == last
    assert all(torch.equal(p, own) for p, own in zip(forward.heads.parameters(), before, strict=True))
