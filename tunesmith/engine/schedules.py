"""Learning-rate schedules: the multiple of the peak rate at each step."""

import math
from collections.abc import Callable

__all__ = ["SCHEDULES", "learning_rate_multiple"]


def _constant(_progress: float) -> float:
    return 1.0


def _linear(progress: float) -> float:
    return 1.0 - progress


def _cosine(progress: float) -> float:
    """Source: Loshchilov and Hutter (2017), https://arxiv.org/abs/1608.03983, eq. 5, one cycle down to zero."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


SCHEDULES: dict[str, Callable[[float], float]] = {"constant": _constant, "linear": _linear, "cosine": _cosine}


def learning_rate_multiple(schedule: str, step: int, num_steps: int, num_warmup_steps: int) -> float:
    """The multiple of the peak learning rate that update `step` (0-based) uses.

    It rises linearly over the warm-up, its first step included, then follows the schedule, which would reach its end after the last step.
    """
    if step < num_warmup_steps:
        return (step + 1) / num_warmup_steps
    return SCHEDULES[schedule]((step - num_warmup_steps) / max(1, num_steps - num_warmup_steps))
