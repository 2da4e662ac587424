"""A method on a tiny model, trained for a few steps by our engine, or peft's own layers by a plain loop."""

from typing import Any

import torch
from families import facts_of, make, random_rows
from torch import Tensor, nn

from tunesmith.core import registry
from tunesmith.core.batch import collate
from tunesmith.core.types import Method, ModelFacts, ParamGroup
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.probe import probe
from tunesmith.model.heads import Head

__all__ = ["LENGTHS", "PLAN", "build", "outputs", "pefts_losses", "plain_losses", "trained"]

LENGTHS = (9, 14, 5, 8)
PLAN = TrainingPlan(num_steps=4, steps_per_epoch=4, learning_rate=2e-2, schedule="constant", num_warmup_steps=0, max_grad_norm=1.0)


def build(family: str, method: str, *, model: nn.Module | None = None, **options: Any) -> tuple[PackedForward, list[ParamGroup], Method]:
    """A tiny model with the method applied, and a head where it has no vocabulary head, or nothing else trains. The method's own draws come after seed 2."""
    trunk = make(family) if model is None else model
    facts = facts_of(family, trunk)
    paths = probe(trunk, facts)
    made = registry.create("method", method, **options)
    torch.manual_seed(1)
    heads = {} if facts.has_lm_head and method != "head" else {"label": Head("label", facts.hidden_size, 3, pooling="mean")}
    torch.manual_seed(2)
    groups = [*made.apply(trunk), *(ParamGroup(name, list(head.parameters())) for name, head in heads.items())]
    forward = PackedForward(trunk, heads, facts, paths)
    forward.use_virtual_tokens(made.virtual_tokens)
    forward.use_fused_layers()
    return forward, groups, made


def trained(forward: PackedForward, groups: list[ParamGroup]) -> list[float]:
    """The losses of a few steps."""
    objective = registry.create("objective", "classify" if forward.heads else "sft")
    rows = random_rows(LENGTHS, forward.facts, label=3)
    state = TrainingState(make_optimizer(groups, name="adamw", weight_decay=0.0))
    return [s.loss for s in train(forward, objective, [[collate(rows, forward.facts)]] * PLAN.num_steps, PLAN, state)]


def outputs(trunk: nn.Module) -> Tensor:
    """Logits, or hidden states, of a fixed text."""
    with torch.no_grad():
        return trunk.eval()(torch.arange(6, 26)[None])[0]  # type: ignore[no-any-return]


def pefts_losses(family: str, config: Any) -> list[float]:
    """The same steps as `trained`, of a language model: peft's own layers under a plain transformers and torch loop."""
    from peft import get_peft_model

    model = make(family)
    torch.manual_seed(2)
    return plain_losses(get_peft_model(model, config), facts_of(family, model))


def plain_losses(theirs: nn.Module, facts: ModelFacts) -> list[float]:
    """The same steps as `trained`, of a language model that peft changed: plain transformers and torch, one text at a time."""
    params = [p for p in theirs.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(params, lr=PLAN.learning_rate, weight_decay=0.0)
    losses = []
    for _ in range(PLAN.num_steps):
        total, count = torch.zeros(()), 0
        for row in random_rows(LENGTHS, facts):
            tokens = torch.tensor([row.segments[0].tokens])
            logits = theirs(input_ids=tokens).logits[0, -tokens.shape[1] :][list(row.targets.positions)]
            total = total + nn.functional.cross_entropy(logits, torch.tensor(row.targets.labels), reduction="sum")
            count += len(row.targets.labels)
        loss = total / count
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses
