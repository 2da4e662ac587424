"""What a search without training found of a model, whether rows that it did not search on say so too, and what the test rows say of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.report.numbers import count, decimals_for, fixed, listed, numbered, significant
from tunesmith.report.results import Estimate, comparisons, metric_title

__all__ = ["Direct", "direct", "subject"]

_FEW = 3
"""So many numbers are told with what they were before; of more the table has it."""
_TRIALS = {
    "scores": "all by the scores of one pass over the rows",
    "cut": "all by cutting answers that were written once",
    "asked": "each asked of the model",
}
_SAMPLERS = {"cmaes": "CMA-ES", "tpe": "TPE"}


@dataclass(frozen=True, slots=True)
class Direct:
    """The part of a report."""

    sentences: tuple[str, ...]
    rows: tuple[tuple[str, str, str, str, str], ...]
    """Of each number that was searched for: what it adjusts, its name, its range, its value before, and the one found."""
    is_kept: bool

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(self.sentences)


def direct(report: Mapping[str, Any]) -> Direct | None:
    """Of a report.json; None where nothing was searched for."""
    found = report.get("direct")
    if not found:
        return None
    rows = tuple(
        (
            str(one["adjusts"]),
            str(one["name"]),
            f"{_number(one['low'])} to {_number(one['high'])}",
            _number(one["from"]),
            _number(one["to"]),
        )
        for one in found["numbers"]
    )
    return Direct(tuple(_sentences(report, found)), rows, bool(found["kept"]))


def subject(report: Mapping[str, Any], model: str) -> str:
    """Who acted, as the summary names it."""
    found, rows = report["direct"], report["direct"]["rows"]
    aspects = listed([name.replace("_", " ") for name in dict.fromkeys(one["adjusts"] for one in found["numbers"])])
    source = ((report.get("data") or {}).get("splits") or {}).get("validation") or {}
    text = f"Adjusting {aspects} of {model} on {numbered(rows, 'validation row')}"
    return f"{text} of {source['source']}" if source.get("source") and "/" not in str(source["source"]) else text


def _number(value: float) -> str:
    return significant(value, 4)


def _sentences(report: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    title, before = metric_title(found["metric"]), found["validation"]["before"]
    yield (
        f"{_SAMPLERS[found['sampler']]} tried {count(found['trials'])} settings on {numbered(found['rows'], 'validation row')}, {_TRIALS[found['trial']]}; "
        "nothing was trained."
    )
    if not found["found"]:
        yield (
            f"None has a better {title} there than the model as it is ({significant(before, 3)}): nothing was gained, and the model stays as it was."
        )
        yield from _speed(found)
        return
    before_it = f"; before: {listed(found['before'])}" if len(found["before"]) <= _FEW else ""
    yield f"Best there: {listed(found['found'])}{before_it}."
    held = Estimate.read(found["held_out"])
    assert held is not None
    places = max(3, decimals_for(held.ends)) if held.low is not None else 3
    yield (
        f"{title[0].upper()}{title[1:]} on the rows searched on went from {fixed(before, places)} to {fixed(found['validation']['after'], places)}, "
        f"and changed by {held.change_text(places)} on rows left out of the search, {found['held_out']['folds']} parts by turns."
    )
    if not found["kept"]:
        yield (
            "Nothing was gained there that can be told from chance: what was found is over-fitted to the validation rows. It is not kept, and the model stays as it was."
        )
    else:
        yield _on_the_test(report, found)
    yield from _speed(found)


def _on_the_test(report: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """What the test rows, which decide nothing, say of what was kept."""
    own = next((one for one in comparisons(report) if one.is_own), None)
    line = own.find(found["metric"]) if own else None
    if line is None or line.difference is None:
        return "It is kept; no test row says anything of it."
    change = line.difference.change_text(line.decimals)
    if line.verdict == "better":
        return f"It is kept, and holds on the test rows, which had no say in it: {change}."
    model = (report.get("model") or {}).get("name") or "the model before"
    what = "It is worse" if line.verdict == "worse" else "The gain does not hold"
    return (
        f"{what} on the test rows, which had no say in it: {change}. What was found is over-fitted to the validation rows"
        f"{'' if line.verdict == 'worse' else ', or the gain is too small for so few test rows to show'}; {model} answers as before."
    )


def _speed(found: Mapping[str, Any]) -> Iterator[str]:
    speed = found["speed"]
    if speed["rows"]:
        before, after = (significant(speed[side], 3) for side in ("before", "after"))
        told = (
            f"{before} a second before and {after} after, asked by turns, the quickest of each"
            if found["kept"]
            else f"{before} a second, the quickest of several times"
        )
        yield f"{numbered(speed['rows'], 'test row')} {'was' if speed['rows'] == 1 else 'were'} answered at {told}."
