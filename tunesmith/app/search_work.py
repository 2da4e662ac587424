"""What a method computes that tries settings in place of steps, counted before it begins."""

from statistics import fmean

from tunesmith.app.adjustable import chosen_metric, num_trials, searched, trial_of
from tunesmith.app.plan import sizes
from tunesmith.app.task import Task, rows_to_answer
from tunesmith.comparison.cost_model import Work
from tunesmith.core.adjusting import WeightAdjustment
from tunesmith.core.types import HeadObjective

__all__ = ["MOST_TIMED_ROUNDS", "TIMED", "TIMED_ROUNDS", "TIMED_SECONDS", "TIMED_WRITTEN", "search_work"]

TIMED, TIMED_WRITTEN, TIMED_ROUNDS = 64, 8, 3
"""Test rows that are asked for the time they take alone, or answered, and how often, before and after by turns."""
TIMED_SECONDS, MOST_TIMED_ROUNDS = 0.3, 30
"""Where they took less than that, they are asked more often, up to so many times: a second at most, which is not counted."""


def search_work(task: Task, answer_tokens: int) -> Work:
    """Of all trials, and of timing what came of them.

    Args:
        answer_tokens: of an answer, as long as they are now.
    """
    method, trunk = searched(task), task.model.trunk
    of_weights = [one for one in method.adjustments.values() if isinstance(one, WeightAdjustment)]
    own = dict(trunk.named_parameters())
    num_changed = sum(own[name].numel() for one in of_weights for name in one.touches(trunk))
    is_loaded_again = any(one.asks_earlier(trunk) for one in of_weights)
    read = written = 0
    for name, times, most in (("validation", _num_passes(task), None), ("test", 2 * TIMED_ROUNDS, TIMED)):
        one_read, one_written = _pass(task, name, most, answer_tokens)
        read, written = read + times * one_read, written + times * one_written
    return Work(
        kind="none",
        searched_read_tokens=read,
        searched_written_tokens=written,
        # as they were, as a trial has them, and those of a model that is loaded once more
        num_added=2 * num_changed + (sum(p.numel() for p in own.values()) if is_loaded_again else 0),
    )


def _num_passes(task: Task) -> int:
    """How often the validation rows are asked."""
    method = searched(task)
    return num_trials(method, 1) if trial_of(method) == "asked" else 1  # whatever the numbers, where the model is asked


def _pass(task: Task, name: str, most: int | None, answer_tokens: int) -> tuple[int, int]:
    """Tokens that are read and written for one setting. `most`: rows, where not all are asked."""
    split, needs = task.splits[name], chosen_metric(task)[1].needs
    lengths = sizes(split.rows)
    if not lengths:
        return 0, 0
    if isinstance(task.objective, HeadObjective) or needs != "text":
        return sum(lengths[:most]), 0
    num = len(rows_to_answer(task, split.examples))
    num = num if most is None else min(num, TIMED_WRITTEN)
    facts, rows = task.encoded["train"], len(task.splits["train"].rows)
    prompt = max(0.0, fmean(lengths) - facts.num_scored_tokens / max(1, rows))
    return round(num * prompt), num * answer_tokens
