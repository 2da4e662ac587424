"""What stood in a model's context, where nothing was trained: the ways that were tried on validation rows, and what the chosen one costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.report.numbers import MISSING, count, decimals_for, percent
from tunesmith.report.results import Estimate, metric_title

__all__ = ["Context", "context", "tuned_side"]

_CHOICES = {
    "random": "drawn at random",
    "balanced": "drawn at random, the labels by turns",
    "nearest": "those that mean most alike for each question",
    "diverse": "each as unlike the others as can be",
}


@dataclass(frozen=True, slots=True)
class Context:
    """The part of a report."""

    sentences: tuple[str, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """A way that was tried each; empty where there was one alone."""
    chosen: int | None
    """Its place in `rows`."""

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(self.sentences)


def tuned_side(report: Mapping[str, Any]) -> str:
    """What the side that is held against the base is called."""
    return "in context" if report.get("context") else "tuned"


def context(report: Mapping[str, Any]) -> Context | None:
    """Of a report.json; None where something was trained."""
    found = report.get("context")
    if not found:
        return None
    tried, chosen = found["tried"], found["chosen"]
    decimals = decimals_for(*(value.ends for one in tried if (value := Estimate.read(one))))
    words = any(one["template"] is not None for one in tried)
    orders = any(one["order"] for one in tried)
    head = ["examples", *(["order"] if orders else []), *(["wording"] if words else []), metric_title(found["metric"]), "prompt tokens"]
    rows, at = list[tuple[str, ...]](), None
    for place, one in enumerate(tried):
        if all(one[name] == chosen[name] for name in chosen):
            at = place
        value = Estimate.read(one)
        cells = [
            count(one["num_shots"]),
            *([count(one["order"] + 1)] if orders else []),
            *([one["template"] or "the recipe’s"] if words else []),
        ]
        rows.append((*cells, value.text(decimals) if value else MISSING, count(round(one["tokens"]))))
    return Context(tuple(_sentences(report, found)), tuple(head), tuple(rows), at)


def _sentences(report: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    chosen, said = found["chosen"], list[str]()
    num = chosen["num_shots"]
    by = str(found.get("choose_by"))
    is_labelled = (report.get("task") or {}).get("kind") == "classification"
    how = _CHOICES.get("random" if by == "balanced" and not is_labelled else by, "")
    said.append(
        f"{count(num)} {_examples(num)} of the training rows {'stands' if num == 1 else 'stand'} before each question{', ' + how if how else ''}."
        if num
        else "No example stands before a question."
    )
    if found["tried"]:
        said.append(f"Of {count(len(found['tried']))} ways to ask it was the best on {count(found['validation_rows'])} validation rows.")
    if found["calibrate"]:
        said.append("Probabilities of labels are divided by those after texts without content.")
    tokens, plain = found["tokens"], found["plain_tokens"]
    if tokens:
        share = percent(tokens["mean"] / found["window_tokens"])
        said.append(
            f"A test row’s prompt has {count(round(tokens['mean']))} tokens on average ({count(round(plain['mean']))} for the base), "
            f"{share} of the {count(found['window_tokens'])} that the model reads; the longest has {count(tokens['max'])}."
        )
    if found["num_left_out"]:
        left = found["num_left_out"]
        said.append(
            f"For want of room {count(left)} {_examples(left)} were left out, before {count(found['num_short'])} test rows.".replace(
                "1 example were", "1 example was"
            )
        )
    return said


def _examples(number: int) -> str:
    return "example" if number == 1 else "examples"
