"""What a policy wrote, and what was found of it: the material of an objective that learns from its own answers.

N targets of a row (the tokens of its answers, those that end them too)    A answers of a row
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunesmith.core.encoded import Row

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Rollout"]


@dataclass(frozen=True, slots=True)
class Rollout:
    """Prompts with the answers that the policy wrote to each: a row a prompt, which stands in it once."""

    rows: Sequence[Row]
    rewards: Sequence[Sequence[float]]
    """Of each row's answers, the weighted sum of all rewards."""
    policy: Sequence[Tensor]
    """Of each row: log pi(token) under the policy that wrote it, nats, (N,), float32."""
    reference: Sequence[Tensor]
    """The same under the model before training; empty where nobody asked."""
    values: Sequence[Tensor]
    """Of each row: what the value head says at each target, before the token is written, (N,), float32; empty where there is no such head."""
    parts: Mapping[str, Sequence[Sequence[float]]]
    """Each reward by its name, before it is weighed: of each row's answers."""
    has_ended: Sequence[Sequence[bool]]
    """Of each row's answers, whether it came to its end."""
