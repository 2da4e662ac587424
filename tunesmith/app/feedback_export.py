"""`tunesmith feedback export`: what judges prefer as a data set that `data.train` reads. What is left out is counted, and why."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from tunesmith.app.data_files import check_target, written
from tunesmith.core.errors import DataError
from tunesmith.feedback import (
    QUESTIONS,
    GivenGrades,
    PairVerdict,
    Settled,
    StoredPrompt,
    gold_pairs,
    gold_scores,
    open_store,
    ordered,
    settle,
    verdicts_of,
)
from tunesmith.feedback.store import FeedbackStore

__all__ = ["export_store"]

Kind = Literal["preference", "ranked", "graded"]
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "preference": ("prompt", "chosen", "rejected"),
    "ranked": ("prompt", "answers"),
    "graded": ("prompt", "response", *QUESTIONS),
}
Row = dict[str, Any]


def export_store(address: str, out: Path, kind: Kind, *, min_gold: float | None = None, force: bool = False) -> dict[str, Any]:
    """Write the judgements of a store as rows; questions with a known answer are left out, and so are answers without text.

    Args:
        kind: `preference`: a row a pair that more than half of its judges decide; `ranked`: a row a prompt whose answers have one order; `graded`: a row an
            answer, with the mean of its grades.
        min_gold: judges who answer a smaller share of gold questions right are left out, and those who answered none.
    Returns: {store, out, kind, rows, judges, judges_left_out, left_out}; `judges_left_out`: NAME -> why; `left_out`: how many pairs, prompts or answers for which reason.
    Raises: DataError, where nothing is left; UsageError, where `out` cannot be written; TunesmithError, as `open_store`.
    """
    check_target(out, [], force=force, suffixes=(".jsonl",))
    store = open_store(address)
    said = _Said.of(store, min_gold)
    left_out = Counter[str]()
    rows = list(_graded(said, left_out) if kind == "graded" else _preferred(said, kind, left_out))
    if not rows:
        reasons = [f"{count:,} {reason.replace('_', ' ')}" for reason, count in left_out.items()]
        why = ", ".join([*reasons, *(f"the judge {judge} {why}" for judge, why in said.left_out.items())]) or "nothing was judged so"
        raise DataError(f"{store.name}: has nothing to write as {kind}: {why}. `tunesmith feedback list` shows what was judged.")
    with written(out, _COLUMNS[kind]) as write:
        for row in rows:
            write(row)
    return {
        "store": store.name,
        "out": str(out),
        "kind": kind,
        "rows": len(rows),
        "judges": said.judges,
        "judges_left_out": said.left_out,
        "left_out": dict(left_out),
    }


@dataclass(frozen=True, slots=True)
class _Said:
    """What the judges who count say."""

    prompts: Sequence[StoredPrompt]
    verdicts: Sequence[PairVerdict]
    grades: Sequence[GivenGrades]
    gold: Mapping[tuple[int, int], str]
    judges: list[str]
    left_out: dict[str, str]

    @classmethod
    def of(cls, store: FeedbackStore, min_gold: float | None) -> "_Said":
        prompts = store.prompts()
        verdicts, gold = verdicts_of(store.choices(), store.rankings()), gold_pairs(prompts)
        left_out = dict[str, str]()
        names = [judge.name for judge in store.judges()]
        for score in gold_scores(verdicts, gold, names) if min_gold is not None else ():
            if not score.judged:
                left_out[score.judge] = "answered no gold question"
            elif score.share.value < (min_gold or 0):
                left_out[score.judge] = f"{score.right} of {score.judged} gold questions right"
        counted = [name for name in names if name not in left_out]
        return cls(
            prompts,
            [one for one in verdicts if one.judge in counted],
            [one for one in store.grades() if one.judge in counted],
            gold,
            counted,
            left_out,
        )


def _preferred(said: _Said, kind: Kind, left_out: Counter[str]) -> Iterator[Row]:
    settled = settle(one for one in said.verdicts if (one.first, one.second) not in said.gold)
    known = sum((one.first, one.second) in said.gold for one in said.verdicts)
    left_out.update({"judgements_of_gold": known} if known else {})
    return (_pairs if kind == "preference" else _ranked)(said, settled, left_out)


def _pairs(said: _Said, settled: Settled, left_out: Counter[str]) -> Iterator[Row]:
    counts = {"tied": len(settled.tied), "without_majority": len(settled.undecided), "in_circles": len(settled.in_circles)}
    left_out.update({reason: count for reason, count in counts.items() if count})
    answers = {answer.id: (prompt, answer.text) for prompt in said.prompts for answer in prompt.responses}
    for better, worse in settled.preferred:
        (prompt, chosen), (_, rejected) = answers[better], answers[worse]
        if not chosen.strip() or not rejected.strip():
            left_out["with_an_empty_answer"] += 1
            continue
        yield {"prompt": list(prompt.messages), "chosen": _answer(chosen), "rejected": _answer(rejected)}


def _answer(text: str) -> list[dict[str, str]]:
    """As messages: a plain text that looks like a dialogue would be read as one."""
    return [{"role": "assistant", "content": text}]


def _ranked(said: _Said, settled: Settled, left_out: Counter[str]) -> Iterator[Row]:
    judged = {answer for one in said.verdicts if (one.first, one.second) not in said.gold for answer in (one.first, one.second)}
    in_circles = {answer for pair in settled.in_circles for answer in pair}
    for prompt in said.prompts:
        texts = {answer.id: answer.text for answer in prompt.responses if answer.id in judged}
        if len(texts) < 2:
            continue
        order = ordered(settled, list(texts))
        if order is None:
            left_out["prompts_in_circles" if in_circles & texts.keys() else "prompts_without_one_order"] += 1
            continue
        spoken = [[answer for answer in tied if texts[answer].strip()] for tied in order]
        ranks = [tied for tied in spoken if tied]
        if len(ranks) < 2:
            left_out["prompts_all_tied"] += 1
            continue
        listed = [{"answer": texts[answer], "rank": rank} for rank, tied in enumerate(ranks, start=1) for answer in tied]
        yield {"prompt": list(prompt.messages), "answers": listed}


def _graded(said: _Said, left_out: Counter[str]) -> Iterator[Row]:
    given = dict[int, list[GivenGrades]]()
    for one in said.grades:
        given.setdefault(one.response, []).append(one)
    for prompt in said.prompts:
        for answer in prompt.responses:
            if answer.id not in given:
                continue
            if prompt.gold or not answer.text.strip():
                left_out["answers_of_gold" if prompt.gold else "empty_answers"] += 1
                continue
            means = {question: fmean(getattr(one.grades, question) for one in given[answer.id]) for question in QUESTIONS}
            yield {"prompt": list(prompt.messages), "response": answer.text, **means}
