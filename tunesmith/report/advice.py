"""What `tunesmith advise` says, for people: a row an arm, all its numbers predictions, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.report.numbers import MISSING, count, duration, size

__all__ = ["AdvisedRow", "advice_notes", "read_advice"]

_WANTED = {"knowledge": "new knowledge", "behaviour": "new behaviour", "changing-facts": "facts that change"}


@dataclass(frozen=True, slots=True)
class AdvisedRow:
    """An arm, for a table; times and sizes are predictions."""

    name: str
    advice: str
    """compare, worth trying, or not first."""
    fits: str
    memory: str
    training: str
    total: str
    disk: str
    reasons: tuple[str, ...]
    """Each with its source."""


def read_advice(document: Mapping[str, Any]) -> list[AdvisedRow]:
    """The arms of a document of schema `tunesmith/advise/1`: those to compare first, then by their predicted time."""
    chosen = document["recommended"]
    rows = [_row(name, arm, is_chosen=name in chosen) for name, arm in document["arms"].items()]
    seconds = {name: arm["total_seconds"] or 0.0 for name, arm in document["arms"].items()}
    return sorted(rows, key=lambda row: (row.name not in chosen, seconds[row.name]))


def _row(name: str, arm: Mapping[str, Any], *, is_chosen: bool) -> AdvisedRow:
    fits = {True: "yes", False: "no", None: "not known"}[arm["fits"]]
    return AdvisedRow(
        name,
        "compare" if is_chosen else "worth trying" if arm["worth_trying"] else "not first",
        fits,
        _shown(arm["peak_memory_bytes"], size),
        _shown(arm["train_seconds"], duration),
        _shown(arm["total_seconds"], duration),
        _shown(arm["disk_bytes"], size),
        tuple(f"{_sign(reason['weight'])} {reason['text']} [{reason['source']}, {reason['address']}]" for reason in arm["reasons"]),
    )


def _shown(value: float | None, said: Any) -> str:
    return MISSING if not value else str(said(value))


def _sign(weight: int) -> str:
    return {1: "+", -1: "\u2212", 0: "·"}[weight]


def advice_notes(document: Mapping[str, Any]) -> Iterator[str]:
    """What the table rests on, a sentence each."""
    data, machine = document["data"], document["machine"]
    if document["assumed"]:
        yield f"Assumed that {_WANTED[document['want']]} is wanted: say otherwise with --want knowledge, behaviour or changing-facts."
    else:
        yield f"Wanted: {_WANTED[document['want']]}."
    yield f"{document['task']['kind'].replace('_', ' ')} with {document['model']}, {count(data['train_rows'])} training rows and {count(data['test_rows'])} test rows of {data['source']}."
    if document["probe"] is None:
        yield "No probe of this machine is known for this model, so that neither time nor memory is predicted: run it without --no-probe."
    else:
        yield "Memory, times and disk are predictions, from a probe of this model on this machine. The base is asked once, by the arm that runs first."
    if not machine["available_memory_bytes"]:
        yield "This system does not say how much memory it has: whether an arm fits is not known."
    shown = [
        name
        for name, arm in document["arms"].items()
        if arm["worth_trying"] and arm["fits"] is not False and name not in document["recommended"]
    ]
    if shown:
        yield f"Left out of the comparison for want of time: {', '.join(shown)}."
