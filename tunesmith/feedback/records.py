"""What a store of judgements holds: prompts with candidate responses, and what judges said of them.

An answer is its text: where two models wrote the same to a prompt, there is one response that both wrote. A judgement names responses by their number in the
store, never by the place at which they were shown.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

from tunesmith.core.errors import DataError

__all__ = [
    "QUESTIONS",
    "GivenGrades",
    "Grades",
    "NewItem",
    "NewResponse",
    "PairChoice",
    "PairVerdict",
    "Ranking",
    "StoredJudge",
    "StoredPrompt",
    "StoredResponse",
    "Verdict",
    "check_ranks",
    "verdicts_of",
]

Verdict = Literal["first", "second", "tie"]
"""Which of two responses is better; the first is the one with the smaller number."""

QUESTIONS = ("relevance", "coherence", "appropriateness")
"""What an answer is graded on."""


@dataclass(frozen=True, slots=True)
class Grades:
    """How good an answer is, 1 (bad) to 5 (good). Raises: DataError, where a grade is no whole number of these."""

    relevance: int
    coherence: int
    appropriateness: int

    def __post_init__(self) -> None:
        for question in QUESTIONS:
            found = getattr(self, question)
            if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= 5:
                raise DataError(f"{question}: found {found!r}, expected a whole number from 1 to 5.")


@dataclass(frozen=True, slots=True)
class NewResponse:
    """An answer to be added, and who wrote it."""

    text: str
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewItem:
    """A prompt to be added, with answers to it. Raises: DataError, where two of the answers are the same."""

    messages: tuple[Mapping[str, Any], ...]
    """The conversation before the answer, in OpenAI's spelling."""
    responses: tuple[NewResponse, ...]
    gold: Mapping[int, int] = field(default_factory=dict)
    """Where the right order is known: place in `responses` -> rank, 1 the best, equal ones a tie."""
    origin: str = ""

    def __post_init__(self) -> None:
        for (one, left), (other, right) in combinations(enumerate(self.responses, start=1), 2):
            if left.text == right.text:
                raise DataError(f"responses {one} and {other} are the same text, so nobody can tell them apart. Leave one out.")
        if self.gold:
            check_ranks(self.gold, range(len(self.responses)))


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """An answer, and the models and runs that gave it."""

    id: int
    text: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredPrompt:
    """A prompt with its answers."""

    id: int
    messages: tuple[Mapping[str, Any], ...]
    responses: tuple[StoredResponse, ...]
    gold: Mapping[int, int]
    """Response -> rank, where the right order is known; else empty."""


@dataclass(frozen=True, slots=True)
class StoredJudge:
    """A person who judges. The seed gives the order of questions, and which of two answers is shown first."""

    id: int
    name: str
    seed: int


@dataclass(frozen=True, slots=True)
class PairChoice:
    """What a judge said of two responses, now; `first` < `second`."""

    judge: str
    first: int
    second: int
    verdict: Verdict
    shown_first: int | None
    """The response that stood first before the judge; None where nobody showed them so."""
    comment: str
    time: str
    """ISO 8601, UTC."""


@dataclass(frozen=True, slots=True)
class GivenGrades:
    """What a judge said of one response, now."""

    judge: str
    response: int
    grades: Grades
    comment: str
    time: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """In which order a judge put responses to a prompt, now."""

    judge: str
    prompt: int
    ranks: Mapping[int, int]
    """Response -> rank, 1 the best, equal ones a tie."""
    comment: str
    time: str


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """What a judge says of two responses, wherever it was said; `first` < `second`."""

    judge: str
    first: int
    second: int
    verdict: Verdict
    time: str


def check_ranks(ranks: Mapping[Any, Any], known: Collection[Hashable]) -> None:
    """Raises: DataError, where ranks are not 1, 2, ... without a gap, name less than two responses, or one that is not among the `known`."""
    unknown = [name for name in ranks if name not in known]
    if unknown:
        raise DataError(f"ranks: no response {unknown[0]!r}. Known: {', '.join(map(str, known)) or 'none'}.")
    if len(ranks) < 2:
        raise DataError(f"ranks: found {len(ranks)} of them, expected those of at least two responses.")
    wrong = [rank for rank in ranks.values() if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1]
    if wrong:
        raise DataError(f"ranks: found {wrong[0]!r}, expected whole numbers from 1, the best.")
    found = sorted(set(ranks.values()))
    if found != list(range(1, len(found) + 1)):
        said = ", ".join(map(str, sorted(ranks.values())))
        raise DataError(f"ranks: found {said}, expected none to be left out: equal ranks are a tie, and the next is one more (1, 1, 2).")


def verdicts_of(choices: Iterable[PairChoice], rankings: Sequence[Ranking]) -> list[PairVerdict]:
    """Every pair that a judge compared, by itself or within a ranking; the latest counts, where it is both."""
    found: dict[tuple[str, int, int], PairVerdict] = {}
    said = [PairVerdict(one.judge, one.first, one.second, one.verdict, one.time) for one in choices]
    for ranking in rankings:
        for first, second in combinations(sorted(ranking.ranks), 2):
            verdict = _by_rank(ranking.ranks[first], ranking.ranks[second])
            said.append(PairVerdict(ranking.judge, first, second, verdict, ranking.time))
    for one in said:
        key = (one.judge, one.first, one.second)
        if key not in found or found[key].time <= one.time:
            found[key] = one
    return list(found.values())


def _by_rank(first: int, second: int) -> Verdict:
    return "tie" if first == second else "first" if first < second else "second"
