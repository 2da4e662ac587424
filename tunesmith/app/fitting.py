"""Which metrics fit examples, by what the objective predicts and by whether their answers are open or to be chosen among; and which of them a recipe asks for."""

from collections.abc import Sequence

from tunesmith.app.dataset import PreparedData
from tunesmith.core import registry
from tunesmith.core.errors import RecipeError
from tunesmith.core.types import Choice, Example, HeadObjective, Labelled, Metric, Objective
from tunesmith.data import StoredExamples
from tunesmith.evaluation.score import metrics_for
from tunesmith.recipe import Recipe

__all__ = ["chosen_metrics", "fitting_metrics", "is_per_token", "metric_for", "selection", "usual"]


def chosen_metrics(recipe: Recipe, name: str, objective: Objective, data: PreparedData) -> list[str]:
    """The metrics of all test rows together. Raises: RecipeError, for one that fits neither them nor a set of the mixture."""
    fitting = fitting_metrics(objective, data.train, is_mixed=bool(data.sets))
    by_set = [[example for example in data.train if example.origin.task == one] for one in data.sets]
    known = {*fitting, *(metric for examples in by_set for metric in fitting_metrics(objective, examples, is_mixed=True))}
    for wanted in recipe.evaluate.metrics or ():
        if wanted not in known:
            raise RecipeError(
                f"{recipe.name}: evaluate.metrics: {wanted} does not fit the objective {name}. Fitting: {', '.join(sorted(known))}."
            )
        if recipe.model.add_tokens and is_per_token(wanted):
            raise RecipeError(
                f"{recipe.name}: evaluate.metrics: {wanted} is per token, and model.add_tokens changes those. Use bits_per_byte."
            )
        _check_classes(f"{recipe.name}: evaluate.metrics", wanted, data.labels)
    return [wanted for wanted in recipe.evaluate.metrics or () if wanted in fitting] or usual(fitting)


def selection(recipe: Recipe, objective: Objective, labels: Sequence[str]) -> str:
    """What the best weights are best at. A validation computes the loss, and of the metrics those of a head: the others would need generated text.

    Raises: RecipeError, for a metric that is not computed then.
    """
    computed = metrics_for(objective.fills) if isinstance(objective, HeadObjective) else []
    chosen = recipe.train.select_by or (objective.headline if computed else "loss")
    if chosen != "loss" and chosen not in computed:
        raise RecipeError(f"{recipe.name}: train.select_by: {chosen} is not computed at validation. Use {', '.join(['loss', *computed])}.")
    if chosen != "loss":
        _check_classes(f"{recipe.name}: train.select_by", chosen, labels)
    return chosen


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


def usual(names: Sequence[str]) -> list[str]:
    """Those that are measured where the recipe names none: without the ones that mean something of certain data only."""
    return [name for name in names if not getattr(registry.create("metric", name), "only_where_named", False)]


def is_per_token(name: str) -> bool:
    """Whether a metric says something of a token, so that models with different tokens cannot be compared by it."""
    return bool(getattr(registry.create("metric", name), "is_per_token", False))


def metric_for(name: str, labels: Sequence[str]) -> Metric:
    """A metric by its name; one that looks for a class looks for the last of `labels`."""
    metric: Metric = registry.create("metric", name, **({"positive": labels[-1]} if _looks_for_a_class(name) else {}))
    return metric


def _looks_for_a_class(name: str) -> bool:
    return any(option.name == "positive" for option in registry.describe("metric", name).options)


def _check_classes(where: str, name: str, labels: Sequence[str]) -> None:
    """Raises: RecipeError, for a metric of one of two classes where there are not two."""
    if _looks_for_a_class(name) and len(labels) != 2:
        found = f"{len(labels)}: {', '.join(labels)}" if labels else "none that all its sets share"
        raise RecipeError(f"{where}: {name} is of two classes; the data has {found}. Use macro_f1.")


def _first(headline: str, names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*([headline] if headline in names else []), *names]))
