"""F1 of one class, and the metrics of questions whose answers are rows: against scikit-learn, and by hand."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from tunesmith.core import registry
from tunesmith.core.statistics import wilson
from tunesmith.core.types import Example, Labelled, Origin, Output
from tunesmith.evaluation.score import compare, evaluate_metric, unit_stats, usual


def rows(*questions: Sequence[str], group: str = "") -> list[Example]:
    """A row an answer, by question, each with whether it is right."""
    return [
        Labelled(f"question {number}", label, Origin("made", number + 1, group=group and f"{group} {number // 2}"), f"answer {place}")
        for number, labels in enumerate(questions)
        for place, label in enumerate(labels)
    ]


def true(examples: Sequence[Example]) -> list[str]:
    return [example.label or "" for example in examples if isinstance(example, Labelled)]


def value(name: str, examples: Sequence[Example], outputs: Sequence[Output], positive: str = "") -> float:
    metric = registry.create("metric", name, **({"positive": positive} if positive else {}))
    return evaluate_metric(metric, examples, outputs, true(examples), seed=0).interval.value


def test_f1_is_scikit_learns_of_the_positive_class() -> None:
    rng = np.random.default_rng(0)
    for share in (0.0, 0.1, 0.5, 1.0):
        labels = np.where(rng.random(300) < 0.3, "yes", "no")
        said = np.where(rng.random(300) < share, "yes", "no")
        examples = rows(*([label] for label in labels.tolist()))
        found = value("f1", examples, [Output(label=label) for label in said.tolist()], "yes")
        assert found == pytest.approx(f1_score(labels, said, pos_label="yes", zero_division=0.0), abs=1e-12)


def test_f1_where_the_class_is_neither_true_nor_said_is_zero() -> None:
    assert value("f1", rows(["no"], ["no"]), [Output(label="no")] * 2, "yes") == 0.0


def test_a_question_matches_exactly_where_every_answer_is_judged_right() -> None:
    examples = rows(["yes", "no", "no"], ["no"], ["yes", "yes"])
    said = [Output(label=label) for label in ("yes", "no", "yes", "no", "yes", "yes")]
    metric = registry.create("metric", "question_exact_match")
    found = evaluate_metric(metric, examples, said, true(examples), seed=0)
    assert found.interval == wilson(2, 3)
    entry = compare(metric, [Output(label="no")] * 6, said, examples, true(examples), seed=0)
    assert (entry["rows"], entry["base"]["value"], entry["difference"]["test"]) == (3, pytest.approx(1 / 3), "mcnemar")


def test_questions_about_one_passage_are_drawn_together() -> None:
    examples = rows(*([["yes", "no"]] * 40), group="passage")
    said = [Output(label="yes" if (at // 4) % 3 or at % 2 == 0 else "wrong") for at in range(80)]
    metric = registry.create("metric", "question_exact_match")
    assert compare(metric, said, said, examples, true(examples), seed=0)["difference"]["test"] == "paired bootstrap"


def test_the_choice_is_the_answer_that_is_found_most_probable() -> None:
    examples = rows(["no", "yes"], ["yes", "no"], ["no", "yes"])
    probable = [0.6, 0.7, 0.2, 0.1, 0.9, 0.3]  # the last question's wrong answer is preferred
    said = [Output(label="yes" if p > 0.5 else "no", probabilities=(1 - p, p), classes=("no", "yes")) for p in probable]
    assert value("choice_accuracy", examples, said, "yes") == pytest.approx(2 / 3)


def test_the_probability_is_that_of_the_class_whatever_its_place() -> None:
    examples = rows(["no", "yes"])
    said = [Output(label="yes" if p > 0.5 else "no", probabilities=(p, 1 - p), classes=("yes", "no")) for p in (0.2, 0.4)]
    assert value("choice_accuracy", examples, said, "yes") == 1.0


def test_a_question_stands_at_its_first_row_and_those_of_two_tasks_are_two() -> None:
    first, second = rows(["yes", "no"], ["no", "no"]), rows(["yes"])
    other = [replace(example, origin=replace(example.origin, task="other")) for example in second]
    examples = [*first, *other]
    said = [Output(label=label) for label in ("yes", "no", "yes", "no", "yes")]
    stats_nk, places = unit_stats(registry.create("metric", "question_exact_match"), examples, said, true(examples))
    assert (stats_nk.tolist(), places) == ([[1.0], [0.0], [1.0]], [0, 2, 4])


def test_of_equally_probable_answers_the_first_is_chosen() -> None:
    examples = rows(["no", "yes"], ["yes", "no"], ["yes", "no"])
    assert value("choice_accuracy", examples, [Output(label="no")] * 6, "yes") == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", ["f1", "question_exact_match", "choice_accuracy"])
def test_they_are_measured_only_where_they_are_named(name: str) -> None:
    assert usual(["accuracy", name]) == ["accuracy"]
