"""Pairs of answers before a judge: both orders asked, the win rate with what was left out, and how far the judge agrees with people."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunesmith.app.judges import Heard, Judge, Tick, WhyNot
from tunesmith.core.errors import FetchError, TunesmithError
from tunesmith.core.files import cache_folder, hash_of
from tunesmith.core.statistics import wilson
from tunesmith.evaluation.pairwise import Pair, Verdict, question, settled, win_rate

__all__ = ["Judged", "agreement_file", "document", "judge_pairs"]


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of one pair."""

    verdict: Verdict | None
    """None where an order was left without a verdict."""
    agrees: bool | None = None
    """Whether both orders gave the same verdict; None where they were not both heard, or nothing was asked as the answers are the same."""
    why_not: WhyNot | None = None


def judge_pairs(judge: Judge, pairs: Sequence[Pair], tick: Tick) -> list[Judged]:
    """Ask a judge both orders of every pair; answers that are the same, but for surrounding space, are a tie that nobody is asked about.

    Raises: FetchError, TunesmithError, where pairs were asked about and none could be judged.
    """
    asked = [place for place, pair in enumerate(pairs) if pair.first.strip() != pair.second.strip()]
    questions = [question(pairs[place], judge.ending, swapped=swapped) for place in asked for swapped in (False, True)]
    heard = judge.ask(questions, lambda done: tick(done // 2)) if questions else []
    found = [Judged("tie")] * len(pairs)
    for place, straight, swapped in zip(asked, heard[::2], heard[1::2], strict=True):
        found[place] = _judged(straight, swapped)
    if asked and not any(found[place].verdict for place in asked):
        raise _unheard(judge, [found[place] for place in asked])
    return found


def _judged(straight: Heard, swapped: Heard) -> Judged:
    if straight.letter is None or swapped.letter is None:
        return Judged(None, why_not=straight.why_not or swapped.why_not)
    verdict = settled(straight.letter, swapped.letter)
    return Judged(verdict, agrees=verdict != "tie" or straight.letter == swapped.letter == "tie")


def _unheard(judge: Judge, judged: Sequence[Judged]) -> TunesmithError:
    """The error of a judge that gave no verdict at all."""
    name, (most, count) = judge.facts["model"], Counter(one.why_not for one in judged).most_common(1)[0]
    if most == "unanswered":
        return FetchError(f"judge {name}: none of {len(judged)} pairs could be judged. {judge.trouble}")
    if most == "too_long":
        return TunesmithError(
            f"judge {name}: none of {len(judged)} pairs could be judged: {count} are longer than it reads. Name a model that reads more."
        )
    return TunesmithError(
        f"judge {name}: none of {len(judged)} pairs could be judged: {judge.trouble}, expected a line such as Verdict: A. Name a larger model."
    )


def document(judge: Judge, judged: Sequence[Judged], agreement: Mapping[str, Any] | None) -> dict[str, Any]:
    """What stands in a report of a judgement. `agreement`: what `tunesmith judge check` found of this judge; None where it did not."""
    verdicts = [one.verdict for one in judged if one.verdict is not None]
    orders = [one.agrees for one in judged if one.agrees is not None]
    rate = win_rate(verdicts)
    return {
        "judge": judge.facts,
        "rows": len(judged),
        "judged": len(verdicts),
        "wins": rate.wins,
        "ties": rate.ties,
        "losses": rate.losses,
        "same_answers": sum(one.verdict is not None and one.agrees is None for one in judged),
        "win_rate": asdict(rate.rate),
        "p": rate.p,
        "consistency": asdict(wilson(sum(orders), len(orders))) if orders else None,
        "excluded": dict(Counter(one.why_not for one in judged if one.why_not is not None)),
        "agreement": agreement,
    }


def agreement_file(judge: Judge) -> Path:
    """Where the agreement of this judge with people is kept, for as long as it is asked in the same words."""
    words = question(Pair("", "", ""), judge.ending)
    return cache_folder("judge-agreement") / f"{hash_of(judge.facts, words)}.json"
