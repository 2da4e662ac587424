"""What rewards say of two models beside their means: how often one wins, and signs that a reward was raised in a way that nobody meant.

Source: Gao, Schulman, Hilton (2023), "Scaling Laws for Reward Model Overoptimization", https://arxiv.org/abs/2210.10760; length and repetition: Singhal et al. (2023), "A Long Way to Go: Investigating Length
Correlations in RLHF", https://arxiv.org/abs/2310.03716.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tunesmith.core.statistics import bootstrap

__all__ = ["signs_of_hacking", "win_rate"]

_LONGER, _LEAST_DISTINCT = 1.5, 0.8
"""Answers of so many times the length, and word pairs of such a share of the base's, are signs."""


def win_rate(base: Sequence[float], tuned: Sequence[float], *, seed: int) -> dict[str, float]:
    """The share of prompts whose answer by the tuned model is rewarded more than the base's, equal ones a half, with a 95 % interval by the bootstrap over prompts.

    Raises: ValueError, where there are no prompts, or the numbers differ.
    """
    if not base or len(base) != len(tuned):
        raise ValueError(f"{len(base)} rewards of the base and {len(tuned)} of the tuned model; expected as many of both, and some")
    wins_n1 = np.array([(b < t) + 0.5 * (b == t) for b, t in zip(base, tuned, strict=True)], dtype=np.float64)[:, None]
    return {**asdict(bootstrap(wins_n1, lambda rows_n1: float(rows_n1.mean()), seed=seed)), "rows": len(base)}


def signs_of_hacking(metrics: Mapping[str, Any]) -> list[str]:
    """What speaks for a reward that was raised in another way than it was meant, a line each. `metrics`: of report.json."""
    reward = _difference(metrics, "reward")
    if reward is None or not reward["low"] > 0:  # nothing was raised
        return []
    found, judge = list[str](), _difference(metrics, "held_out_reward")
    if judge is not None and judge["high"] < 0:
        found.append(
            f"The reward rose by {reward['value']:.3g}, and that of the held-out judges fell by {-judge['value']:.3g}: the model found a way around its reward."
        )
    elif judge is not None and not judge["low"] > 0:
        found.append(
            f"The reward rose by {reward['value']:.3g}, and the held-out judges see no clear gain ({judge['value']:+.3g}): it may be of the reward alone."
        )
    lengths, pairs = _sides(metrics, "answer_tokens"), _sides(metrics, "distinct_2")
    if lengths is not None and lengths[1] > _LONGER * lengths[0]:
        found.append(
            f"Answers are {lengths[1]:.0f} tokens long, the base's {lengths[0]:.0f}: length may be what is rewarded. A reward `length` makes it cost something."
        )
    if pairs is not None and pairs[1] < _LEAST_DISTINCT * pairs[0]:
        found.append(
            f"Answers repeat themselves: distinct-2 is {pairs[1]:.2f}, the base's {pairs[0]:.2f}. A reward `repetition` makes that cost something."
        )
    return found


def _difference(metrics: Mapping[str, Any], name: str) -> Mapping[str, float] | None:
    found: Mapping[str, float] | None = (metrics.get(name) or {}).get("difference")
    return found


def _sides(metrics: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    entry = metrics.get(name) or {}
    return (entry["base"]["value"], entry["tuned"]["value"]) if entry.get("base") and entry.get("tuned") else None
