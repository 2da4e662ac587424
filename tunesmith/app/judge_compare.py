"""Answers of two models to the same prompts before a judge: base and tuned at the end of a run, or what finished runs have kept."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tunesmith.app.interruption import Interruption
from tunesmith.app.judged import Judgement
from tunesmith.app.judges import judge_named
from tunesmith.app.learned import answers
from tunesmith.app.measurable import Measurable
from tunesmith.app.pairwise import Judged, agreement_file, document, judge_pairs
from tunesmith.app.predictions import answered
from tunesmith.app.task import Say
from tunesmith.core.errors import RecipeError, RunError, TunesmithError
from tunesmith.core.events import Event, Progress, Stage, Warned
from tunesmith.core.run import RunDirectory
from tunesmith.data.checks.texts import asked
from tunesmith.evaluation.pairwise import Pair, Verdict

__all__ = ["NAMED", "compare_runs", "judge_tuned", "require_answers"]

NAMED: Mapping[Verdict, str] = {"first": "base", "second": "tuned", "tie": "tie"}


def require_answers(task: Measurable) -> None:
    """Raises: RecipeError, where the recipe has a judge, and its model gives no answers that could be compared."""
    if task.recipe.evaluate.judge and not answers(task.kind):
        raise RecipeError(
            f"{task.recipe.name}: evaluate.judge: compares written answers, and the objective {task.objective_name} gives none. Leave it out."
        )


def judge_tuned(task: Measurable, base: Judgement, tuned: Judgement, say: Say) -> tuple[dict[str, Any] | None, dict[int, str]]:
    """`judge` of report.json, and which side is better of each test row that was judged: `base`, `tuned` or `tie`.

    None where the recipe asks for no judge, or nothing was answered. A judge that fails costs no run: its error stands in place of its verdicts.
    """
    spec, test = task.recipe.evaluate.judge, task.splits["test"]
    before, after = base.outputs.get("test") or (), tuned.outputs["test"]
    places = [place for place, (was, now) in enumerate(zip(before, after, strict=False)) if now.text is not None and now.label is None]
    if spec is None or not places:
        return None, {}
    places = places[: spec.limit]
    pairs = [Pair(asked(test.examples[place]), before[place].text or "", after[place].text or "") for place in places]
    try:
        found, judged = _judged(pairs, spec.model, spec.requests_per_minute, say)
    except TunesmithError as error:
        say(Warned(f"evaluate.judge: {error}"))
        return {"judge": {"model": spec.model}, "rows": len(pairs), "error": str(error)}, {}
    return found, {place: NAMED[one.verdict] for place, one in zip(places, judged, strict=True) if one.verdict is not None}


def compare_runs(
    run: RunDirectory,
    other: RunDirectory | None,
    model: str,
    *,
    limit: int | None = None,
    requests_per_minute: int | None = None,
    progress: Callable[[Event], None] | None = None,
) -> dict[str, Any]:
    """Let a judge compare what a run's tuned model answered with what its base did, or, with `other`, what that run's tuned model did.

    Returns: {first, second, judge, rows, judged, wins, ties, losses, same_answers, win_rate, p, consistency, excluded, agreement, verdicts}; wins are
        those of the run over `first`: the base, or the other run.
    Raises: RunError, where runs have no answers to the same prompts; ModelError, FetchError, TunesmithError.
    """
    with Interruption() as interruption:
        say = interruption.checked(progress)
        mine = answered(run)
        theirs = {key: (entry.get("base") or {}).get("text") for key, entry in mine.items()} if other is None else _texts(answered(other))
        keys = [key for key in mine if theirs.get(key) is not None][:limit]
        if not keys:
            beside = "its base" if other is None else str(other.path)
            raise RunError(
                f"{run.path}: has no answers to test prompts that {beside} answered too. Runs of one test split can be compared."
            )
        pairs = [Pair(key[1], str(theirs[key]), mine[key]["tuned"]["text"]) for key in keys]
        found, judged = _judged(pairs, model, requests_per_minute, say)
    verdicts = [{"row": key[0], "verdict": one.verdict, "why_not": one.why_not} for key, one in zip(keys, judged, strict=True)]
    return {"first": "base" if other is None else other.id, "second": run.id, **found, "verdicts": verdicts}


def _judged(pairs: Sequence[Pair], model: str, requests_per_minute: int | None, say: Say) -> tuple[dict[str, Any], list[Judged]]:
    say(Stage("judge", f"{model}, {len(pairs):,} pairs, both orders"))
    judge = judge_named(model, requests_per_minute=requests_per_minute)
    judged = judge_pairs(judge, pairs, lambda done: say(Progress("judge", done, len(pairs))))
    kept = agreement_file(judge)
    return document(judge, judged, json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else None), judged


def _texts(answers: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    return {key: line["tuned"].get("text", "") for key, line in answers.items()}
