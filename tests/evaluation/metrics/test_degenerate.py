"""What metrics say where there is little or nothing to say it of: as the table in docs/metrics.md has it."""

import math

import pytest

from tests.evaluation.metrics.made import HERE, of_labels, of_probabilities, of_texts, value_of
from tunesmith.core import registry
from tunesmith.core.types import Completion, MultiLabelled, Output, Rated, SpanQuestion, Tagged
from tunesmith.evaluation.score import compare

OVERLAPS = [
    "exact_match",
    "normalized_exact_match",
    "contains_answer",
    "rouge1",
    "rouge2",
    "rougeL",
    "rougeLsum",
    "token_f1",
    "bleu",
    "chrf",
]


@pytest.mark.parametrize("name", OVERLAPS)
def test_an_empty_answer_scores_zero(name: str) -> None:
    assert of_texts(name, [""], [["four words or more"]]) == 0.0


@pytest.mark.parametrize("name", OVERLAPS)
def test_a_row_without_a_reference_is_left_out_and_counted_never_zero(name: str) -> None:
    metric = registry.create("metric", name)
    examples = [Completion("asked", text, HERE) for text in ("one two three four", "", " \n")]
    outputs = [Output(text="one two three four")] * 3
    entry = compare(metric, outputs, outputs, examples, [example.target for example in examples], seed=0)
    assert (entry["rows"], entry["excluded"]) == (1, 2)
    assert entry["tuned"]["value"] in (pytest.approx(1.0), pytest.approx(100.0))


def test_where_no_row_has_a_reference_there_is_an_entry_without_a_value() -> None:
    metric, example = registry.create("metric", "rougeL"), Completion("asked", "", HERE)
    entry = compare(metric, [Output(text="a")], [Output(text="a")], [example], [""], seed=0)
    assert entry == {"higher_is_better": True, "rows": 0, "excluded": 1, "base": None, "tuned": None, "difference": None}


def test_an_answer_without_a_pair_of_words_does_not_count_for_distinct_2() -> None:
    assert math.isnan(of_texts("distinct_2", ["one", ""], [["x"], ["x"]]))
    assert of_texts("distinct_2", ["one", "a b a b"], [["x"], ["x"]]) == pytest.approx(2 / 3)  # a b, b a
    assert of_texts("distinct_1", ["one", "a b A b"], [["x"], ["x"]]) == pytest.approx((1 + 2) / (1 + 4))


def test_an_answer_is_as_long_as_its_words_and_has_no_better_length() -> None:
    metric = registry.create("metric", "answer_words")
    assert of_texts("answer_words", ["", "one  two\nthree", "你好"], [["x"]] * 3) == pytest.approx(4 / 3)
    entry = compare(metric, None, [Output(text="one two"), Output(text="")], [Completion("a", "b", HERE)] * 2, ["b"] * 2, seed=0)
    assert entry["higher_is_better"] is None
    assert entry["tuned"]["details"] == {"characters": 3.5}


@pytest.mark.parametrize(("name", "value"), [("accuracy", 1.0), ("balanced_accuracy", 1.0), ("macro_f1", 1.0), ("mcc", 0.0)])
def test_one_class_alone(name: str, value: float) -> None:
    assert of_labels(name, ["a", "a", "a"], ["a", "a", "a"]) == value


@pytest.mark.parametrize(("name", "value"), [("accuracy", 2 / 3), ("balanced_accuracy", 0.5), ("macro_f1", 0.4), ("mcc", 0.0)])
def test_a_class_that_is_never_said(name: str, value: float) -> None:
    assert of_labels(name, ["a", "a", "b"], ["a", "a", "a"]) == pytest.approx(value)


def test_a_class_that_is_only_said_counts_for_macro_f1_and_not_for_balanced_accuracy() -> None:
    assert of_labels("macro_f1", ["a", "a"], ["a", "b"]) == pytest.approx(1 / 3)  # 2/3 and 0
    assert of_labels("balanced_accuracy", ["a", "a"], ["a", "b"]) == pytest.approx(0.5)


def test_an_answer_without_a_label_is_wrong_and_no_class_of_its_own() -> None:
    assert of_labels("macro_f1", ["a", "a", "b"], ["a", "", "b"]) == pytest.approx((2 / 3 + 1) / 2)
    assert of_labels("macro_f1", ["a", "b"], ["", ""]) == 0
    assert of_labels("balanced_accuracy", ["a", "a", "b"], ["a", "", "b"]) == 0.75


def test_probabilities_that_never_change() -> None:
    always = [(0.7, 0.3)] * 4
    assert of_probabilities("ece", ["a", "b"], always, ["a", "a", "a", "b"]) == pytest.approx(0.05)
    assert of_probabilities("brier", ["a", "b"], always, ["a", "a", "a", "b"]) == pytest.approx((3 * 0.18 + 0.98) / 4)


def test_a_true_class_that_the_model_does_not_know_has_the_probability_zero() -> None:
    assert of_probabilities("brier", ["a", "b"], [(1.0, 0.0)], ["c"]) == pytest.approx(2.0)
    assert of_probabilities("ece", ["a", "b"], [(1.0, 0.0)], ["c"]) == 1.0


def test_numbers_that_never_change_have_no_correlation() -> None:
    rows = [Output(number=3.0)] * 3, ["1.0", "2.0", "4.0"], [Rated("t", 1.0, HERE)] * 3
    assert math.isnan(value_of("pearson", *rows))
    assert math.isnan(value_of("spearman", *rows))
    assert value_of("mae", *rows) == pytest.approx((2 + 1 + 1) / 3)


def test_no_entity_and_no_class_anywhere_is_no_score_and_an_answer_to_nothing_is_right_where_it_is_empty() -> None:
    assert math.isnan(value_of("entity_f1", [Output(tags=("O", "O"))], [""], [Tagged(("a", "b"), ("O", "O"), HERE)]))
    rows = [Output(labels=())], [""], [MultiLabelled("t", (), HERE)]
    assert math.isnan(value_of("labels_micro_f1", *rows))
    assert value_of("labels_jaccard", *rows) == value_of("labels_exact_match", *rows) == 1.0
    nothing = SpanQuestion("asked", "context", (), HERE)
    assert value_of("squad_f1", [Output(span=""), Output(span="context")], ["", ""], [nothing, nothing]) == 0.5


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "macro_f1", "mcc"])
def test_three_rows_claim_little(name: str) -> None:
    metric = registry.create("metric", name)
    examples = [Completion("asked", "", HERE)] * 3
    base, tuned = [Output(label="a")] * 3, [Output(label=label) for label in "aab"]
    entry = compare(metric, base, tuned, examples, ["a", "a", "b"], seed=0)
    assert entry["difference"]["p"] > 0.05
    if metric.is_proportion:
        assert entry["tuned"]["low"] < 0.5
        assert math.isnan(entry["difference"]["detectable"])
