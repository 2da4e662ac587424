"""What the learning curves say: over-fitting, or training that stopped too early."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tunesmith.core.statistics import Interval, ratio_sum, unpaired_difference

__all__ = ["gap", "overfitting"]

_RISE = 0.05
_RISE_NATS = 0.01
_STILL_FALLING = 0.01


def overfitting(train: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Report.json's `curves.overfitting`: `found`, and a sentence or two with the numbers.

    The rule: the model over-fits where its last validation loss lies above the lowest by more than 5 % and more than 0.01 nats, while the
    training loss, averaged over the steps since that lowest point, is below its average over as many steps up to it. Where the last validation loss
    is the lowest, and at least 1 % below the one before, training may have stopped too early.

    Args:
        train: lines with `step` and `loss` (nats), in order.
        validation: the same, and `epoch`; lines whose loss is not a finite number are passed over.
    """
    points, steps = _finite(validation), _finite(train)
    if len(points) < 2:
        return {"found": False, "text": "The validation loss was measured fewer than two times, so the curve cannot show over-fitting."}
    best, last = min(points, key=lambda point: float(point["loss"])), points[-1]
    lowest, end = float(best["loss"]), float(last["loss"])
    if best is last:
        return {"found": False, "text": _at_its_lowest(float(points[-2]["loss"]), last)}
    before, after = _around(steps, best["step"])
    curve = f"The validation loss was lowest at {_place(best)}, {lowest:.3f} nats, and {end:.3f} at {_place(last)}, the end ({_percent(lowest, end)})"
    if end - lowest <= max(_RISE * lowest, _RISE_NATS):
        return {"found": False, "text": f"{curve}: no over-fitting to speak of."}
    if not after < before:
        return {
            "found": False,
            "text": f"{curve}, but the training loss did not fall meanwhile: this is not over-fitting; the learning rate may be too high.",
        }
    cure = "Fewer epochs, a lower learning rate, early stopping or more data would help."
    return {"found": True, "text": f"Over-fitting. {curve}, while the training loss fell from {before:.3f} to {after:.3f}. {cure}"}


def gap(train: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]], kept_step: int | None) -> dict[str, Any] | None:
    """Report.json's `curves.gap`: how far the validation loss of the weights that were kept lies above the loss of the training rows that they had just seen.

    Training rows are those of the steps since the validation before: their loss was measured while the weights moved, under dropout, so that of a model
    that learned nothing by heart the gap is rather below zero. Steps are the units of its interval; the validation loss brings its own.

    Args:
        train, validation: as of `overfitting`; validation may have `loss_low` and `loss_high`.
        kept_step: None: the last one that was validated.
    Returns: `{step, train, validation, value, low, high, text}`; None where nothing was validated.
    """
    points = _finite(validation)
    kept = next((place for place, point in enumerate(points) if point["step"] == kept_step), len(points) - 1)
    if not points:
        return None
    point, since = points[kept], points[kept - 1]["step"] if kept else 0
    seen = [float(step["loss"]) for step in _finite(train) if since < step["step"] <= point["step"]]
    if not seen:
        return None
    own = ratio_sum(np.array(seen)[:, None], np.ones((len(seen), 1)))
    held_out = Interval(float(point["loss"]), point.get("loss_low", math.nan), point.get("loss_high", math.nan))
    found = unpaired_difference(own, held_out)
    sides = {"step": point["step"], "train": own.value, "validation": held_out.value}
    return {**sides, **asdict(found), "text": _gap_text(found, own.value, point, len(seen))}


def _gap_text(found: Interval, own: float, point: Mapping[str, Any], num_steps: int) -> str:
    seen = f"the training rows of the {num_steps} steps before" if num_steps > 1 else "the training rows of that step"
    where = f"At {_place(point)}, whose weights were kept, the validation loss was {float(point['loss']):.3f}, that of {seen} {own:.3f}"
    if math.isnan(found.low):
        return f"{where}: a gap of {_signed(found.value)}, too few batches for an interval."
    is_clear = found.low > 0 or found.high < 0
    return f"{where}: {'a gap' if is_clear else 'no clear gap'}, {_signed(found.value)} ({_signed(found.low)} to {_signed(found.high)})."


def _at_its_lowest(previous: float, last: Mapping[str, Any]) -> str:
    text = f"No over-fitting: the validation loss was lowest at the end, {float(last['loss']):.3f} nats at {_place(last)}"
    if previous - float(last["loss"]) >= _STILL_FALLING * abs(previous):
        return f"{text}, and was still falling (from {previous:.3f}): more epochs may help."
    return f"{text}, and hardly fell any more (from {previous:.3f})."


def _around(steps: Sequence[Mapping[str, Any]], best_step: int) -> tuple[float, float]:
    """Mean training loss over the steps after the best point, and before that over as many up to it; NaN where either side has none."""
    up_to = [float(step["loss"]) for step in steps if step["step"] <= best_step]
    since = [float(step["loss"]) for step in steps if step["step"] > best_step]
    if not up_to or not since:
        return math.nan, math.nan
    window = up_to[-len(since) :]
    return sum(window) / len(window), sum(since) / len(since)


def _finite(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [point for point in points if isinstance(point.get("loss"), int | float) and math.isfinite(point["loss"])]


def _place(point: Mapping[str, Any]) -> str:
    return f"step {point['step']} (epoch {float(point['epoch']):.2g})" if "epoch" in point else f"step {point['step']}"


def _percent(lowest: float, end: float) -> str:
    return f"{100 * (end - lowest) / lowest:+.1f} %" if lowest > 0 else f"{_signed(end - lowest)} nats"


def _signed(nats: float) -> str:
    return f"{nats:+.3f}".replace("-", "\u2212")
