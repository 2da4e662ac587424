"""What a judge said of the answers of two models, for people: lines of a table and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.report.numbers import MISSING, count, fixed, p_value
from tunesmith.report.results import Estimate, file_name

__all__ = ["check_facts", "judgement_facts", "judgement_sentences"]

_WHY_NOT = {
    "unreadable": "without a verdict that could be read",
    "unanswered": "without an answer",
    "too_long": "longer than the judge reads",
    "no_majority": "on which no verdict has most annotators",
}
_DECIMALS = 2


def judgement_facts(judged: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of a judgement, as `judge` of report.json and `tunesmith judge compare --json` have it: the judge's agreement with people always
    stands beside the win rate.
    """
    if judged.get("error"):
        return [("judge", _name(judged)), ("pairs", count(judged["rows"])), ("failed", str(judged["error"]))]
    counts = f"{count(judged['wins'])} wins, {count(judged['ties'])} ties, {count(judged['losses'])} losses"
    same = f" ({count(judged['same_answers'])} of the ties are the same answer)" if judged["same_answers"] else ""
    facts = [
        ("judge", _name(judged)),
        ("win rate, ties half", f"{_estimate(judged['win_rate'])}, {p_value(judged['p'])}"),
        ("pairs", counts + same),
        ("same verdict in both orders", _estimate(judged["consistency"]) if judged.get("consistency") else "nothing was asked"),
        ("agreement of the judge with people", _agreement(judged)),
    ]
    return [*facts, *_left_out(judged.get("excluded") or {})]


def judgement_sentences(judged: Mapping[str, Any] | None) -> list[str]:
    """How the tuned model fared before the judge; empty where there was none."""
    if not judged:
        return []
    if judged.get("error"):
        return [f"The judge {_name(judged)} gave no verdict."]
    rate = judged["win_rate"]
    clear = (
        "prefers the tuned answers"
        if rate["low"] > 0.5
        else "prefers the base's answers"
        if rate["high"] < 0.5
        else "has no clear preference"
    )
    agreement = judged.get("agreement")
    known = (
        f"it agrees with people on {fixed(agreement['agreement']['value'], _DECIMALS)} of pairs"
        if agreement
        else "its agreement with people was not measured"
    )
    return [f"The judge {_name(judged)} {clear}: win rate {_estimate(rate)} over {count(judged['judged'])} pairs; {known}."]


def _left_out(rows: Mapping[str, int]) -> list[tuple[str, str]]:
    """The line of the table that says how many pairs were not judged, and why; none where all were."""
    return [("left out", ", ".join(f"{count(number)} {_WHY_NOT[why]}" for why, number in rows.items()))] if rows else []


def _name(judged: Mapping[str, Any]) -> str:
    return str(judged["judge"]["model"])


def _estimate(given: Mapping[str, Any]) -> str:
    found = Estimate.read(given)
    return found.text(_DECIMALS) if found else MISSING


def _agreement(judged: Mapping[str, Any]) -> str:
    found = judged.get("agreement")
    if not found:
        return "not measured: tunesmith judge check FILE --model MODEL"
    people = found["people"]
    among = f"; people with each other {fixed(people['agreement'], _DECIMALS)}" if people.get("agreement") is not None else ""
    rows = f"{count(found['judged'])} pairs of {file_name(found['data'])}"
    return f"{_estimate(found['agreement'])}, kappa {_estimate(found['kappa'])}, {rows}{among}"


def check_facts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of what `tunesmith judge check` found."""
    people, verdicts = found["people"], found["verdicts"]
    said = [
        ", ".join(f"{name} {count(verdicts[side].get(name, 0))}" for name in ("first", "second", "tie")) for side in ("judge", "people")
    ]
    facts = [
        ("judge", _name(found)),
        ("pairs", f"{count(found['judged'])} of {count(found['rows'])} of {file_name(found['data'])}"),
        ("agreement with most people", _estimate(found["agreement"])),
        ("Cohen's kappa", _estimate(found["kappa"])),
        ("always saying the commonest verdict", f"agrees on {fixed(found['constant'], _DECIMALS)}"),
        ("same verdict in both orders", _estimate(found["consistency"]) if found["consistency"] else "nothing was asked"),
        ("the judge said", said[0]),
        ("most people said", said[1]),
    ]
    if people["agreement"] is not None:
        among = f"agree on {fixed(people['agreement'], _DECIMALS)}, kappa {fixed(people['kappa'], _DECIMALS)}"
        facts.append((f"two of the {count(people['annotators'])} annotators", among))
    return [*facts, *_left_out({**found["excluded"], **({"no_majority": found["no_majority"]} if found["no_majority"] else {})})]
