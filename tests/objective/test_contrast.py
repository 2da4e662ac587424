"""Pairs of texts: the loss worked by hand, and the same gradient however a step is cut into micro-batches."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from families import facts_of, make
from torch import Tensor, nn

from tunesmith.core.batch import collate
from tunesmith.core.errors import RecipeError
from tunesmith.core.types import Origin, ParamGroup, Row, Segment
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.head_first import fit_heads
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.probe import probe
from tunesmith.model.heads import Head
from tunesmith.objective._contrast import pair_losses
from tunesmith.objective.classify import Classify

LABELS = (0, 1, 0, 2, 1, 0)
PLAN = TrainingPlan(num_steps=1, steps_per_epoch=1, learning_rate=1.0, schedule="constant", num_warmup_steps=0, max_grad_norm=0.0)


def test_texts_of_a_class_are_drawn_together_and_others_apart() -> None:
    vectors = torch.tensor([[2.0, 0.0], [3.0, 4.0], [0.0, 1.0]])  # cosines: 0.6 of the first two, 0 and 0.8 with the third
    found = pair_losses(vectors, torch.tensor([0, 0, 1]))
    expected = [(0.4**2 + 0.0) / 2, (0.4**2 + 0.8**2) / 2, (0.0 + (0.0 + 0.8**2) / 2) / 2]  # the third is alone in its class
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def _forward() -> tuple[PackedForward, list[Row]]:
    """Without dropout, which would part what `prepare` sees from what is learned."""
    model = make("bert", torch.float64)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    facts = facts_of("bert", model)
    torch.manual_seed(0)
    forward = PackedForward(model, {"label": Head("label", facts.hidden_size, 3).double()}, facts, probe(model, facts))
    draw = np.random.default_rng(0)
    tokens = [tuple(int(t) for t in draw.integers(6, 20, 4 + i % 3)) for i in range(len(LABELS))]
    return forward, [Row((Segment(tokens[i]),), Origin("x", i), values={"label": (label,)}) for i, label in enumerate(LABELS)]


def _weights_after_a_step(size: int, share: float) -> tuple[dict[str, Tensor], Any]:
    """Plain gradient descent at rate 1."""
    forward, rows = _forward()
    batches = [collate(rows[at : at + size], forward.facts) for at in range(0, len(rows), size)]
    state = TrainingState(make_optimizer([ParamGroup("all", list(forward.parameters()))], name="sgd", weight_decay=0.0, momentum=0.0))
    (step,) = train(forward, Classify(contrastive=share), [batches], PLAN, state)
    return {name: p.detach() for name, p in forward.named_parameters()}, step


def _expected(share: float) -> dict[str, Tensor]:
    """The same step written out with plain transformers, every pair by itself."""
    forward, rows = _forward()
    vectors = torch.stack([forward.trunk(torch.tensor([row.segments[0].tokens])).last_hidden_state[0].mean(0) for row in rows])
    held = vectors.detach() + (1 - share) * (vectors - vectors.detach())
    loss = F.cross_entropy(forward.heads["label"].read(held), torch.tensor(LABELS))  # type: ignore[operator]
    for i, own in enumerate(LABELS):
        cosines = {j: F.cosine_similarity(vectors[i], vectors[j], dim=0) for j in range(len(LABELS)) if j != i}
        same = [(1 - cosine) ** 2 for j, cosine in cosines.items() if LABELS[j] == own]
        other = [cosine**2 for j, cosine in cosines.items() if LABELS[j] != own]
        for found in (same, other):
            if found:
                loss = loss + share * torch.stack(found).mean() / 2 / len(LABELS)
    loss.backward()
    return {name: (p - p.grad).detach() if p.grad is not None else p.detach() for name, p in forward.named_parameters()}


@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("size", [6, 2, 1])
def test_a_step_is_that_of_plain_transformers_however_it_is_cut(share: float, size: int) -> None:
    found, step = _weights_after_a_step(size, share)
    for name, expected in _expected(share).items():
        torch.testing.assert_close(found[name], expected, atol=1e-9, rtol=1e-7, msg=lambda text, name=name: f"{name}: {text}")
    forward, rows = _forward()
    with torch.no_grad():
        batch = collate(rows, forward.facts)
        assert step.metrics["pairs"] == pytest.approx(float(pair_losses(forward.pooled("label", batch), torch.tensor(LABELS)).mean()))
        assert step.loss == pytest.approx(float(F.cross_entropy(forward.head("label", batch), torch.tensor(LABELS))))


def test_validation_rows_and_a_head_fitted_alone_know_no_pairs() -> None:
    forward, rows = _forward()
    objective, plain = Classify(contrastive=1.0), Classify()
    objective.prepare(forward, [collate(rows[:3], forward.facts)])
    batch = collate(rows, forward.facts)
    with torch.no_grad():
        found, expected = objective.loss(forward, batch), plain.loss(forward, batch)
    assert found.metrics == {}
    assert float(found.sums["answer"]) == float(expected.sums["answer"])
    first, last = fit_heads(forward, objective, rows, 64)
    assert last < first


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_out_of_its_range_is_refused(share: float) -> None:
    with pytest.raises(RecipeError, match="objective.contrastive: .* expected a number from 0 to 1"):
        Classify(contrastive=share)
