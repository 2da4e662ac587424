"""What the validation rows say of trainings on more rows than there were: of an arm that has a third of them, and of all arms with three times as many as there are."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tunesmith.app.validated import Validated, value_of
from tunesmith.comparison.learning_curve import draws, expected, gain_left
from tunesmith.core.statistics import FEWEST_RESAMPLED
from tunesmith.recipe import Recipe

__all__ = ["cannot_win", "outlook"]

_MORE_ROWS = 3
"""How many times the rows a learning curve is drawn out to: as far as it reached from its last part to the whole."""
_MIN_SIZES = 3
"""A curve of fewer says nothing of its floor."""


def cannot_win(recipe: Recipe, curve: Sequence[Validated], name: str, leader: Validated) -> str:
    """Why an arm cannot overtake the leader any more, for people; empty where it may, or where the two cannot be held against each other.

    Args:
        curve: the arm's trainings on growing parts of its rows, of which the last two count, a third of the one before the other.
        name: of the leader, which is trained on all.
    """
    before, last = curve[-2:]
    if not all(_is_alike(one, leader) for one in (before, last)):
        return ""
    drawn_Rs = draws([one.units_nk for one in (before, last, leader)], value_of(recipe, leader.select_by))
    if not gain_left(drawn_Rs[:, :2], drawn_Rs[:, 2], higher_is_better=leader.higher_is_better) < 0:
        return ""
    return (
        f"it can no longer win: validation {leader.select_by} is {last.value:.3f} on {last.train_rows:,} training rows, after {before.value:.3f} on {before.train_rows:,}, "
        f"and that of {name} is {leader.value:.3f} on {leader.train_rows:,}; three times the rows gain no more than they did before."
    )


def outlook(recipe: Recipe, curves: Mapping[str, Sequence[Validated]]) -> dict[str, Any] | None:
    """What three times the training rows would give, by the arms' learning curves on the validation rows; None where none has three sizes, or too few validation rows were asked.

    Args:
        curves: of each arm its trainings with the setting that was taken, the smallest part first, the whole last.
    Returns: `metric`, `higher_is_better`, and of `arms` by name: `rows` and `values` of the curve, `at_rows`, `expected` there: `{value, low, high}`, and
        `leads`, the share of resamples in which the arm is the best of them.
    """
    whole = {name: curve for name, curve in curves.items() if len(curve) >= _MIN_SIZES}
    if not whole:
        return None
    first = next(iter(whole.values()))[-1]
    value, sign = value_of(recipe, first.select_by), 1.0 if first.higher_is_better else -1.0
    found, drawn = dict[str, dict[str, Any]](), list[Any]()
    for name, curve in whole.items():
        if all(_is_alike(one, first) for one in curve):
            rows = [one.train_rows for one in curve]
            drawn_Rs = draws([one.units_nk for one in curve], value)
            told, at_R = expected(rows, drawn_Rs, _MORE_ROWS * rows[-1], higher_is_better=first.higher_is_better)
            drawn.append(sign * at_R)
            found[name] = {"rows": rows, "values": [one.value for one in curve], "at_rows": _MORE_ROWS * rows[-1], "expected": asdict(told)}
    if not found:
        return None
    leaders = np.argmax(np.array(drawn), axis=0)
    for place, one in enumerate(found.values()):
        one["leads"] = float((leaders == place).mean())
    return {"metric": first.select_by, "higher_is_better": first.higher_is_better, "arms": found}


def _is_alike(one: Validated, other: Validated) -> bool:
    """Whether the two were asked the same units, enough of them to resample: what a unit of a loss counts is the same where the tokens are."""
    if one.select_by != other.select_by or len(one.units) != len(other.units) or len(one.units) < FEWEST_RESAMPLED:
        return False
    if one.select_by != "loss":
        return True
    half = one.units_nk.shape[1] // 2
    return bool((one.units_nk[:, half:] == other.units_nk[:, half:]).all())
