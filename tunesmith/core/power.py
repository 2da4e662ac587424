"""Power: how small a difference a paired comparison over so many rows can still be expected to show."""

import math
from statistics import NormalDist
from typing import Any

import numpy as np

__all__ = ["POWER", "detectable_mean", "detectable_proportion", "mcnemar_power"]

POWER = 0.8
"""How often a difference has to be found for it to be called detectable: four times in five, as is usual."""

_HALVINGS = 20
_TAIL = 9.0
"""Standard deviations of the number of rows that differ beyond which nothing is summed: less than 1e-18 lies there."""

Counts = np.ndarray[Any, np.dtype[np.int64]]


def mcnemar_power(difference: float, share_differing: float, num_rows: int, level: float = 0.95) -> float:
    """How often McNemar's exact test finds `difference` of two proportions over the same rows, p below 1 - level.

    Args:
        difference: from 0 to 1, of the two shares of right rows.
        share_differing: of the rows that only one of the two has right, at least `difference`.
    Source: Duffy (1984), "Asymptotic and exact power for the McNemar test and its analogue with R controls per case", Biometrics 40:1005: over every
    number of rows that may differ, its chance times the chance that the test rejects, given it.
    """
    from scipy.special import bdtr, gammaln, xlog1py, xlogy

    if not 0 <= difference <= share_differing <= 1:
        raise ValueError(f"a difference of {difference} with a share of {share_differing} rows that differ")
    if share_differing == 0:
        return 0.0
    centre, spread = num_rows * share_differing, math.sqrt(num_rows * share_differing * (1 - share_differing))
    first, last = max(0, math.floor(centre - _TAIL * spread) - 1), min(num_rows, math.ceil(centre + _TAIL * spread) + 1)
    differing = np.arange(first, last + 1)
    ways = gammaln(num_rows + 1) - gammaln(differing + 1) - gammaln(num_rows - differing + 1)
    chances = np.exp(ways + xlogy(differing, share_differing) + xlog1py(num_rows - differing, -share_differing))
    critical = _critical(differing, level)
    favourable = (1 + difference / share_differing) / 2
    rejected = bdtr(critical, differing, favourable) + bdtr(critical, differing, 1 - favourable)
    return float((chances * np.where(critical < 0, 0.0, rejected)).sum())


def _critical(differing: Counts, level: float) -> Counts:
    """The most rows in the smaller of the two groups with which the exact test rejects, for each number of rows that differ; -1: it never does."""
    from scipy.special import bdtr

    low, high = np.full_like(differing, -1), (differing - 1) // 2
    while (low < high).any():
        middle = (low + high + 1) // 2
        rejects = (middle >= 0) & (2 * bdtr(middle, differing, 0.5) < 1 - level)
        low, high = np.where(rejects, middle, low), np.where(rejects, high, np.maximum(middle - 1, low))
    return low


def detectable_proportion(num_differing: int, num_rows: int, level: float = 0.95, power: float = POWER) -> float:
    """The smallest difference of two proportions over the same rows that McNemar's exact test finds with that power.

    The rows are taken to differ as often as they did, and at least as often as the difference asks for. NaN where they are too few for any difference:
    below six, at the level 0.95.
    """
    measured = num_differing / num_rows if num_rows else 0.0

    def is_found(difference: float) -> bool:
        return mcnemar_power(difference, max(measured, difference), num_rows, level) >= power

    if not num_rows or not is_found(1.0):
        return math.nan
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_found(middle) else (middle, high)
    return high


def detectable_mean(std_error: float, level: float = 0.95, power: float = POWER) -> float:
    """The smallest difference that a test finds with that power where the difference that is measured is about normal with this standard error.

    Source: Bloom (1995), "Minimum detectable effects", Evaluation Review 19:547; of language models, Card et al. (2020), "With little power comes great
    responsibility", https://arxiv.org/abs/2010.06595.
    """
    normal = NormalDist()
    return (normal.inv_cdf(0.5 + level / 2) + normal.inv_cdf(power)) * std_error
