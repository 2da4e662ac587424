"""Which metrics fit examples, by what the objective predicts and by whether their answers are open or to be chosen among; and those of a recipe."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunesmith.app.dataset import PreparedData
from tunesmith.core import registry
from tunesmith.core.errors import RecipeError, UsageError
from tunesmith.core.types import Choice, Example, HeadObjective, Labelled, Metric, Objective
from tunesmith.data import StoredExamples
from tunesmith.evaluation.score import metrics_for, usual
from tunesmith.recipe import Recipe

__all__ = ["fitting_metrics", "is_per_token", "make_metrics", "measured_metrics", "recorded_metric", "selection"]

_OF_LIKELIHOODS = ("nll", "masked", "probabilities")
"""What metrics need that an endpoint's answers do not have."""


def fitting_metrics(objective: Objective, examples: Sequence[Example], *, is_mixed: bool) -> list[str]:
    """Names of metrics, also of those that are measured on request only; the one that a report leads with first.

    A language model chooses among the answers of a question with choices, and among the labels of a labelled set of a mixture: what it
    chose is a label. Names of classes mean something within one set only, those of choices nothing at all: there accuracy is what remains. Where open
    answers and chosen ones stand together, only the likelihood of the right answers can be told of all.
    """
    if "rewarded" in objective.fills:  # an answer that is rewarded need not be like another
        return _first(objective.headline, [*metrics_for({"rewarded"}), *_free_of_references()])
    if "text" in objective.fills and (
        judged := objective.fills & {"scores", "liked"}
    ):  # an answer that is liked need not be like another that is
        return _first(objective.headline, [*metrics_for(judged), *_free_of_references()])
    closed = {Choice, Labelled} if is_mixed and "label" not in objective.fills else {Choice}
    kinds = {type(examples[0])} if isinstance(examples, StoredExamples) else {type(example) for example in examples}
    if not kinds & closed:
        return _first(objective.headline, metrics_for(objective.fills))
    if not kinds <= closed:
        return _first("perplexity", metrics_for(objective.fills & {"nll"}))
    if kinds == {Labelled} and len({example.origin.task for example in examples}) == 1:
        return _first("accuracy", metrics_for({"label"}))
    return ["accuracy"]


def _free_of_references() -> list[str]:
    """Metrics of texts that say something of an answer without a reference."""
    return [name for name in metrics_for({"text"}) if not getattr(registry.load("metric", name), "reads_reference", True)]


def measured_metrics(recipe: Recipe, name: str, objective: Objective, data: PreparedData) -> list[str]:
    """The metrics of all test rows together; of a model behind an endpoint those alone that read what it says.

    Raises: RecipeError, for one that fits neither them nor a set of the mixture, needs likelihoods of a model behind an endpoint, or refuses its options.
    """
    fitting = fitting_metrics(objective, data.rows, is_mixed=bool(data.sets))
    asked = [spec.name for spec in recipe.evaluate.metrics or ()]
    if "rewarded" in objective.fills or (recipe.rewards and "text" in objective.fills):
        left_out = set() if recipe.evaluate.rewards else {"held_out_reward"}
        always = [name for name in metrics_for({"rewarded"}) if name not in left_out]
        usually = [] if "rewarded" in objective.fills or asked else usual(fitting)
        # a policy that says one thing alone shows in distinct_2
        asked = list(dict.fromkeys([objective.headline, *usually, *always, "distinct_2", *asked]))
        fitting = list(dict.fromkeys([*(name for name in fitting if name not in left_out), *always, *metrics_for({"text"})]))
    if recipe.model.is_endpoint:
        fitting = [one for one in fitting if registry.load("metric", one).needs not in _OF_LIKELIHOODS]
        if not fitting:
            raise RecipeError(
                f"{recipe.name}: objective: {name} is measured by likelihoods, which an endpoint does not give. Use labelled texts, pairs or conversations."
            )
    by_set = [[example for example in data.rows if example.origin.task == one] for one in data.sets]
    known = {*fitting, *(metric for examples in by_set for metric in fitting_metrics(objective, examples, is_mixed=True))}
    for wanted in asked:
        if recipe.model.is_endpoint and registry.load("metric", wanted).needs in _OF_LIKELIHOODS:
            raise RecipeError(
                f"{recipe.name}: evaluate.metrics: {wanted} is made of likelihoods, which an endpoint does not give. Leave it out, of a comparison for this "
                "arm alone: evaluate.metrics=[...]."
            )
        if wanted not in known:
            raise RecipeError(
                f"{recipe.name}: evaluate.metrics: {wanted} does not fit the objective {name}. Fitting: {', '.join(sorted(known))}."
            )
        if recipe.model.add_tokens and is_per_token(wanted):
            raise RecipeError(
                f"{recipe.name}: evaluate.metrics: {wanted} is per token, and model.add_tokens changes those. Use bits_per_byte."
            )
    make_metrics(recipe, asked, data.labels)
    return [wanted for wanted in asked if wanted in fitting] or usual(fitting)


def selection(recipe: Recipe, objective: Objective, labels: Sequence[str]) -> str:
    """What the best weights are best at. A validation computes the loss, and of the metrics those of a head: the others would need generated text.

    Raises: RecipeError, for a metric that is not computed then, or that the data cannot have.
    """
    computed = metrics_for(objective.fills) if isinstance(objective, HeadObjective) else []
    chosen = recipe.train.select_by or (objective.headline if computed else "loss")
    if chosen == "loss":
        return chosen
    if chosen not in computed:
        raise RecipeError(f"{recipe.name}: train.select_by: {chosen} is not computed at validation. Use {', '.join(['loss', *computed])}.")
    make_metrics(recipe, [chosen], labels, key="train.select_by")
    return chosen


def make_metrics(recipe: Recipe, names: Iterable[str], labels: Sequence[str], *, key: str = "evaluate.metrics") -> dict[str, Metric]:
    """The metrics, with the options that the recipe gives them.

    Args:
        labels: the classes of the data; of two, the last is what a metric of one class looks for where the recipe names none. Of graded answers the attributes.
        key: where the recipe names the metrics.
    Raises: RecipeError, where a metric refuses its options or the classes, or is named twice.
    """
    asked = recipe.evaluate.metrics or []
    options = {spec.name: spec.options for spec in asked}
    if len(options) < len(asked):
        raise RecipeError(f"{recipe.name}: evaluate.metrics: a metric stands in it twice; a report has one line for each. Leave one out.")
    try:
        return {name: registry.create("metric", name, **_with_names(name, options.get(name, {}), labels)) for name in names}
    except UsageError as error:
        raise RecipeError(f"{recipe.name}: {key}: {error}") from None


def recorded_metric(recipe: Recipe, name: str) -> Metric:
    """A metric of a finished run, to make one number of what its rows contributed. Raises: RecipeError, where it refuses its options by now."""
    options = next((spec.options for spec in recipe.evaluate.metrics or () if spec.name == name), {})
    try:
        metric: Metric = registry.create("metric", name, **options)
    except UsageError as error:
        raise RecipeError(f"{recipe.name}: evaluate.metrics: {error}") from None
    return metric


def _with_names(name: str, options: Mapping[str, Any], labels: Sequence[str]) -> Mapping[str, Any]:
    """The options of a metric, and of one that looks for a class, which, of one of grades, whose. Raises: UsageError, where that is not clear, or nothing of the data."""
    taken = {option.name for option in registry.describe("metric", name).options}
    if "attributes" in taken:
        strange = next((one for one in options.get("attributes") or () if labels and one not in labels), None)
        if strange is not None:
            raise UsageError(f"{name}.attributes: {strange!r} is no attribute of the data. Known: {', '.join(labels)}.")
        return {**options, "attributes": tuple(options.get("attributes") or labels)}
    if "positive" not in taken:
        return options
    positive, known = options.get("positive"), ", ".join(labels)
    if positive and labels and positive not in labels:
        raise UsageError(f"{name}.positive: {positive!r} is no class of the data. Known: {known}.")
    if positive:
        return options
    if len(labels) != 2:
        found = f"{len(labels)}: {known}" if labels else "none that all its sets share"
        raise UsageError(f"{name} is of two classes; the data has {found}. Use macro_f1, or name one: {{name: {name}, positive: ...}}.")
    return {**options, "positive": labels[-1]}


def is_per_token(name: str) -> bool:
    """Whether a metric says something of a token, so that models with different tokens cannot be compared by it."""
    return bool(getattr(registry.load("metric", name), "is_per_token", False))


def _first(headline: str, names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*([headline] if headline in names else []), *names]))
