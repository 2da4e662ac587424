"""What is asked of a run with a head and what it says, as a Python caller and the columns of a predicted file have it."""

from collections.abc import Sequence
from typing import Any

from tunesmith.app.learned import writes
from tunesmith.core.types import Example, Graded, Labelled, Message, MultiLabelled, Origin, Output, Ranked, Rated, SpanQuestion, Tagged

__all__ = ["added_columns", "added_values", "asked", "said"]

_PROBABILITY_DIGITS = 6


def asked(kind: str, given: Any, origin: Origin) -> Example:
    """The example that a text, a pair of texts, a list of words, or (question, context) is for a run of this kind."""
    if kind == "token_classification":
        return Tagged(tuple(given), None, origin)
    text, pair = (given, None) if isinstance(given, str) else given
    if kind == "span_qa":
        return SpanQuestion(text, pair or "", None, origin)
    if kind == "regression":
        return Rated(text, None, origin, pair)
    if kind == "multi_label":
        return MultiLabelled(text, None, origin, pair)
    if kind == "reward_model":
        return Ranked((Message("user", text),), (pair or "",), (1,), origin)
    if kind == "grading":
        return Graded((Message("user", text),), (Message("assistant", pair or ""),), (), origin)
    return Labelled(text, None, origin, pair)


def said(kind: str, output: Output, labels: Sequence[str]) -> dict[str, Any]:
    """What was said, by names. `labels`: what its probabilities, or its grades, are of; none where it has none."""
    if kind == "regression":
        return {"value": output.number}
    if kind == "span_qa":
        return {"answer": output.span}
    if kind == "reward_model":
        return {"reward": (output.scores or (None,))[0]}
    if kind == "grading":
        return {"grades": {name: (output.grades or {}).get(name) for name in labels}}
    if kind == "token_classification":
        return {"tags": list(output.tags or ())}
    probabilities = {"probabilities": dict(zip(labels, output.probabilities, strict=True))} if labels else {}
    if kind == "multi_label":
        return {"labels": list(output.labels or ()), **probabilities}
    return {"label": output.label, **probabilities}


def added_columns(kind: str, labels: Sequence[str]) -> list[str]:
    """Usual names of the columns that a predicted file gets beside its own, in the order of `added_values`."""
    probabilities = [f"probability_{label}" for label in labels]
    return {
        "classification": ["predicted_label", *probabilities],
        "multi_label": ["predicted_labels", *probabilities],
        "regression": ["predicted_value"],
        "token_classification": ["predicted_tags"],
        "span_qa": ["predicted_answer"],
        "reward_model": ["predicted_reward"],
        "grading": [f"predicted_{name}" for name in labels],
    }.get(kind, ["completion"])


def added_values(kind: str, output: Output, labels: Sequence[str]) -> list[Any]:
    """In the order of `added_columns`."""
    if writes(kind):
        return [output.text]
    if kind == "grading":
        return list(said(kind, output, labels)["grades"].values())
    first, *more = said(kind, output, labels).values()
    return [first, *(round(p, _PROBABILITY_DIGITS) for probabilities in more for p in probabilities.values())]
