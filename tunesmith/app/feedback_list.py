"""`tunesmith feedback list`: what is in a store, who judged, and whose answers were preferred."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from typing import Any

from tunesmith.core.files import finite
from tunesmith.evaluation.pairwise import Verdict as Won
from tunesmith.evaluation.pairwise import win_rate
from tunesmith.feedback import (
    GivenGrades,
    GoldScore,
    PairChoice,
    PairVerdict,
    Ranking,
    StoredPrompt,
    Tally,
    gold_pairs,
    gold_scores,
    open_store,
    verdicts_of,
)

__all__ = ["gold_document", "list_store"]

_Said = PairChoice | Ranking | GivenGrades


def list_store(address: str) -> dict[str, Any]:
    """What a store holds.

    Returns: {store, prompts, responses, gold, revisions, judges, models, comments}. Of each judge how many pairs, rankings and answers it judged, and its gold
        questions; `models`: whose answers more than half of the judges prefer, over the pairs that are decided; `revisions`: all judgements ever made, those
        replaced and withdrawn too.
    Raises: UsageError, TunesmithError, as `open_store`.
    """
    store = open_store(address)
    prompts, judges = store.prompts(), store.judges()
    choices, rankings, grades = store.choices(), store.rankings(), store.grades()
    verdicts, gold = verdicts_of(choices, rankings), gold_pairs(prompts)
    counted = {name: Counter(one.judge for one in made) for name, made in (("pairs", choices), ("rankings", rankings), ("grades", grades))}
    scores = {score.judge: score for score in gold_scores(verdicts, gold, [judge.name for judge in judges])}
    said: list[_Said] = [*choices, *rankings, *grades]
    found: dict[str, Any] = {
        "store": store.name,
        "prompts": len(prompts),
        "responses": sum(len(prompt.responses) for prompt in prompts),
        "gold": sum(bool(prompt.gold) for prompt in prompts),
        "revisions": store.num_revisions(),
        "judges": [
            {"judge": one.name, **{name: counts[one.name] for name, counts in counted.items()}, "gold": gold_document(scores[one.name])}
            for one in judges
        ],
        "models": _models(prompts, [one for one in verdicts if (one.first, one.second) not in gold]),
        "comments": [_comment(one, prompts) for one in said if one.comment],
    }
    return dict(finite(found))


def gold_document(score: GoldScore) -> dict[str, Any]:
    """How a judge did on gold questions."""
    return {"judged": score.judged, "right": score.right, "share": asdict(score.share)}


def _comment(one: _Said, prompts: Sequence[StoredPrompt]) -> dict[str, Any]:
    """What a judge wrote beside a judgement, and what was judged."""
    match one:
        case PairChoice():
            answers = {one.first, one.second}
        case Ranking():
            answers = set(one.ranks)
        case GivenGrades():
            answers = {one.response}
    prompt = next(prompt for prompt in prompts if any(answer.id in answers for answer in prompt.responses))
    texts = [answer.text for answer in prompt.responses if answer.id in answers]
    return {"judge": one.judge, "prompt": list(prompt.messages), "responses": texts, "comment": one.comment, "time": one.time}


def _models(prompts: Sequence[StoredPrompt], verdicts: Sequence[PairVerdict]) -> list[dict[str, Any]]:
    """Win rates of each two models over the pairs of their answers on which most judges agree; of a run and another, the run's."""
    writers = {answer.id: answer.models for prompt in prompts for answer in prompt.responses}
    votes = dict[tuple[int, int], Counter[str]]()
    for one in verdicts:
        votes.setdefault((one.first, one.second), Counter())[one.verdict] += 1
    found, undecided = dict[tuple[str, str], list[Won]](), Counter[tuple[str, str]]()
    for (first, second), counts in votes.items():
        verdict = Tally(counts["first"], counts["second"], counts["tie"]).verdict
        for mine, theirs in product(writers[first], writers[second]):
            if mine == theirs:
                continue
            names, said = _in_order(mine, theirs, verdict)
            undecided[names] += said is None
            found.setdefault(names, []).extend([said] if said else [])
    return [_won(names, said, undecided) for names, said in sorted(found.items())]


def _in_order(one: str, other: str, verdict: Won | None) -> tuple[tuple[str, str], Won | None]:
    """The two models, a run's last, and the verdict in that order."""
    if sorted((one, other), key=lambda name: (name.startswith("run:"), name)) == [one, other]:
        return (one, other), verdict
    turned: Mapping[Won, Won] = {"first": "second", "second": "first", "tie": "tie"}
    return (other, one), None if verdict is None else turned[verdict]


def _won(names: tuple[str, str], said: Sequence[Won], undecided: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    rate = win_rate(said) if said else None
    return {
        "model": names[1],
        "against": names[0],
        "pairs": len(said),
        "wins": rate.wins if rate else 0,
        "ties": rate.ties if rate else 0,
        "losses": rate.losses if rate else 0,
        "undecided": undecided[names],
        "win_rate": asdict(rate.rate) if rate else None,
        "p": rate.p if rate else None,
    }
