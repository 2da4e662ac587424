"""What the method `direct` may adjust of a task, and by which metric: everything that can be said before the model is asked."""

from collections import Counter
from collections.abc import Sequence

from tunesmith.app.earlier import earlier_heads, new_labels
from tunesmith.app.fitting import fitting_metrics, make_metrics
from tunesmith.app.learned import answers, writes
from tunesmith.app.task import Task
from tunesmith.core import registry
from tunesmith.core.adjusting import SearchedMethod, Subject, Trial, WeightAdjustment
from tunesmith.core.errors import MethodError
from tunesmith.core.types import HeadObjective, Metric
from tunesmith.report.numbers import numbered

__all__ = ["asks_model", "check_adjustable", "chosen_metric", "few_rows", "num_trials", "searched", "subject_of", "trial_of"]

_ROWS_A_NUMBER = 20
"""Fewer validation rows for each number that is searched for, and what is found holds for them alone, as a rule of thumb."""
_ROWS_A_CLASS = 5
_TRIALS, _MOST_TRIALS, _TRIALS_ASKED = 200, 2000, 40
"""Where the scores of one pass serve all, of one number or two and at most; and where each trial asks the model."""


def searched(task: Task) -> SearchedMethod:
    """The task's method, which is one that searches."""
    assert isinstance(task.method, SearchedMethod)
    return task.method


def trial_of(method: SearchedMethod) -> Trial:
    """What each setting takes: the most that any of its adjustments does; scores and answers are not had of one pass."""
    kinds: set[Trial] = {one.trial for one in method.adjustments.values()}
    return kinds.pop() if len(kinds) == 1 else "asked"


def asks_model(method: SearchedMethod) -> bool:
    """Whether each setting is worth keeping by itself, as it is asked of the model or read off its answers; else the scores of one pass say what all come to."""
    return trial_of(method) != "scores"


def num_trials(method: SearchedMethod, num_numbers: int) -> int:
    """Settings that are tried. Stored scores cost little: there, from three numbers on, each takes as many trials again as the first two together."""
    usual = _TRIALS_ASKED if asks_model(method) else min(_MOST_TRIALS, _TRIALS * max(1, num_numbers - 1))
    return method.trials or usual


def check_adjustable(task: Task) -> None:
    """Let the task be led by the metric that is searched by.

    Raises: MethodError, where there is nothing to search on, or what is to be adjusted says nothing to the model or to the metric. Nothing for other methods.
    """
    method = task.method
    if not isinstance(method, SearchedMethod):
        return
    where = f"{task.recipe.name}: method: {task.recipe.method.name}"
    if task.data.sets:
        raise MethodError(f"{where}: is for one data set, and data.mix has {len(task.data.sets)}. Name one as data.train.")
    if task.kind == "policy":
        raise MethodError(f"{where}: searches by the answers to validation rows, and {task.objective_name} learns from rewards. Use sft.")
    if not task.splits["validation"].rows:
        raise MethodError(f"{where}: searches on validation rows, and there are none. Set data.split.validation, or name data.validation.")
    name, metric = chosen_metric(task)
    subject = subject_of(task)
    for aspect, one in method.adjustments.items():
        refusal = one.refusal(subject)
        if refusal:
            raise MethodError(f"{where}.adjust: {aspect}: {refusal.rstrip('.')}.")
        if metric.needs not in one.moves:
            others = [other for other in _fitting(task) if registry.load("metric", other).needs in one.moves]
            cure = f"Name one that it moves as method.metric: {', '.join(others)}." if others else "Leave it out."
            raise MethodError(f"{where}.adjust: {aspect} changes nothing that {name} reads ({metric.needs}). {cure}")
    of_weights = {aspect: one for aspect, one in method.adjustments.items() if isinstance(one, WeightAdjustment)}
    touched = [path for one in of_weights.values() for path in one.touches(task.model.trunk)]
    if len(set(touched)) < len(touched):
        raise MethodError(f"{where}.adjust: {' and '.join(of_weights)} change the same parameters. Leave one of them out.")
    if metric.needs == "text" and not task.recipe.evaluate.generate_limit:
        raise MethodError(f"{where}: {name} is of written answers, and evaluate.generate_limit is 0. Raise it.")
    task.metrics[:] = list(dict.fromkeys([name, *task.metrics]))


def chosen_metric(task: Task) -> tuple[str, Metric]:
    """What is searched by: the method's own metric, else `train.select_by`, else the one that the report leads with. Raises: MethodError, for one that does not fit; RecipeError, for its options."""
    own, selected = searched(task).metric, task.recipe.train.select_by
    name = own or (selected if selected not in (None, "loss") else None) or task.metrics[0]
    if name not in _fitting(task):
        raise MethodError(
            f"{task.recipe.name}: method.metric: {name} is not computed for the objective {task.objective_name}. Fitting: {', '.join(sorted(_fitting(task)))}."
        )
    metric = make_metrics(task.recipe, [name], task.encoder.labels, key="method.metric")[name]
    if metric.higher_is_better is None:
        raise MethodError(f"{task.recipe.name}: method.metric: of {name} neither more nor less is better. Name another.")
    return name, metric


def _fitting(task: Task) -> list[str]:
    return fitting_metrics(task.objective, task.data.rows, is_mixed=False)


def subject_of(task: Task) -> Subject:
    """What adjustments are told of the task's model."""
    has_head = isinstance(task.objective, HeadObjective)
    return Subject(
        model=task.recipe.model.source,
        objective=task.objective_name,
        kind=task.kind,
        writes=writes(task.kind) and (answers(task.kind) or not has_head),
        max_new_tokens=task.recipe.evaluate.max_new_tokens,
        max_length=task.model.facts.max_length,
        labels=tuple(task.encoder.labels),
        knows_labels=has_head and bool(earlier_heads(task)) and not new_labels(task),
        trunk=task.model.trunk,
        adjusted=tuple(searched(task).adjustments),
    )


def few_rows(task: Task, num_rows: int, num_numbers: int, references: Sequence[str]) -> list[str]:
    """What is to be said of validation rows that are too few for what is searched for."""
    found = list[str]()
    wanted = max(2 * _ROWS_A_NUMBER, _ROWS_A_NUMBER * num_numbers)
    if num_rows < wanted:
        found.append(
            f"method.adjust: {numbered(num_rows, 'validation row')} for {numbered(num_numbers, 'number')} to be found: too few, so that what is best there may be "
            f"best there alone. Bring at least {wanted}: data.split.validation."
        )
    if task.kind == "classification":
        counts = Counter(references)
        rare = [f"{label} ({counts[label]})" for label in task.encoder.labels if counts[label] < _ROWS_A_CLASS]
        if rare:
            found.append(
                f"method.adjust: of {', '.join(rare)} there are fewer than {_ROWS_A_CLASS} validation rows, which say little of {'it' if len(rare) == 1 else 'them'}."
            )
    return found
