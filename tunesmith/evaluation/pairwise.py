"""Pairwise judgement: which of two answers to a request is better, asked in both orders, as judges favour a place.

A verdict counts where both orders give it; where they contradict each other, the pair is a tie.
Source: Zheng et al. (2023), "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", https://arxiv.org/abs/2306.05685, sections 3.1 and 3.4.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tunesmith.core.statistics import Interval, mcnemar_exact, tango

__all__ = ["BEST", "EXPLAINED", "Letter", "Pair", "Verdict", "WinRate", "question", "read_letter", "settled", "win_rate"]

Letter = Literal["A", "B", "tie"]
"""What a judge says to one order."""
Verdict = Literal["first", "second", "tie"]

_ASKED = """Two assistants answered the same request. Decide which answer serves the person who asked better: it does what was asked, is correct, and is \
complete, clear and no longer than needed. Which answer stands first means nothing.

[Request]
{prompt}
[End of request]

[Answer A]
{a}
[End of answer A]

[Answer B]
{b}
[End of answer B]

"""
EXPLAINED = (
    "Give your reason in one or two sentences. Then write one of these on a line of its own: Verdict: A, Verdict: B, or Verdict: tie."
)
"""What ends the question to a judge that writes."""
BEST = "Which answer is better?"
"""What ends the question to a judge of which the likelihood of A and of B is read."""

_VERDICT = re.compile(r"verdict[*_\s]*[:=][\s*_'\"\[(`]*(?:answer\s+)?(a tie|tie|a|b)\b(?![ \t]+\w)", re.IGNORECASE)
_ALONE = re.compile(r"\W*(?:answer\W+)?(tie|a|b)\W*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pair:
    """A request and two answers to it."""

    prompt: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class WinRate:
    """How often the second answer of a pair is the better one, ties counting half."""

    wins: int
    ties: int
    losses: int
    rate: Interval
    p: float
    """Two-sided, of "each wins as often as the other"."""


def question(pair: Pair, ending: str, *, swapped: bool = False) -> str:
    """What a judge is asked. `ending`: `EXPLAINED` or `BEST`; `swapped`: whether the second answer stands first, as A."""
    a, b = (pair.second, pair.first) if swapped else (pair.first, pair.second)
    return _ASKED.format(prompt=pair.prompt, a=a, b=b) + ending


def read_letter(text: str) -> Letter | None:
    """The last verdict that a judge wrote, or the letter that is all of its answer; None where there is neither."""
    written = _VERDICT.findall(text)
    alone = _ALONE.fullmatch(text)
    found = (written[-1] if written else alone[1] if alone else "").upper()
    return "A" if found == "A" else "B" if found == "B" else "tie" if found.endswith("TIE") else None


def settled(letter: Letter, swapped: Letter) -> Verdict:
    """The verdict of both orders; a tie where either says so, or where they contradict each other."""
    if (letter, swapped) == ("A", "B"):
        return "first"
    return "second" if (letter, swapped) == ("B", "A") else "tie"


def win_rate(verdicts: Sequence[Verdict]) -> WinRate:
    """The win rate of the second answers with its 95 % interval.

    Wins less losses is a difference of paired proportions, so that the rate, half of it above 1/2, has Tango's interval, which holds in small samples and
    where all win; p is McNemar's exact test of wins against losses.
    Raises: ValueError, where there are no verdicts.
    """
    if not verdicts:
        raise ValueError("no verdicts")
    wins, losses = verdicts.count("second"), verdicts.count("first")
    gap = tango(losses, wins, len(verdicts))
    rate = Interval(*(0.5 + bound / 2 for bound in (gap.value, gap.low, gap.high)))
    return WinRate(wins, len(verdicts) - wins - losses, losses, rate, mcnemar_exact(losses, wins))
