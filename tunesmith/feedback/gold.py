"""Gold questions: pairs of which the better answer is known, asked among the others. They say how carefully a judge judges."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from tunesmith.core.statistics import Interval, wilson
from tunesmith.feedback.records import PairVerdict, StoredPrompt, Verdict

__all__ = ["GoldScore", "gold_pairs", "gold_scores"]


@dataclass(frozen=True, slots=True)
class GoldScore:
    """How many of the gold questions that a judge answered are right; the share has Wilson's 95 % interval."""

    judge: str
    judged: int
    right: int
    share: Interval


def gold_pairs(prompts: Iterable[StoredPrompt]) -> dict[tuple[int, int], Verdict]:
    """(first, second) response -> what is right, of every pair whose order is known."""
    found: dict[tuple[int, int], Verdict] = {}
    for prompt in prompts:
        for first, second in combinations(sorted(prompt.gold), 2):
            one, other = prompt.gold[first], prompt.gold[second]
            found[first, second] = "tie" if one == other else "first" if one < other else "second"
    return found


def gold_scores(verdicts: Sequence[PairVerdict], gold: Mapping[tuple[int, int], Verdict], judges: Iterable[str]) -> list[GoldScore]:
    """Of each of the judges, in their order; one who answered no gold question has a share of NaN."""
    found = []
    for judge in judges:
        said = [one.verdict == gold[one.first, one.second] for one in verdicts if one.judge == judge and (one.first, one.second) in gold]
        found.append(GoldScore(judge, len(said), sum(said), wilson(sum(said), len(said))))
    return found
