"""What stood in a model's context: the ways that were tried on validation rows, and what the chosen one costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.report.numbers import MISSING, count, decimals_for, numbered, percent
from tunesmith.report.results import Estimate, file_name, metric_title

__all__ = ["Context", "adapted_by", "context", "shown", "tuned_side"]

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


def adapted_by(report: Mapping[str, Any]) -> str | None:
    """The method, the strategy of the context, or both: `lora`, `retrieval`, `lora+retrieval`."""
    method, strategy = (report.get("task") or {}).get("method"), (report.get("context") or {}).get("strategy")
    return "+".join(name for name in (method if _trains(report) else None, strategy) if name) or None


def tuned_side(report: Mapping[str, Any]) -> str:
    """What the side that is held against the base is called."""
    return "tuned" if _trains(report) else "in context"


def _trains(report: Mapping[str, Any]) -> bool:
    return not report.get("context") or (report.get("task") or {}).get("method") != "none"


def shown(chosen: Mapping[str, Any]) -> str:
    """What stands with a question, as `3 passages above`; empty where nothing does. `chosen`: the way to ask."""
    passages, shots = chosen["num_passages"], chosen["num_shots"]
    if passages:
        return f"{numbered(passages, 'passage')} above"
    return f"{numbered(shots, 'example')} before" if shots else ""


def context(report: Mapping[str, Any]) -> Context | None:
    """Of a report.json; None where the model was asked the question alone."""
    found = report.get("context")
    if not found:
        return None
    tried, chosen = found["tried"], found["chosen"]
    decimals = decimals_for(*(value.ends for one in tried if (value := Estimate.read(one))))
    words, orders, passages = (any(one[name] for one in tried) for name in ("template", "order", "num_passages"))
    head = ["passages" if passages else "examples", *(["order"] if orders else []), *(["wording"] if words else [])]
    rows, at = list[tuple[str, ...]](), None
    for place, one in enumerate(tried):
        if all(one[name] == chosen[name] for name in chosen):
            at = place
        value, num = Estimate.read(one), one["num_passages" if passages else "num_shots"]
        cells = [count(num), *([count(one["order"] + 1)] if orders else []), *([one["template"] or "the recipe’s"] if words else [])]
        rows.append((*cells, value.text(decimals) if value else MISSING, count(round(one["tokens"]))))
    return Context(tuple(_sentences(report, found)), (*head, metric_title(found["metric"]), "prompt tokens"), tuple(rows), at)


def _sentences(report: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    yield _shown(report, found)
    if found["tried"]:
        when = ", asked before the training" if _trains(report) else ""
        yield f"Of {count(len(found['tried']))} ways to ask it was the best on {count(found['validation_rows'])} validation rows{when}."
    if _trains(report):
        yield "The training rows were read so, too; the base was asked without."
    if found["calibrate"]:
        yield "Probabilities of labels are divided by those after texts without content."
    tokens, plain, window = found["tokens"], found["plain_tokens"], found["window_tokens"]
    if tokens:
        share = f"{percent(tokens['mean'] / window)} of the {count(window)} that the model reads; " if window else ""
        yield (
            f"A test row’s prompt has {count(round(tokens['mean']))} tokens on average ({count(round(plain['mean']))} for the base), {share}"
            f"the longest has {count(tokens['max'])}."
        )
    if found["num_cut"]:
        yield f"The ends of {numbered(found['num_cut'], 'test row')} had no room beside what stands before them, and were not measured: they are of the base."
    left, rows = found["num_left_out"], found["num_short"]
    if left:
        what = numbered(left, "passage" if found["chosen"]["num_passages"] else "example")
        yield f"For want of room {what} {'was' if left == 1 else 'were'} left out, of {numbered(rows, 'test row')}."


def _shown(report: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """What stands with a question."""
    num, passages = found["chosen"]["num_shots"], found["chosen"]["num_passages"]
    verb = "stands" if 1 in (num, passages) else "stand"
    if passages:
        return f"{numbered(passages, 'passage')} of {file_name(str(found['index']))} {verb} above each question, found by meaning and by words."
    if not num:
        return "Nothing stands before a question but its wording."
    by, kind = str(found.get("choose_by")), (report.get("task") or {}).get("kind")
    how = _CHOICES.get("random" if by == "balanced" and kind != "classification" else by, "")
    return f"{numbered(num, 'example')} of the training rows {verb} before each question{', ' + how if how else ''}."
