"""`tunesmith feedback agreement`: how far the judges of a store, or the annotators of a file, agree with each other."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from tunesmith.app.feedback_list import gold_document
from tunesmith.app.judge_check import annotators_in, human_pairs
from tunesmith.core.errors import DataError
from tunesmith.core.files import finite
from tunesmith.core.statistics import wilson
from tunesmith.data.record_source import RecordSource
from tunesmith.evaluation.agreement import Distance, agreement, alpha
from tunesmith.feedback import QUESTIONS, GivenGrades, PairChoice, gold_pairs, gold_scores, open_store, verdicts_of

__all__ = ["agreement_of_file", "agreement_of_store"]

_SEED = 0
_KINDS = ("first", "second", "tie")
_DISTANCES: tuple[Distance, ...] = ("nominal", "ordinal", "interval")
Said = Mapping[str, Mapping[Any, Any]]
"""Judge -> what was judged -> what was said of it."""


def agreement_of_store(address: str) -> dict[str, Any]:
    """How far the judges of a store agree; gold questions stand apart.

    Returns: {source, judges, pairs, grades, shown_first, gold}. `pairs`: {judged, by_two, alpha, kappas} of all pairs that were compared, by themselves or within
        rankings; `grades`: QUESTION -> {judged, by_two, nominal, ordinal, interval}; `shown_first`: of the comparisons that are no tie, how often the better answer is the one
        that stood first; `gold`: a judge's {judged, right, share}. Alphas are {value, low, high}, over what two judges or more judged.
    Raises: DataError, where nothing was judged; UsageError, TunesmithError, as `open_store`.
    """
    store = open_store(address)
    gold, choices, grades = gold_pairs(store.prompts()), store.choices(), store.grades()
    verdicts = verdicts_of(choices, store.rankings())
    names = [judge.name for judge in store.judges()]
    if not verdicts and not grades:
        raise DataError(f"{store.name}: nothing was judged yet. `tunesmith feedback collect RUN` asks.")
    pairs: dict[str, dict[Any, str]] = {}
    for one in verdicts:
        if (one.first, one.second) not in gold:
            pairs.setdefault(one.judge, {})[one.first, one.second] = one.verdict
    found: dict[str, Any] = {
        "source": store.name,
        "judges": names,
        "pairs": _pairs(pairs) if pairs else None,
        "grades": _grades(grades) if grades else None,
        "shown_first": _shown_first(choices),
        "gold": {one.judge: gold_document(one) for one in gold_scores(verdicts, gold, names)} if gold else None,
    }
    return dict(finite(found))


def agreement_of_file(file: str) -> dict[str, Any]:
    """The same of the annotators of a file, in the layout of PandaLM's test set, as `human_pairs` reads it. Raises: DataError."""
    rows, names = human_pairs(file), annotators_in(RecordSource(file).columns())
    said = {name: {number: row.votes[place] for number, row in enumerate(rows)} for place, name in enumerate(names)}
    return dict(finite({"source": file, "judges": names, "pairs": _pairs(said), "grades": None, "shown_first": None, "gold": None}))


def _pairs(said: Said) -> dict[str, Any]:
    coded = {judge: {thing: _KINDS.index(verdict) for thing, verdict in given.items()} for judge, given in said.items()}
    values_rn = _table(coded)
    return {**_counts(values_rn), "alpha": asdict(alpha(values_rn, "nominal", seed=_SEED)), "kappas": _kappas(said)}


def _kappas(said: Said) -> list[dict[str, Any]]:
    found = []
    for one, other in combinations(sorted(said), 2):
        both = [thing for thing in said[one] if thing in said[other]]
        if both:
            two = agreement([said[one][thing] for thing in both], [said[other][thing] for thing in both], seed=_SEED)
            found.append({"judges": [one, other], "pairs": two.rows, "share": asdict(two.share), "kappa": asdict(two.kappa)})
    return found


def _grades(grades: Sequence[GivenGrades]) -> dict[str, Any]:
    found = {}
    for question in QUESTIONS:
        said: dict[str, dict[int, int]] = {}
        for one in grades:
            said.setdefault(one.judge, {})[one.response] = getattr(one.grades, question)
        values_rn = _table(said)
        alphas: dict[str, Any] = {distance: asdict(alpha(values_rn, distance, seed=_SEED)) for distance in _DISTANCES}
        found[question] = {**_counts(values_rn), **alphas}
    return found


def _table(said: Mapping[str, Mapping[Any, int]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What each judge said of each thing, shape (judges, things); NaN where nothing."""
    things = list(dict.fromkeys(thing for given in said.values() for thing in given))
    return np.array([[given.get(thing, np.nan) for thing in things] for given in said.values()], dtype=np.float64)


def _counts(values_rn: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, int]:
    judges_n = (~np.isnan(values_rn)).sum(0)
    return {"judged": len(judges_n), "by_two": int((judges_n > 1).sum())}


def _shown_first(choices: Sequence[PairChoice]) -> dict[str, Any] | None:
    """Near one half, judges go by the answers and not by their places."""
    shown = [one for one in choices if one.shown_first is not None and one.verdict != "tie"]
    if not shown:
        return None
    share = wilson(sum(one.shown_first == (one.first if one.verdict == "first" else one.second) for one in shown), len(shown))
    return {"pairs": len(shown), "share": asdict(share)}
