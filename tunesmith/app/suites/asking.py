"""The rows of a suite, asked of a model: what it said to each, and what lm-eval's metrics make of that."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lm_eval.api.metrics import mean

from tunesmith.app.suites.language_model import EngineLM
from tunesmith.app.suites.quietly import quiet
from tunesmith.app.suites.tasks import LoadedSuite
from tunesmith.core.errors import Interrupted, TunesmithError, UsageError, one_line

__all__ = ["Answered", "ask", "build"]

_FEWSHOT_SEED = 1234
"""lm-eval's own: the same examples before the same rows."""
_NO_FILTER = "none"


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model said to rows of one task."""

    rows: Sequence[int]
    """Places of the rows in the task's data."""
    groups: Sequence[Hashable] | None
    """A key a row; rows that share theirs are not independent. None: all are, or all share one."""
    examples: Sequence[Mapping[str, Any]]
    """A row each: target, and what the model said to it."""
    items: Mapping[str, Sequence[Any]]
    """By metric, what each row contributes; a metric over a part of the answer is called METRIC,PART."""
    aggregations: Mapping[str, Callable[[Sequence[Any]], float]]
    """By metric, what makes its value of the rows' contributions."""
    higher_is_better: Mapping[str, bool]


def ask(lm: EngineLM, loaded: LoadedSuite, rows: Mapping[str, Sequence[int]], *, with_chat_template: bool) -> dict[str, Answered]:
    """Ask these rows of each task; what is alike of different tasks is asked together.

    Args:
        rows: places in each task's data, in order; a task of which there are none is not asked.
    Raises: UsageError, where a task has fewer examples than are to stand before a question.
    """
    asked = {name: task for name, task in loaded.tasks.items() if rows[name]}
    requests = defaultdict[str, list[Any]](list)
    for name, task in asked.items():
        build(name, task, rows[name], lm if with_chat_template else None)
        for instance in task.instances:
            requests[instance.request_type] += [instance] * instance.repeats
    for kind, instances in requests.items():
        for instance, said in zip(instances, getattr(lm, kind)(instances), strict=True):
            instance.resps.append(said)
    return {name: _answered(task, rows[name], partial(loaded.chosen.suite.group, name)) for name, task in asked.items()}


def build(name: str, task: Any, rows: Sequence[int], chat: EngineLM | None = None) -> None:
    """Make the requests of these rows of a task of lm-eval's, as its `instances`; `chat`: the model whose chat template writes the prompts.

    Raises: UsageError, where the task has fewer examples than are to stand before a question.
    """
    task.set_fewshot_seed(_FEWSHOT_SEED)
    try:
        with quiet():
            task.build_all_requests(
                samples=list(rows),
                rank=0,
                world_size=1,
                apply_chat_template=chat is not None,
                fewshot_as_multiturn=chat is not None,
                chat_template=chat.apply_chat_template if chat else None,
                tokenizer_name=chat.tokenizer_name if chat else "",
            )
    except (TunesmithError, Interrupted):
        raise
    except (AssertionError, ValueError) as error:
        shots = task.get_config("num_fewshot")
        said = one_line(error, 160)
        raise UsageError(
            f"{name}: no prompt can be made with {shots} examples before a question ({said}). Change --num-fewshot."
        ) from error


def _answered(task: Any, rows: Sequence[int], group: Callable[[Mapping[str, Any]], Hashable]) -> Answered:
    with quiet():
        task.apply_filters()
    by_row = defaultdict[int, list[Any]](list)
    for instance in task.instances:
        by_row[instance.doc_id].append(instance)
    examples, keys, items = list[dict[str, Any]](), list[Hashable](), defaultdict[str, list[Any]](list)
    aggregations, higher_is_better = dict[str, Any](), dict[str, bool]()
    for place, row in enumerate(rows):
        instances = sorted(by_row[place], key=lambda instance: instance.idx)
        doc = instances[0].doc
        shared = group(doc)
        keys.append(("", row) if shared is None else shared)
        example: dict[str, Any] = {"row": row, "target": task.doc_to_target(doc), "said": [instance.resps for instance in instances]}
        for part in instances[0].filtered_resps:
            found = task.process_results(doc, [instance.filtered_resps[part] for instance in instances])
            for metric, item in found.items():
                key = metric if part == _NO_FILTER else f"{metric},{part}"
                items[key].append(item)
                example[key] = item
                aggregations.setdefault(key, task.aggregation().get(metric, mean))
                higher_is_better.setdefault(key, bool(task.higher_is_better().get(metric, True)))
        examples.append(example)
    groups = keys if 1 < len(set(keys)) < len(keys) else None
    return Answered(rows, groups, examples, items, aggregations, higher_is_better)
