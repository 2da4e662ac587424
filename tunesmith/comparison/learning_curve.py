"""What more training rows would give, from what a few sizes gave: a power law that falls to a floor, with an interval.

    s sizes    n units (rows, or batches)    k numbers that a unit contributes    R resamples    b exponents tried

An error falls with the training rows m as `floor + scale * m ** -exponent`: Hestness et al. (2017), "Deep Learning Scaling is Predictable, Empirically", https://arxiv.org/abs/1712.00409;
with the floor, Rosenfeld et al. (2020), "A Constructive Prediction of the Generalization Error Across Scales", https://arxiv.org/abs/1909.12673.
Three sizes do not say whether the law holds: the interval is for the rows that were asked, where it does.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tunesmith.core.statistics import Interval, drawn_rows, percentiles

__all__ = ["draws", "expected", "gain_left", "power_law"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Value = Callable[[Array], float]
"""A number of the stats of any units, shape (units, k)."""

_EXPONENTS_B = np.linspace(0.05, 1.0, 39)
"""Between hardly a gain a tripling and an error that is halved where the rows are doubled: what the sources found lies well inside."""
_RESAMPLES = 1000


def power_law(sizes_s: Sequence[float], errors_Rs: Array, at: float) -> Array:
    """The error at size `at`, shape (R,): that of the last size, less what the law gains from there that fits the curve best (least squares; neither floor nor scale below zero).

    So no curve is expected to get worse, not even one that no such law fits.

    Args:
        sizes_s: rising; errors_Rs: a curve a row, shape (R, s).
    """
    best_R, gain_R = np.full(len(errors_Rs), np.inf), np.zeros(len(errors_Rs))
    for exponent in _EXPONENTS_B:
        x_s = np.asarray(sizes_s, dtype=np.float64) ** -exponent
        centred_s = x_s - x_s.mean()
        scale_R = np.maximum(0.0, errors_Rs @ centred_s / (centred_s**2).sum())
        floor_R = errors_Rs.mean(axis=1) - scale_R * x_s.mean()
        below = floor_R < 0  # then the floor is zero, and the scale its own best
        scale_R = np.where(below, np.maximum(0.0, errors_Rs @ x_s / (x_s**2).sum()), scale_R)
        floor_R = np.maximum(0.0, floor_R)
        misfit_R = ((errors_Rs - floor_R[:, None] - scale_R[:, None] * x_s) ** 2).sum(axis=1)
        better = misfit_R < best_R
        best_R = np.where(better, misfit_R, best_R)
        gain_R = np.where(better, scale_R * (x_s[-1] - at**-exponent), gain_R)
    return np.maximum(0.0, errors_Rs[:, -1] - gain_R)


def draws(curve: Sequence[Array], value: Value, *, seed: int = 0) -> Array:
    """The values of a curve, shape (R + 1, s): of its units as they are, then of units drawn again, the same at every size.

    Two curves over the same units that are drawn with one seed are drawn alike.

    Args:
        curve: of each size what the units contributed, shape (n, k) each.
    """
    num_units = len(curve[0])
    places = [np.arange(num_units), *drawn_rows(num_units, None, _RESAMPLES, seed)]
    return np.array([[value(stats_nk[drawn]) for stats_nk in curve] for drawn in places])


def expected(sizes_s: Sequence[float], values_Rs: Array, at: float, *, higher_is_better: bool) -> tuple[Interval, Array]:
    """The value at `at` training rows with its 95 % interval, and its draws, shape (R,).

    Args:
        values_Rs: as `draws` returns them; of values of which more is better the best is 1, of others 0.
    """
    errors_Rs = 1.0 - values_Rs if higher_is_better else values_Rs
    found_R = power_law(sizes_s, errors_Rs, at)
    found_R = 1.0 - found_R if higher_is_better else found_R
    return Interval(float(found_R[0]), *percentiles(found_R[1:], 0.95)), found_R[1:]


def gain_left(values_Rs: Array, leader_R: Array, *, higher_is_better: bool) -> float:
    """The most that an arm can still lie above the leader when it is trained on three times as many rows: the upper end of a one-sided 99 % interval.

    No tripling of the rows gains more than the one before, as long as the curve is such a power law; so the last gain, or none where there was a loss, is the most that is to come.

    Args:
        values_Rs: of an arm at a ninth and at a third of its rows, shape (R + 1, 2).
        leader_R: of an arm that is done, over the same units, drawn alike, shape (R + 1,).
    Returns: below zero where the arm can no longer win; NaN where the values are none.
    """
    sign = 1.0 if higher_is_better else -1.0
    ninth_R, third_R = sign * values_Rs[1:].T
    left_R = third_R + np.maximum(0.0, third_R - ninth_R) - sign * leader_R[1:]
    return float(np.quantile(left_R, 0.99))
