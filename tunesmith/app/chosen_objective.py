"""The objective of a recipe, or the one that fits the data, and what a model learns to do by it."""

from collections.abc import Sequence

from tunesmith.core import registry
from tunesmith.core.errors import ObjectiveError
from tunesmith.core.types import (
    Example,
    Graded,
    Labelled,
    MultiLabelled,
    Objective,
    Preference,
    Ranked,
    Rated,
    SpanQuestion,
    Tagged,
    Text,
    Tokens,
    Unpaired,
)
from tunesmith.data import StoredExamples
from tunesmith.recipe import PluginSpec

__all__ = ["KINDS", "choose_objective", "kind_of"]

KINDS = {
    "masked": "masked_language_modelling",
    "label": "classification",
    "labels": "multi_label",
    "number": "regression",
    "tags": "token_classification",
    "span": "span_qa",
    "reward": "reward_model",
    "grades": "grading",
    "scores": "preference",
    "liked": "preference",
    "rewarded": "policy",
    "text": "generation",
    "nll": "language_modelling",
}
"""What an objective fills -> the kind of task that it is, the first that fits."""

_OBJECTIVES: dict[type, str] = {
    Labelled: "classify",
    MultiLabelled: "multi_label",
    Rated: "regress",
    Tagged: "token_classify",
    SpanQuestion: "span_qa",
    Text: "causal_lm",
    Preference: "dpo",
    Unpaired: "kto",
    Ranked: "reward",
    Graded: "grade",
}
"""Kind of example -> the objective that learns from it; sft from the others."""


def kind_of(objective: Objective) -> str:
    """What a model learns by an objective: one of the values of `KINDS`."""
    return next(kind for filled, kind in KINDS.items() if filled in objective.fills)


def choose_objective(spec: PluginSpec | None, examples: Sequence[Example], labels: Sequence[str] | None = None) -> tuple[str, Objective]:
    """The recipe's objective, or the one that fits the data: classify for labels, causal_lm for raw text and for tokens that are all learned, sft for the rest.

    Args:
        labels: of the classes, where the examples are labelled; empty where the sets of a mixture have different ones.

    Raises: ObjectiveError, where the objective does not learn from such examples.
    """
    # a mixture holds several kinds; examples that stay on the disk are of one
    kinds = [type(examples[0])] if isinstance(examples, StoredExamples) else list(dict.fromkeys(type(example) for example in examples))
    name = spec.name if spec else _usual_objective(kinds, examples[0], labels)
    objective: Objective = registry.create("objective", name, **(spec.options if spec else {}))
    kind = next((found for found in kinds if found not in objective.accepts), None)
    if kind is not None:
        wanted = ", ".join(accepted.__name__ for accepted in objective.accepts)
        fitting = [n for n in registry.names("objective") if kind in registry.create("objective", n).accepts]
        cure = f"Objectives for it: {', '.join(fitting)}." if fitting else "No objective learns from those yet."
        raise ObjectiveError(f"objective: {name} learns from {wanted} examples; the data gives {kind.__name__}. {cure}")
    if "label" in objective.fills and labels == ():
        raise ObjectiveError(f"objective: {name} needs the same classes in every set of data.mix. Set their labels, or use sft.")
    return name, objective


def _usual_objective(kinds: Sequence[type[Example]], first: Example, labels: Sequence[str] | None) -> str:
    if len(kinds) > 1 or (kinds == [Labelled] and labels == ()):
        return "sft"
    if isinstance(first, Tokens):
        return "sft" if first.num_asked > 1 else "causal_lm"
    return _OBJECTIVES.get(kinds[0], "sft")
