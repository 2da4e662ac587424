"""The method `direct`: numbers of a model are searched for by a metric of its validation rows, and kept where rows that were left out of the search say so too.

The test rows play no part, not even in whether what was found is kept: they are asked afterwards, as those of every run.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tunesmith.app.adjustable import asks_model, chosen_metric, few_rows, num_trials, searched, subject_of, trial_of
from tunesmith.app.decoding import DIRECT_FORM, answer_tokens
from tunesmith.app.judging import EncodedSplit, like_answers, read_head, score, write_answers
from tunesmith.app.measured import pick
from tunesmith.app.search_work import MOST_TIMED_ROUNDS, TIMED, TIMED_ROUNDS, TIMED_SECONDS, TIMED_WRITTEN
from tunesmith.app.settings import Settings
from tunesmith.app.task import Say, Task, rows_to_answer
from tunesmith.comparison.optimize import Sampler, Tried, best_of, search
from tunesmith.core.events import Notice, Progress, Warned, counted
from tunesmith.core.files import write_json, write_text
from tunesmith.core.run import RunDirectory
from tunesmith.core.significance import SIGNIFICANT_P
from tunesmith.core.statistics import Difference
from tunesmith.core.types import AnswerObjective, HeadObjective
from tunesmith.evaluation.score import groups_of, paired

__all__ = ["Adjusted", "adjust"]

_FOLDS = 5

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What came of it."""

    facts: dict[str, Any]
    """Report.json's `direct`."""
    seconds: float
    num_numbers: int


def adjust(task: Task, directory: RunDirectory, say: Say) -> Adjusted:
    """Search, and leave the model with what was found, or as it was. The method was applied to it, and its heads attached.

    What was tried is kept in the run: one that goes on asks no setting twice.
    """
    started = time.perf_counter()
    name, metric = chosen_metric(task)
    tick = counted(say, "validation", len(task.splits["validation"].rows))
    settings = Settings.of(task, subject_of(task), searched(task).adjustments, metric, tick)
    found = _Search(task, settings, directory, say)
    tried = found.tried()
    at = best_of(tried, settings.all_knobs, higher_is_better=found.higher)
    base_nk, examples = settings.stats(settings.start)
    for warning in (warnings := few_rows(task, len(base_nk), len(settings.start), settings.split.references)):
        say(Warned(warning))
    held_out = found.held_out(tried, base_nk, groups_of(examples)) if at else None
    is_kept = held_out is not None and _is_gain(held_out, len(base_nk), higher=found.higher)
    values = tried[at].values
    settings.put(values if is_kept else settings.start)
    searched(task).keep(settings.by_adjustment(values) if is_kept else {})
    seconds = found.seconds + time.perf_counter() - started
    facts: dict[str, Any] = {
        "metric": name,
        "higher_is_better": found.higher,
        "rows": len(base_nk),
        "trials": len(tried),
        "sampler": found.sampler,
        "trial": trial_of(searched(task)),
        "numbers": [
            {"adjusts": one, "name": knob.name, "low": knob.low, "high": knob.high, "from": knob.start, "to": value}
            for one, own in settings.by_adjustment(values).items()
            for knob, value in zip(settings.knobs[one], own, strict=True)
        ],
        "before": settings.shown(settings.start),
        "found": settings.shown(values) if at else [],
        "validation": {"before": tried[0].value, "after": tried[at].value},
        "held_out": None if held_out is None else {**asdict(held_out), "folds": found.folds},
        "kept": is_kept,
        "seconds": seconds,
        "speed": _speed(task, settings, values if is_kept else settings.start, say),
        "warnings": warnings,
    }
    decoding = settings.decoding(values) if is_kept else {}
    write_json(directory.direct, {"schema": DIRECT_FORM, "kept": is_kept, "decoding": decoding, "seed": task.recipe.seed, "found": facts})
    say(Notice(_said(facts)))
    return Adjusted(facts, seconds, len(settings.start))


class _Search:
    """The trials of a run, asked once each."""

    def __init__(self, task: Task, settings: Settings, directory: RunDirectory, say: Say) -> None:
        method, self._settings, self._say = searched(task), settings, say
        self._directory, self._seed = directory, task.recipe.seed
        self._asks_model, self.num_trials = asks_model(method), num_trials(method, len(settings.start))
        self.sampler: Sampler = ("cmaes" if len(settings.start) > 1 else "tpe") if method.sampler == "auto" else method.sampler
        self.higher = settings.metric.higher_is_better is True
        self.folds = 0
        self._stats: dict[tuple[float, ...], Array] = {}
        self._known, self.seconds = _kept(directory)
        self._keep(self._known)

    def tried(self) -> list[Tried]:
        """Every trial, those of an earlier sitting from what it kept."""
        return self._searched(self._asked)

    def held_out(self, tried: Sequence[Tried], base_nk: Array, groups: Sequence[Any] | None) -> Difference:
        """What a search on four fifths of the rows gains on the others, every row once among these: what a gain on rows that were searched on would overstate.

        Where each trial asks the model, the trials are those of the whole search, of which four fifths choose.
        """
        folds_n = _folds(base_nk, groups, self._seed)
        self.folds = int(folds_n.max()) + 1
        after_nk, value = base_nk.copy(), self._settings.metric.value
        for fold in range(self.folds):
            inside = folds_n != fold
            if self._asks_model:
                own = [Tried(one.values, value(self._stats_of(one.values)[inside])) for one in tried]
            else:
                own = self._searched(lambda _, values, inside=inside: value(self._stats_of(values)[inside]))
            self._say(Progress("held out", fold + 1, self.folds))
            at = best_of(own, self._settings.all_knobs, higher_is_better=self.higher)
            after_nk[~inside] = self._stats_of(own[at].values)[~inside]
        return paired(self._settings.metric, base_nk, after_nk, groups, self._seed).difference

    def _searched(self, evaluate: Any) -> list[Tried]:
        return search(
            self._settings.all_knobs,
            evaluate,
            num_trials=self.num_trials,
            sampler=self.sampler,
            higher_is_better=self.higher,
            seed=self._seed,
        )

    def _asked(self, number: int, values: tuple[float, ...]) -> float:
        self._say(Progress("trials", number, self.num_trials))
        known = self._known[number] if number < len(self._known) else None
        if known is not None and tuple(known["values"]) == values:
            if known["stats"] is not None:
                self._stats[values] = np.array(known["stats"], dtype=np.float64)
            return float(known["value"]) if known["value"] is not None else float("nan")
        if known is not None:  # not of this search: what stands there and behind goes
            self._keep(self._known[:number])
        started = time.perf_counter()
        stats_nk = self._stats_of(values)
        value = self._settings.metric.value(stats_nk)
        line = {
            "values": values,
            "value": value if value == value else None,
            "seconds": time.perf_counter() - started,
            "stats": stats_nk.tolist() if self._asks_model else None,
        }
        with self._directory.trials.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return value

    def _keep(self, lines: list[dict[str, Any]]) -> None:
        self._known = lines
        write_text(self._directory.trials, "".join(json.dumps(line) + "\n" for line in lines))

    def _stats_of(self, values: tuple[float, ...]) -> Array:
        if values not in self._stats:
            self._stats[values] = self._settings.stats(values)[0]
        return self._stats[values]


def _kept(directory: RunDirectory) -> tuple[list[dict[str, Any]], float]:
    """The trials of earlier sittings, up to a line that an interruption cut short, and the seconds that they took."""
    found = list[dict[str, Any]]()
    if directory.trials.is_file():
        for line in directory.trials.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                break
    return found, sum(one["seconds"] for one in found)


def _folds(stats_nk: Array, groups: Sequence[Any] | None, seed: int) -> Any:
    """Of each unit its fold: units of a group in the same one."""
    keys = list(range(len(stats_nk))) if groups is None else list(groups)
    distinct = list(dict.fromkeys(keys))
    order = np.random.default_rng(seed).permutation(len(distinct))
    fold_of = {distinct[place]: number % min(_FOLDS, len(distinct)) for number, place in enumerate(order)}
    return np.array([fold_of[key] for key in keys])


def _is_gain(found: Difference, num_rows: int, *, higher: bool) -> bool:
    """Whether the interval leaves zero out, on the better side; where all resamples are alike there is none, and so many rows decide that chance would seldom make alike."""
    gained = found.value if higher else -found.value
    if math.isnan(found.low):
        return gained > 0 and 2 * 0.5**num_rows < SIGNIFICANT_P
    return found.low > 0 if higher else found.high < 0


def _said(facts: Mapping[str, Any]) -> str:
    before, after = facts["validation"]["before"], facts["validation"]["after"]
    if facts["held_out"] is None:
        return f"of {facts['trials']} settings none is better on the validation rows than the model as it is: it stays so."
    held = facts["held_out"]
    gain = f"{facts['metric']} {before:.4f} to {after:.4f} on the rows searched on, {held['value']:+.4f} [{held['low']:+.4f}, {held['high']:+.4f}] on rows left out"
    return f"{'kept' if facts['kept'] else 'not kept'}: {', '.join(facts['found'])}: {gain}."


def _speed(task: Task, settings: Settings, values: tuple[float, ...], say: Say) -> dict[str, Any]:
    """Test rows a second before and after, asked by turns; their answers are not looked at. One figure for both where nothing was kept, none where there is no test row.

    What is quicker than the clock is steady is asked again until each side has taken some tenths of a second.
    """
    split, num = _timed(task, settings)
    if not split.examples:
        return {"rows": 0, "before": None, "after": None}
    taken = {at: list[float]() for at in (settings.start, values)}
    kept, task.forward.features = task.forward.features, None  # rows that come again are to be read again
    while any(not _is_timed(seconds) for seconds in taken.values()):
        for at, seconds in taken.items():
            settings.put(at)
            started = time.perf_counter()
            _ask(task, settings, split)
            seconds.append(time.perf_counter() - started)
        say(Progress("speed", min(len(taken[values]), TIMED_ROUNDS), TIMED_ROUNDS))
    settings.put(values)
    task.forward.features = kept
    before, after = (num / min(taken[at]) for at in (settings.start, values))
    return {"rows": num, "before": before, "after": after}


def _is_timed(seconds: Sequence[float]) -> bool:
    return len(seconds) >= MOST_TIMED_ROUNDS or (len(seconds) >= TIMED_ROUNDS and sum(seconds) >= TIMED_SECONDS)


def _ask(task: Task, settings: Settings, split: EncodedSplit) -> None:
    """Let the model as it is set answer the rows."""
    if isinstance(task.objective, HeadObjective):
        read_head(task, task.objective, split.examples, split.rows, split.owners)
    elif settings.metric.needs == "text":
        write_answers(task, split.examples, answer_tokens(task.forward, task.recipe))
    elif isinstance(task.objective, AnswerObjective):
        like_answers(task, task.objective, split)
    else:
        score(task, split)


def _timed(task: Task, settings: Settings) -> tuple[EncodedSplit, int]:
    split = task.splits["test"]
    if settings.metric.needs == "text":
        places = rows_to_answer(task, split.examples)[:TIMED_WRITTEN]
        return EncodedSplit(pick(split.examples, places), (), (), pick(split.references, places)), len(places)
    num = min(TIMED, len(split.examples))
    kept = [row for row, owner in enumerate(split.owners) if owner < num]
    return EncodedSplit(split.examples[:num], pick(split.rows, kept), pick(split.owners, kept), split.references[:num]), num
