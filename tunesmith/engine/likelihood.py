"""What logits say of labels.

N positions    V tokens of the vocabulary
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Read", "alone", "with_entropy", "with_likeliest"]

Read = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From logits, (N, V), and labels, (N,): the log-probability of each label, nats, and something beside it, each (N,)."""


def alone(logits_NV: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities, and zeros."""
    return _labelled(_logprobs(logits_NV), labels_N), torch.zeros_like(labels_N)


def with_entropy(logits_NV: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities, and the entropy of each distribution, nats."""
    logprobs_NV = _logprobs(logits_NV)
    return _labelled(logprobs_NV, labels_N), -(logprobs_NV.exp() * logprobs_NV).sum(1)


def with_likeliest(logits_NV: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities, and whether each label is the token that greedy decoding would choose."""
    logprobs_NV = _logprobs(logits_NV)
    return _labelled(logprobs_NV, labels_N), logprobs_NV.argmax(1) == labels_N


def _logprobs(logits_NV: Tensor) -> Tensor:
    return F.log_softmax(logits_NV if logits_NV.dtype == torch.float64 else logits_NV.float(), 1)


def _labelled(logprobs_NV: Tensor, labels_N: Tensor) -> Tensor:
    return logprobs_NV.gather(1, labels_N[:, None])[:, 0]
