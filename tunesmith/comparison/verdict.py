"""Which arms may be the best one, from paired tests of each with each on the same test rows.

An arm is out where another is certainly better. To leave out the arm that is truly the best by mistake, one of the m - 1 tests of the others against it must find a
difference that is none; so it is the tests against one arm that are corrected together (Holm), not all m (m - 1) / 2 pairs, and the best arm stays in at 95 %, whichever it is
and whatever the dependence of the tests. What is left is a confidence set for the best: small where the rows tell the arms apart, all of them where they do not.

m arms

Source: Hsu (1984), "Constrained Simultaneous Confidence Intervals for Multiple Comparisons with the Best", Annals of Statistics 12:1136, https://doi.org/10.1214/aos/1176346732,
whose argument this is, with Holm (1979) in place of his critical values.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.core.significance import SIGNIFICANT_P
from tunesmith.core.statistics import holm

__all__ = ["Beaten", "Contest", "contest"]


@dataclass(frozen=True, slots=True)
class Beaten:
    """How an arm is certainly not the best."""

    by: str
    """The arm that shows it most clearly."""
    p_holm: float


@dataclass(frozen=True, slots=True)
class Contest:
    """What came of all tests."""

    best: tuple[str, ...]
    """The arms that may be the best, as the given order has them."""
    beaten: Mapping[str, Beaten]
    """The others."""


Gain = tuple[float, float]
"""How much better an arm is than another (below 0: worse), and the p-value of that."""


def contest(arms: Sequence[str], gains: Mapping[tuple[str, str], Gain]) -> Contest:
    """The arms that may be the best.

    Args:
        gains: (arm, other) -> the gain of `arm` over `other`, for each pair in one of its two orders. A pair that is missing, or whose p is NaN, tells nothing.
    """
    beaten = dict[str, Beaten]()
    for arm in arms:
        others = [other for other in arms if other != arm]
        found = [_gain(other, arm, gains) for other in others]
        tested = [(other, value, p) for other, (value, p) in zip(others, found, strict=True) if not math.isnan(p)]
        corrected = holm([p for _, _, p in tested])
        better = [
            (p_holm, -value, other)
            for (other, value, _), p_holm in zip(tested, corrected, strict=True)
            if value > 0 and p_holm < SIGNIFICANT_P
        ]
        if better:
            p_holm, _, by = min(better)
            beaten[arm] = Beaten(by, p_holm)
    return Contest(tuple(arm for arm in arms if arm not in beaten), beaten)


def _gain(arm: str, other: str, gains: Mapping[tuple[str, str], Gain]) -> Gain:
    if (arm, other) in gains:
        return gains[arm, other]
    value, p = gains.get((other, arm), (math.nan, math.nan))
    return -value, p
