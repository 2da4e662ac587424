"""`tunesmith judge check`: how far a judge agrees with people, on pairs that people have judged."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tunesmith.app.interruption import Interruption
from tunesmith.app.judges import judge_named
from tunesmith.app.pairwise import Judged, agreement_file, judge_pairs
from tunesmith.core.errors import DataError
from tunesmith.core.events import Event, Progress, Stage
from tunesmith.core.files import write_json
from tunesmith.core.statistics import wilson
from tunesmith.core.types import Origin
from tunesmith.data.record_source import RecordSource
from tunesmith.evaluation.agreement import agreement, among, majority
from tunesmith.evaluation.pairwise import Pair, Verdict

__all__ = ["HumanPair", "annotators_in", "check_judge", "human_pairs"]

_VOTES: Mapping[str, Verdict] = {"0": "tie", "1": "first", "2": "second"}
_TEXTS = ("instruction", "response1", "response2")


@dataclass(frozen=True, slots=True)
class HumanPair:
    """A pair, and what each annotator said of it."""

    pair: Pair
    votes: tuple[Verdict, ...]


def check_judge(
    data: str,
    model: str,
    *,
    limit: int | None = None,
    seed: int = 0,
    requests_per_minute: int | None = None,
    progress: Callable[[Event], None] | None = None,
) -> dict[str, Any]:
    """Let a judge judge pairs that people have judged, and compare its verdicts with what most of them said.

    The result is kept in the cache: it stands beside every win rate of that judge from then on.

    Args:
        data: a file of pairs, as `human_pairs` reads it.
        model: as `judge_named` takes it.
        limit: so many rows, drawn by `seed`; None: all.
    Returns: {judge, data, rows, judged, no_majority, excluded, consistency, agreement, kappa, constant, people: {annotators, agreement, kappa},
        verdicts: {judge, people}}; `constant` is the agreement of a judge that always says the commonest verdict, `people` the means over pairs of annotators, on all
        rows that the judge judged, those without a majority too.
    Raises: DataError, UsageError, ModelError, FetchError, TunesmithError.
    """
    with Interruption() as interruption:
        say = interruption.checked(progress)
        say(Stage("read", data))
        rows = human_pairs(data)
        if limit is not None and limit < len(rows):
            rows = [rows[place] for place in sorted(random.Random(seed).sample(range(len(rows)), limit))]
        say(Stage("model", model))
        judge = judge_named(model, requests_per_minute=requests_per_minute)
        say(Stage("judge", f"{len(rows):,} pairs, both orders"))
        judged = judge_pairs(judge, [row.pair for row in rows], lambda done: say(Progress("judge", done, len(rows))))
    measured = {"data": data, "rows": len(rows), **_measured(rows, judged, data, seed)}
    write_json(agreement_file(judge), {name: measured[name] for name in ("data", "judged", "agreement", "kappa", "people")})
    return {"judge": judge.facts, **measured}


def _measured(rows: Sequence[HumanPair], judged: Sequence[Judged], data: str, seed: int) -> dict[str, Any]:
    said = [(one.verdict, majority(row.votes), row.votes) for row, one in zip(rows, judged, strict=True) if one.verdict is not None]
    both = [(verdict, most) for verdict, most, _ in said if most is not None]
    if not both:
        raise DataError(f"{data}: of no row that the judge judged more than half of the annotators say the same. Bring others.")
    verdicts, people = [verdict for verdict, _ in both], [most for _, most in both]
    found, counted = agreement(verdicts, people, seed=seed), Counter(people)
    orders = [one.agrees for one in judged if one.agrees is not None]
    # rows on which all differ count too: a ceiling of those that have a majority would be too high
    raters = list(zip(*(votes for _, _, votes in said), strict=True))
    share, kappa = among(raters) if len(raters) > 1 else (None, None)
    return {
        "judged": found.rows,
        "no_majority": len(said) - len(both),
        "excluded": dict(Counter(one.why_not for one in judged if one.why_not is not None)),
        "consistency": asdict(wilson(sum(orders), len(orders))) if orders else None,
        "agreement": asdict(found.share),
        "kappa": asdict(found.kappa),
        "constant": counted.most_common(1)[0][1] / found.rows,
        "people": {"annotators": len(raters), "agreement": share, "kappa": kappa},
        "verdicts": {"judge": dict(Counter(verdicts)), "people": dict(counted)},
    }


def human_pairs(data: str) -> list[HumanPair]:
    """The pairs of a table with the columns `instruction`, `input` (may be missing), `response1`, `response2` and `annotator1`, `annotator2`, ...

    An annotator says 1 or 2, the better response, or 0, a tie: the layout of PandaLM's test set (Wang et al., 2023, https://arxiv.org/abs/2306.05087).
    Raises: DataError, naming the row, for what is missing or says something else, and where it has other annotators than the first.
    """
    records = list(RecordSource(data).records())
    annotators = annotators_in(records[0][1])
    return [_human_pair(record, origin, annotators) for origin, record in records]


def annotators_in(columns: Iterable[str]) -> list[str]:
    """The columns of annotators, in the order of a row's votes."""
    return sorted(column for column in columns if re.fullmatch(r"annotator\d+", column))


def _human_pair(record: Mapping[str, Any], origin: Origin, annotators: Sequence[str]) -> HumanPair:
    where = f"{origin.file}:{origin.row}"
    missing = next((column for column in _TEXTS if not isinstance(record.get(column), str | int | float)), None)
    found = annotators_in(record)
    if missing or not found:
        raise DataError(
            f"{where}: {missing or 'annotator1'}: missing, or no text. A row has {', '.join(_TEXTS)} and annotator1, annotator2, ...: 1, 2, or 0 for a tie."
        )
    if found != annotators:
        raise DataError(
            f"{where}: found verdicts of {', '.join(found)}, expected those of {', '.join(annotators)}, as in the first row. Leave the row out, or an annotator."
        )
    votes = [_VOTES.get(str(record[column])) for column in annotators]
    wrong = next((column for column, vote in zip(annotators, votes, strict=True) if vote is None), None)
    if wrong:
        raise DataError(f"{where}: {wrong}: found {record[wrong]!r}, expected 1 or 2, the better response, or 0 for a tie.")
    prompt = "\n".join(str(text) for text in (record["instruction"], record.get("input")) if text)
    first, second = (str(record[column]) for column in ("response1", "response2"))  # JSON may have true for True
    return HumanPair(Pair(prompt, first, second), tuple(vote for vote in votes if vote))
