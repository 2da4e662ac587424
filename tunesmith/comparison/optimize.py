"""Gradient-free search for a few numbers: what is tried, and which of it is taken. optuna proposes, its samplers seeded, so that the same values give the same search.

t trials    k numbers
"""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tunesmith.core.adjusting import Knob

__all__ = ["Sampler", "Tried", "best_of", "search"]

Sampler = Literal["cmaes", "tpe"]
Values = tuple[float, ...]

_FEWEST_GENERATIONS = 25
"""A doubled population is to have so many of CMA-ES."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A setting, and what it came to: NaN where that is no number."""

    values: Values
    value: float


def search(
    knobs: Sequence[Knob],
    evaluate: Callable[[int, Values], float],
    *,
    num_trials: int,
    sampler: Sampler,
    higher_is_better: bool,
    seed: int,
) -> list[Tried]:
    """Try settings, the first of them what the model does as it is.

    Args:
        evaluate: from the number of a trial, from 0 on, and its values to what is to be best.
    Source: CMA-ES as Hansen (2016), https://arxiv.org/abs/1604.00772, has it; TPE: Bergstra et al. (2011). Both are optuna's.
    """
    import optuna

    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        str(place): optuna.distributions.FloatDistribution(knob.low, knob.high, log=knob.is_log) for place, knob in enumerate(knobs)
    }
    found = list[Tried]()
    with warnings.catch_warnings(), _quiet(optuna.logging):
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        made = (
            optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False, popsize=_population(len(knobs), num_trials))
            if sampler == "cmaes"
            else optuna.samplers.TPESampler(seed=seed)
        )
        study = optuna.create_study(direction="maximize" if higher_is_better else "minimize", sampler=made)
        study.enqueue_trial({str(place): knob.start for place, knob in enumerate(knobs)})
        for number in range(num_trials):
            trial = study.ask(distributions)
            values = tuple(float(trial.params[name]) for name in distributions)
            value = evaluate(number, values)
            if math.isnan(value):
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, value)
            found.append(Tried(values, value))
    return found


def _population(num_knobs: int, num_trials: int) -> int | None:
    """Settings of a generation of CMA-ES: twice the usual 4 + 3 ln k where there are trials for it, as what counts rows is a landscape of steps, on which few
    are often all as good; else None, the usual.
    """
    doubled = 2 * (4 + int(3 * math.log(num_knobs)))
    return doubled if num_trials >= _FEWEST_GENERATIONS * doubled else None


def best_of(tried: Sequence[Tried], knobs: Sequence[Knob], *, higher_is_better: bool) -> int:
    """The place of the best trial. The first, where nothing is better than the model as it is; of several that are as good as each other the one that is nearest to
    their middle, as at the edge of what is as good the next rows are likely to say otherwise.
    """
    values_t = np.array([one.value for one in tried], dtype=np.float64)
    signed_t = np.where(np.isnan(values_t), -np.inf, values_t if higher_is_better else -values_t)
    best = np.flatnonzero(signed_t == signed_t.max())
    if best[0] == 0:
        return 0
    points_tk = np.array([[_place(knob, value) for knob, value in zip(knobs, tried[int(at)].values, strict=True)] for at in best])
    middle_k = (points_tk.min(0) + points_tk.max(0)) / 2
    return int(best[((points_tk - middle_k) ** 2).sum(1).argmin()])


def _place(knob: Knob, value: float) -> float:
    """Where in its range a value lies, from 0 to 1."""
    low, high, at = (math.log(x) for x in (knob.low, knob.high, value)) if knob.is_log else (knob.low, knob.high, value)
    return (at - low) / (high - low)


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """optuna tells of every trial by itself."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
