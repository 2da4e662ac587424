"""What the legs of `dpo` do in the same way."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.legs._memory import peak_memory_bytes
from benchmarks.legs._model import load_model
from benchmarks.pairs import Learned, Pair, Pairs
from benchmarks.workload import Config

__all__ = ["held_out", "report"]


def _logprob(model: Any, prompt: Sequence[int], answer: Sequence[int]) -> Tensor:
    """The log-probability of an answer, by plain transformers, nothing padded."""
    tokens = torch.tensor([*prompt, *answer])
    logits = model(input_ids=tokens[None]).logits[0, len(prompt) - 1 : -1]
    return -F.cross_entropy(logits, tokens[len(prompt) :], reduction="sum")


def _gain(model: Any, pair: Pair) -> float:
    """The log-probability of the chosen answer less that of the rejected one."""
    return float(_logprob(model, pair.prompt, pair.chosen) - _logprob(model, pair.prompt, pair.rejected))


@torch.no_grad()
def held_out(pairs: Pairs, adapter: Path) -> tuple[float, float]:
    """Of a saved adapter, pair by pair; the model without it is the reference. Returns: nats a pair, and the share of pairs in order."""
    model = load_model(pairs.settings, adapter, is_trainable=False).eval()
    margins = list[float]()
    for pair in pairs.held_out:
        after = _gain(model, pair)
        with model.disable_adapter():
            margins.append(after - _gain(model, pair))
    losses = F.softplus(-pairs.beta * torch.tensor(margins))
    return float(losses.mean()), sum(margin > 0 for margin in margins) / len(margins)


def report(
    pairs: Pairs,
    config: Config,
    num_steps: int | None,
    adapter: Path,
    *,
    first_loss: float,
    seconds: float,
    version: str,
    setting: str = "",
) -> Learned:
    """Finish a leg whose training is done; its adapter is saved. A trial is not scored."""
    peak = peak_memory_bytes()
    loss, accuracy = held_out(pairs, adapter) if num_steps is None else (float("nan"), float("nan"))
    learned = sum(pair.num_answer_tokens for pair in pairs.in_order(config, num_steps))
    epochs = pairs.settings.epochs if num_steps is None else 1
    return Learned(first_loss, loss, accuracy, seconds, learned * epochs, peak, version, setting)
