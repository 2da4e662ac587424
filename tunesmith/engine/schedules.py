"""Learning-rate schedules: the multiple of the peak rate at each step."""

import math
from collections.abc import Callable

__all__ = ["SCHEDULES", "learning_rate_multiple"]

_SLANT = 32.0
"""The paper's ratio: how much smaller the least rate of a slanted triangle is than the largest, at its beginning and after its end."""


def _constant(_progress: float) -> float:
    return 1.0


def _linear(progress: float) -> float:
    return 1.0 - progress


def _cosine(progress: float) -> float:
    """Source: Loshchilov and Hutter (2017), https://arxiv.org/abs/1608.03983, eq. 5, one cycle down to zero."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def _slanted_triangular(progress: float) -> float:
    """After its short rise. Source: Howard and Ruder (2018), https://arxiv.org/abs/1801.06146, eq. 3."""
    return (1.0 + (1.0 - progress) * (_SLANT - 1.0)) / _SLANT


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "slanted_triangular": _slanted_triangular,
}


def learning_rate_multiple(schedule: str, step: int, num_steps: int, num_warmup_steps: int) -> float:
    """The multiple of the peak learning rate that update `step` (0-based) uses.

    It rises linearly over the warm-up, its first step included, then follows the schedule, which would reach its end after the last step. A slanted
    triangle rises from its least multiple instead, and its warm-up is the paper's cut.
    """
    if step < num_warmup_steps and schedule == "slanted_triangular":
        return _slanted_triangular(1.0 - step / num_warmup_steps)
    if step < num_warmup_steps:
        return (step + 1) / num_warmup_steps
    return SCHEDULES[schedule]((step - num_warmup_steps) / max(1, num_steps - num_warmup_steps))
