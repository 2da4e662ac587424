"""`tunesmith feedback collect`: which questions a judge is asked, in which order.

Nothing on the screen says who wrote an answer. The judge's own seed, which the store keeps, gives the order of the questions and which answer is shown first, so that a sitting goes on
where the last one ended, and what was shown first is known.
"""

import getpass
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from tunesmith.app.feedback_session import Question, Session
from tunesmith.app.predictions import answered
from tunesmith.core.errors import RunError, UsageError
from tunesmith.core.files import hash_of
from tunesmith.core.run import RunDirectory
from tunesmith.feedback import (
    NewItem,
    NewResponse,
    StoredJudge,
    StoredPrompt,
    StoredResponse,
    gold_pairs,
    verdicts_of,
)
from tunesmith.feedback.store import FeedbackStore

__all__ = ["Sitting", "begin", "login_name", "run_items"]

_OTHERS_A_GOLD = 4
"""So many questions of a run stand for one with a known answer, at least."""
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sitting:
    """What a judge is about to be asked."""

    session: Session
    judge: str
    judged_before: int
    """Of the same questions."""
    left: int
    """Of the same questions, those that the judge has not judged, whether this sitting asks them or not."""
    same_answers: int
    """Prompts of the run to which both models said the same: there is nothing to compare."""


def login_name() -> str:
    """Who is logged in. Raises: UsageError, where the machine does not say."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise UsageError("--judge: this machine does not say who is logged in. Name yourself: --judge NAME") from None


def run_items(run: RunDirectory) -> list[NewItem]:
    """What base and tuned model of a run answered to the test prompts; one response where both said the same.

    Raises: RunError, where the run has no such answers.
    """
    items, lines = list[NewItem](), answered(run)
    base, tuned = str(run.read_json(run.report_json)["model"]["name"]), f"run:{run.id}"
    for (row, prompt), line in lines.items():
        before, after = (line.get("base") or {}).get("text"), line["tuned"].get("text", "")
        if before is None:
            continue
        messages = line.get("messages") or [{"role": "user", "content": prompt}]
        same = before.strip() == after.strip()
        responses = [NewResponse(after, (base, tuned))] if same else [NewResponse(before, (base,)), NewResponse(after, (tuned,))]
        items.append(NewItem(tuple(messages), tuple(responses), origin=f"{tuned} {row}"))
    if not items:
        raise RunError(
            f"{run.path}: has no answers to test prompts that its base answered too. Name a run of a language model that both were asked in."
        )
    return items


def begin(
    store: FeedbackStore,
    items: Sequence[NewItem] | None,
    judge: str,
    *,
    grade: bool = False,
    limit: int | None = None,
    hold: Callable[[], AbstractContextManager[Any]],
) -> Sitting:
    """Get a judge's questions, with gold questions among them.

    Args:
        items: what is judged, as `run_items` gives it; it is added to the store. None: all that is in the store.
        grade: whether each answer is graded; else two are compared.
        limit: so many questions at most.
        hold: what a block is put in that must not be interrupted in the middle.
    Raises: UsageError, for a judge without a name.
    """
    with hold(), store.writing() as writer:
        who, added = writer.judge(judge), [writer.add(item) for item in items or ()]
    prompts = {prompt.id: prompt for prompt in store.prompts()}
    of_run = dict[int, list[int]]()
    for prompt, answers, _ in added:
        of_run.setdefault(prompt, []).extend(answers)
    questions = (_grades if grade else _pairs)(prompts, who, None if items is None else of_run)
    said = _said(store, who.name, grade)
    waiting = [question for question in questions if _thing(question) not in said]
    return Sitting(
        Session(store, who.name, waiting[:limit], hold),
        who.name,
        judged_before=len(questions) - len(waiting),
        left=len(waiting),
        same_answers=0 if grade else sum(len(item.responses) == 1 for item in items or ()),
    )


def _said(store: FeedbackStore, judge: str, grade: bool) -> set[tuple[int, ...]]:
    """What the judge has judged."""
    if grade:
        return {(one.response,) for one in store.grades(judge)}
    return {(one.first, one.second) for one in verdicts_of(store.choices(judge), store.rankings(judge))}


def _thing(question: Question) -> tuple[int, ...]:
    return tuple(sorted(answer.id for answer in question.answers))


def _pairs(prompts: Mapping[int, StoredPrompt], judge: StoredJudge, of_run: Mapping[int, Sequence[int]] | None) -> list[Question]:
    gold = gold_pairs(prompts.values())
    everything = [(prompt.id, pair) for prompt in prompts.values() for pair in _pairs_of(answer.id for answer in prompt.responses)]
    if of_run is None:
        asked = everything
    else:
        wanted = {(prompt, pair) for prompt, answers in of_run.items() for pair in _pairs_of(answers)}
        others = [one for one in everything if one in wanted and one[1] not in gold]
        known = sorted((one for one in everything if one[1] in gold), key=lambda one: hash_of(judge.seed, "gold", one[1]))
        asked = [*others, *known[: max(1, len(others) // _OTHERS_A_GOLD) if others else 0]]
    found = [_question(prompts[prompt], pair, judge) for prompt, pair in asked]
    return sorted(found, key=lambda question: hash_of(judge.seed, "pair", _thing(question)))


def _pairs_of(answers: Iterable[int]) -> list[Pair]:
    return list(combinations(sorted(set(answers)), 2))


def _question(prompt: StoredPrompt, pair: Pair, judge: StoredJudge) -> Question:
    by_id = {answer.id: answer for answer in prompt.responses}
    is_swapped = int(hash_of(judge.seed, "places", pair)[:8], 16) % 2 == 1
    first, second = reversed(pair) if is_swapped else pair
    return Question(prompt, (by_id[first], by_id[second]))


def _grades(prompts: Mapping[int, StoredPrompt], judge: StoredJudge, of_run: Mapping[int, Sequence[int]] | None) -> list[Question]:
    """One answer each; those to one prompt follow each other, so that it need not be read anew."""
    if of_run is None:
        of_run = {prompt.id: [answer.id for answer in prompt.responses] for prompt in prompts.values() if not prompt.gold}

    def order(prompt: StoredPrompt, answer: StoredResponse) -> tuple[str, str]:
        return hash_of(judge.seed, "prompt", prompt.id), hash_of(judge.seed, "answer", answer.id)

    found = [(prompts[prompt], answer) for prompt, wanted in of_run.items() for answer in prompts[prompt].responses if answer.id in wanted]
    return [Question(prompt, (answer,)) for prompt, answer in sorted(found, key=lambda one: order(*one))]
