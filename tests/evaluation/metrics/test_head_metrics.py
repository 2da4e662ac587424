"""Metrics of numbers, of many labels, of tags and of spans, against scipy, scikit-learn, or by hand."""

from collections.abc import Sequence

import numpy as np
import pytest
import scipy.stats
from sklearn import metrics as sklearn_metrics
from sklearn.preprocessing import MultiLabelBinarizer

from tunesmith.core import registry
from tunesmith.core.types import Example, Metric, MultiLabelled, Origin, Output, Rated, SpanQuestion, Tagged
from tunesmith.evaluation.metrics._entities import entities

HERE = Origin("made", 1)


def value_of(name: str, examples: Sequence[Example], outputs: Sequence[Output], references: Sequence[str]) -> float:
    metric: Metric = registry.create("metric", name)
    stats = np.array([metric.stats(*row) for row in zip(examples, outputs, references, strict=True)], dtype=np.float64)
    return metric.value(stats)


def of_numbers(name: str, true: Sequence[float], said: Sequence[float]) -> float:
    examples = [Rated("t", value, HERE) for value in true]
    return value_of(name, examples, [Output(number=value) for value in said], [repr(value) for value in true])


def test_metrics_of_numbers_are_scipys_and_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 6, size=200).astype(float).tolist()  # with ties
    said = (np.array(true) * 0.3 + rng.normal(size=200)).round(1).tolist()
    assert of_numbers("pearson", true, said) == pytest.approx(scipy.stats.pearsonr(true, said).statistic, abs=1e-12)
    assert of_numbers("spearman", true, said) == pytest.approx(scipy.stats.spearmanr(true, said).statistic, abs=1e-12)
    assert of_numbers("rmse", true, said) == pytest.approx(sklearn_metrics.root_mean_squared_error(true, said), abs=1e-12)
    assert of_numbers("mae", true, said) == pytest.approx(sklearn_metrics.mean_absolute_error(true, said), abs=1e-12)


def test_the_correlation_with_a_constant_is_no_number() -> None:
    assert np.isnan(of_numbers("pearson", [1.0, 2.0], [3.0, 3.0]))
    assert np.isnan(of_numbers("pearson", [1.0, 2.0, 4.0], [0.1 + 0.2, 0.1 + 0.2, 0.1 + 0.2]))  # whose mean is rounded
    assert np.isnan(of_numbers("spearman", [1.0, 2.0], [3.0, 3.0]))


def test_metrics_of_many_labels_are_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    classes = ["a", "b", "c", "d"]
    draw = lambda: [tuple(c for c in classes if rng.random() < 0.4) for _ in range(150)]  # noqa: E731
    true, said = draw(), draw()
    rows = [MultiLabelled("t", labels, HERE) for labels in true], [Output(labels=labels) for labels in said], ["" for _ in true]
    as_matrix = MultiLabelBinarizer(classes=classes).fit(true)
    true_nc, said_nc = as_matrix.transform(true), as_matrix.transform(said)
    assert value_of("labels_micro_f1", *rows) == pytest.approx(sklearn_metrics.f1_score(true_nc, said_nc, average="micro"))
    assert value_of("labels_exact_match", *rows) == pytest.approx(sklearn_metrics.accuracy_score(true_nc, said_nc))
    full = [index for index, (one, other) in enumerate(zip(true, said, strict=True)) if one or other]
    chosen = [rows[0][i] for i in full], [rows[1][i] for i in full], ["" for _ in full]
    jaccard = sklearn_metrics.jaccard_score(true_nc[full], said_nc[full], average="samples")
    assert value_of("labels_jaccard", *chosen) == pytest.approx(jaccard)


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("B-PER I-PER O B-LOC", {("PER", 0, 1), ("LOC", 3, 3)}),  # IOB2
        ("I-PER I-PER O I-LOC B-LOC", {("PER", 0, 1), ("LOC", 3, 3), ("LOC", 4, 4)}),  # IOB1
        ("B-PER E-PER S-LOC O", {("PER", 0, 1), ("LOC", 2, 2)}),  # IOBES
        ("B-PER L-PER U-LOC O", {("PER", 0, 1), ("LOC", 2, 2)}),  # BILOU
        ("B-PER I-LOC O", {("PER", 0, 0), ("LOC", 1, 1)}),  # the kind changes
        ("O O", set()),
        ("NOUN VERB", {("NOUN", 0, 0), ("VERB", 1, 1)}),
    ],
)
def test_entities_of_every_scheme(tags: str, found: set[tuple[str, int, int]]) -> None:
    assert entities(tags.split()) == found


def test_entity_f1_counts_whole_entities() -> None:
    example = Tagged(("a", "b", "c", "d"), ("B-X", "I-X", "O", "B-Y"), HERE)
    said = Output(tags=("B-X", "O", "O", "B-Y"))  # one of two right, two predicted
    assert value_of("entity_f1", [example], [said], [""]) == pytest.approx(2 * 1 / (2 + 2))
    assert value_of("tag_accuracy", [example], [said], [""]) == pytest.approx(3 / 4)


def test_squads_metrics_by_hand() -> None:
    question = SpanQuestion("q", "the old cat sat", ((4, "old cat"), (8, "cat")), HERE)
    none = SpanQuestion("q", "nothing", (), HERE)
    outputs = [Output(span="The cat!"), Output(span="")]
    assert value_of("squad_exact_match", [question, none], outputs, ["", ""]) == 1.0  # articles and punctuation apart
    f1 = value_of("squad_f1", [question, none], [Output(span="old cat sat"), Output(span="nothing")], ["", ""])
    assert f1 == pytest.approx((2 * 2 / (3 + 2) + 0) / 2)  # nearest to "old cat": two words of three said and two true
