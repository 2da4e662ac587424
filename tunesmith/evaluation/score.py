"""From what models said to numbers with intervals, paired comparisons, confusion matrices and the rows that changed."""

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from tunesmith.core import registry
from tunesmith.core.statistics import Interval, PairedIntervals, bootstrap, compare_proportions, paired_bootstrap, share
from tunesmith.core.types import (
    Chat,
    Choice,
    Completion,
    Example,
    Graded,
    Labelled,
    Marked,
    Metric,
    MultiLabelled,
    Output,
    Preference,
    Prompt,
    QuestionMetric,
    Ranked,
    Rated,
    SpanQuestion,
    Stepwise,
    Tagged,
    Tokens,
    Unpaired,
)
from tunesmith.evaluation.references import has_reference

__all__ = [
    "Measure",
    "MetricResult",
    "changed",
    "compare",
    "confusion",
    "evaluate_metric",
    "groups_of",
    "is_measured",
    "metrics_for",
    "paired",
    "text_of",
    "unit_stats",
    "usual",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
_OF_OWN_ANSWERS = ("text", "rewarded")
"""What a model says only of the rows that it answers in its own words."""


class Measure(Protocol):
    """What makes a number of rows of numbers: every `Metric` does."""

    higher_is_better: ClassVar[bool | None]
    is_proportion: ClassVar[bool]

    def value(self, stats_nk: Array) -> float:
        """The number, from what the rows contribute, shape (rows, k)."""


@dataclass(frozen=True, slots=True)
class MetricResult:
    """One metric of one set of outputs."""

    stats: Array
    """What each row contributed, shape (rows, k); of a `QuestionMetric`, each question."""
    interval: Interval


def metrics_for(needs: Collection[str]) -> list[str]:
    """Names of the metrics, built in and installed, that read one of `needs` ("label", "text", "nll", ...), sorted."""
    return [name for name in registry.names("metric") if registry.load("metric", name).needs in needs]


def usual(names: Sequence[str]) -> list[str]:
    """Those that are measured where a recipe names none."""
    return [name for name in names if not getattr(registry.load("metric", name), "on_request", False)]


def evaluate_metric(
    metric: Metric, examples: Sequence[Example], outputs: Sequence[Output], references: Sequence[str], *, seed: int
) -> MetricResult:
    """The metric and its 95 % interval: Wilson's for a proportion, else the percentile bootstrap.

    Rows that come from the same record or share their origin's group are not independent: they are resampled together, for proportions too.

    Args:
        references: each row's label, or the text it should give.
    Raises: ValueError, where there are no rows, or an output lacks what the metric reads.
    """
    stats_nk, places = _checked_stats(metric, examples, outputs, references)
    return MetricResult(stats_nk, _interval(metric, stats_nk, groups_of([examples[place] for place in places]), seed))


def _interval(metric: Metric, stats_nk: Array, groups: list[Hashable] | None, seed: int) -> Interval:
    if metric.is_proportion:
        return share((stats_nk[:, 0] > 0.5).tolist(), seed=seed, groups=groups)
    return bootstrap(stats_nk, metric.value, seed=seed, groups=groups)


def compare(
    metric: Metric,
    base: Sequence[Output] | None,
    tuned: Sequence[Output],
    examples: Sequence[Example],
    references: Sequence[str],
    *,
    seed: int,
) -> dict[str, Any]:
    """A metric's entry of report.json: `higher_is_better`, `rows`, `excluded`, `base`, `tuned` and `difference` (both None without a base); base
    and tuned with `details`, where the metric has any.

    Answered rows that the metric says nothing of (without a reference that it needs, or of another kind) are excluded, and counted. Rows that are not
    answered are neither. Of a `QuestionMetric`, `rows` are questions.

    The difference is tuned minus base over the same rows: by McNemar's exact test and Tango's interval for a proportion, else by a paired bootstrap.
    """
    answered = [row for row, output in enumerate(tuned) if metric.needs not in _OF_OWN_ANSWERS or getattr(output, metric.needs) is not None]
    rows = [row for row in answered if is_measured(metric, examples[row], tuned[row], references[row])]
    counts = {"rows": 0, "excluded": len(answered) - len(rows)}
    entry: dict[str, Any] = {"higher_is_better": metric.higher_is_better, **counts, "base": None, "tuned": None, "difference": None}
    if not rows:
        return entry
    examples, references = [examples[row] for row in rows], [references[row] for row in rows]
    tuned_nk, places = _checked_stats(metric, examples, [tuned[row] for row in rows], references)
    groups = groups_of([examples[place] for place in places])
    entry["rows"] = len(tuned_nk)
    if base is None:
        return entry | {"tuned": asdict(_interval(metric, tuned_nk, groups, seed)) | _details(metric, tuned_nk)}
    base_nk, _ = _checked_stats(metric, examples, [base[row] for row in rows], references)
    pair = asdict(paired(metric, base_nk, tuned_nk, groups, seed))
    sides = {name: pair[name] | _details(metric, stats_nk) for name, stats_nk in (("base", base_nk), ("tuned", tuned_nk))}
    return entry | pair | sides


def is_measured(metric: Metric, example: Example, output: Output, reference: str) -> bool:
    """Whether a metric says something of a row: text is written for some rows only, references may be missing, and some metrics are for some rows."""
    if metric.needs in _OF_OWN_ANSWERS and getattr(output, metric.needs) is None:
        return False
    if metric.needs == "text" and getattr(metric, "reads_reference", True) and not has_reference(example, reference):
        return False
    applies = getattr(metric, "applies", None)
    return applies is None or bool(applies(example, reference))


def _details(metric: Metric, stats_nk: Array) -> dict[str, Any]:
    details = getattr(metric, "details", None)
    return {} if details is None else {"details": dict(details(stats_nk))}


def paired(measure: Measure, base_nk: Array, tuned_nk: Array, groups: Sequence[Hashable] | None, seed: int) -> PairedIntervals:
    """Two systems on the same rows, from what each row contributed, shape (rows, k): as `compare`.

    Args:
        groups: one key a row, those of rows that are not independent; None: every row stands alone.
    """
    if measure.is_proportion and groups is None:
        return compare_proportions(base_nk[:, 0], tuned_nk[:, 0])
    return paired_bootstrap(base_nk, tuned_nk, measure.value, seed=seed, groups=groups)


def _checked_stats(
    metric: Metric, examples: Sequence[Example], outputs: Sequence[Output], references: Sequence[str]
) -> tuple[Array, list[int]]:
    if not len(examples) == len(outputs) == len(references):
        raise ValueError(f"{len(examples)} examples, {len(outputs)} outputs and {len(references)} references")
    if not outputs:
        raise ValueError("no rows to evaluate")
    for row, output in enumerate(outputs):
        read = output.nll_nats if metric.needs in ("nll", "masked") else getattr(output, metric.needs)
        if read is None or read != read or (metric.needs == "probabilities" and not read):
            raise ValueError(f"{type(metric).__name__} reads the {metric.needs} of an output, and output {row} has none")
    return unit_stats(metric, examples, outputs, references)


def unit_stats(
    metric: Metric, examples: Sequence[Example], outputs: Sequence[Output], references: Sequence[str]
) -> tuple[Array, list[int]]:
    """What a metric's value is made of, shape (units, k), and the place of each unit's row: the rows, or of a `QuestionMetric` the questions, each
    at the place of its first row. Rows of different tasks are of different questions.
    """
    stats_nk = np.array([metric.stats(*row) for row in zip(examples, outputs, references, strict=True)], dtype=np.float64)
    if not isinstance(metric, QuestionMetric):
        return stats_nk, list(range(len(examples)))
    rows_of: dict[Hashable, list[int]] = {}
    for row, example in enumerate(examples):
        rows_of.setdefault((example.origin.task, metric.question(example)), []).append(row)
    merged = [metric.merge(stats_nk[rows]) for rows in rows_of.values()]
    return np.array(merged, dtype=np.float64), [rows[0] for rows in rows_of.values()]


def groups_of(examples: Sequence[Example]) -> list[Hashable] | None:
    """A key a row: its group, else its record. None where every row stands alone, or where all come from one: then rows are all there is to draw."""
    keys: list[Hashable] = [("", e.origin.group) if e.origin.group else (e.origin.file, e.origin.row) for e in examples]
    return keys if 1 < len(set(keys)) < len(keys) else None


def confusion(labels: Sequence[str], references: Sequence[str], predicted: Sequence[str]) -> list[list[int]]:
    """Number of rows for each true label (rows of the matrix) and predicted label (columns), in the order of `labels`.

    Raises: ValueError, for a label that is not among them.
    """
    at = {label: index for index, label in enumerate(labels)}
    unknown = {*references, *predicted} - at.keys()
    if unknown:
        raise ValueError(f"{sorted(unknown)[0]!r} is not one of the labels {', '.join(labels)}")
    matrix = [[0] * len(labels) for _ in labels]
    for true, said in zip(references, predicted, strict=True):
        matrix[at[true]][at[said]] += 1
    return matrix


def text_of(example: Example) -> str:
    """What a model was given to read, for people: the text or texts, the source, the question with its choices, the last turn that is not the
    assistant's, or the tokens' numbers.
    """
    match example:
        case Labelled(text=text, text_pair=pair) | Rated(text=text, text_pair=pair) | MultiLabelled(text=text, text_pair=pair):
            return text if pair is None else f"{text}\n{pair}"
        case Completion(source=source):
            return source
        case Marked():
            return example.question
        case Choice(question=question, choices=choices):
            return "\n".join([question, *(f"- {choice}" for choice in choices)])
        case Tagged(words=words):
            return " ".join(words)
        case SpanQuestion(question=question, context=context):
            return f"{question}\n{context}"
        case Tokens(tokens=tokens):
            return " ".join(map(str, tokens[: example.num_asked] if example.num_asked > 1 else tokens))
        case (
            Chat(messages=turns)
            | Prompt(messages=turns)
            | Preference(prompt=turns)
            | Unpaired(prompt=turns)
            | Ranked(prompt=turns)
            | Graded(prompt=turns)
            | Stepwise(prompt=turns)
        ):
            asked = [turn.content for turn in turns if turn.role != "assistant"]
            return asked[-1] if asked else ""
        case _:
            return example.text


def changed(
    examples: Sequence[Example], base: Sequence[Output] | None, tuned: Sequence[Output], references: Sequence[str], limit: int = 12
) -> dict[str, Any] | None:
    """The rows that got better and those that got worse: report.json's `changed`; None without a base.

    With labels: wrong that became right and right that became wrong, those first of which the tuned model is surest. With texts: by
    the change of the row's own chrF, the largest first, as chrF serves every script and answers of one word.
    At most `limit` rows of each kind are listed; `num_better` and `num_worse` count all.
    """
    if base is None or not tuned:
        return None
    of_labels = all(output.label is not None for output in tuned)
    gains = _label_gains(base, tuned, references) if of_labels else _text_gains(examples, base, tuned, references)
    confidences = [max(output.probabilities, default=math.nan) for output in tuned]

    def rank(row: int) -> tuple[float, int]:
        weight = (0.0 if math.isnan(confidences[row]) else confidences[row]) if of_labels else abs(gains[row])
        return -weight, row

    def entry(row: int) -> dict[str, Any]:
        origin, was, now = examples[row].origin, base[row], tuned[row]
        return {
            "row": f"{origin.file}:{origin.row}",
            "text": text_of(examples[row]),
            "reference": references[row],
            "base": was.label if of_labels else was.text,
            "tuned": now.label if of_labels else now.text,
            "confidence": None if math.isnan(confidences[row]) else confidences[row],
        }

    better = sorted((row for row, gain in enumerate(gains) if gain > 0), key=rank)
    worse = sorted((row for row, gain in enumerate(gains) if gain < 0), key=rank)
    lists: Mapping[str, Any] = {"better": [entry(row) for row in better[:limit]], "worse": [entry(row) for row in worse[:limit]]}
    return {"num_better": len(better), "num_worse": len(worse), **lists}


def _label_gains(base: Sequence[Output], tuned: Sequence[Output], references: Sequence[str]) -> list[float]:
    return [float((now.label == true) - (was.label == true)) for was, now, true in zip(base, tuned, references, strict=True)]


def _text_gains(examples: Sequence[Example], base: Sequence[Output], tuned: Sequence[Output], references: Sequence[str]) -> list[float]:
    metric: Metric = registry.create("metric", "chrf")
    scores = [
        [metric.value(np.array([metric.stats(*row)], dtype=np.float64)) for row in zip(examples, outputs, references, strict=True)]
        for outputs in (base, tuned)
    ]
    return [after - before for before, after in zip(*scores, strict=True)]
