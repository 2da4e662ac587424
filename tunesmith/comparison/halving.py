"""Successive halving: many settings are tried on a few of the training rows, the best of them on three times as many, and so on, until one is left for all rows.

Every round costs about as much as one training on all rows, whatever the number of settings.

Source: Jamieson, Talwalkar (2016), "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS, https://arxiv.org/abs/1502.07943, algorithm 1;
rows as what is rationed, and rounds of a third: Li et al. (2018), "Hyperband", JMLR 18:185, https://arxiv.org/abs/1603.06560.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ETA", "Round", "best_first", "rounds"]

ETA = 3
"""One of so many settings goes on to a round of so many times the rows."""


@dataclass(frozen=True, slots=True)
class Round:
    """A round, before the training on all rows."""

    num_settings: int
    """The best so many are tried."""
    fraction: float
    """Of the training rows."""


def rounds(num_settings: int) -> list[Round]:
    """The rounds that leave one of them; none for a single one."""
    count = math.ceil(math.log(num_settings, ETA) - 1e-9) if num_settings > 1 else 0
    return [Round(math.ceil(num_settings / ETA**number), ETA ** (number - count)) for number in range(count)]


def best_first(values: Sequence[tuple[float, float]], *, higher_is_better: bool) -> list[int]:
    """Places of the settings, the best first; of equal ones the one with the lower loss, then the first. What is no number comes last.

    Args:
        values: of each setting the validation value that selects, and the validation loss.
    """

    def rank(place: int) -> tuple[float, float, int]:
        value, loss = (
            math.inf if math.isnan(number) else number for number in (_turned(values[place][0], higher_is_better), values[place][1])
        )
        return value, loss, place

    return sorted(range(len(values)), key=rank)


def _turned(value: float, higher_is_better: bool) -> float:
    return -value if higher_is_better else value
