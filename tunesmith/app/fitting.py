"""Which metrics fit examples: by what the objective predicts, and by whether their answers are open or to be chosen among."""

from collections.abc import Sequence

from tunesmith.core import registry
from tunesmith.core.types import Choice, Example, Labelled, Objective
from tunesmith.data import StoredExamples
from tunesmith.evaluation.score import metrics_for

__all__ = ["fitting_metrics", "is_per_token"]


def fitting_metrics(objective: Objective, examples: Sequence[Example], *, is_mixed: bool) -> list[str]:
    """Names of metrics, the one that a report leads with first.

    A language model chooses among the answers of a question with choices, and among the labels of a labelled set of a mixture: what it
    chose is a label. Names of classes mean something within one set only, those of choices nothing at all: there accuracy is what remains. Where open
    answers and chosen ones stand together, only the likelihood of the right answers can be told of all.
    """
    closed = {Choice, Labelled} if is_mixed and "label" not in objective.fills else {Choice}
    kinds = {type(examples[0])} if isinstance(examples, StoredExamples) else {type(example) for example in examples}
    if not kinds & closed:
        return _first(objective.headline, metrics_for(objective.fills))
    if not kinds <= closed:
        return _first("perplexity", metrics_for(objective.fills & {"nll"}))
    if kinds == {Labelled} and len({example.origin.task for example in examples}) == 1:
        return _first("accuracy", metrics_for({"label"}))
    return ["accuracy"]


def is_per_token(name: str) -> bool:
    """Whether a metric says something of a token, so that models with different tokens cannot be compared by it."""
    return bool(getattr(registry.create("metric", name), "is_per_token", False))


def _first(headline: str, names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*([headline] if headline in names else []), *names]))
