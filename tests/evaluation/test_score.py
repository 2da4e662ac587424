"""Intervals, comparisons, baselines, confusion matrices and changed rows, as report.json has them."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pytest

from tunesmith.core import registry
from tunesmith.core.statistics import bootstrap, compare_proportions, wilson
from tunesmith.core.types import Chat, Completion, Example, Labelled, Message, Origin, Output, Prompt, Text
from tunesmith.evaluation.score import changed, compare, confusion, evaluate_metric, metrics_for, text_of, usual

TRUE = ["neg", "pos"] * 30


def rows(count: int, group: str = "") -> list[Example]:
    return [Labelled(f"text {i}", TRUE[i % 60], Origin("made.csv", i + 1, group=group and f"{group}{i // 4}")) for i in range(count)]


def says(labels: Sequence[str], sure: float = 0.9) -> list[Output]:
    return [Output(label=label, probabilities=(sure, 1 - sure)) for label in labels]


def flipped(every: int) -> list[str]:
    return [("pos" if label == "neg" else "neg") if i % every == 0 else label for i, label in enumerate(TRUE)]


def test_metrics_are_found_by_what_they_read() -> None:
    assert metrics_for({"label"}) == ["accuracy", "balanced_accuracy", "choice_accuracy", "f1", "macro_f1", "mcc", "question_exact_match"]
    assert metrics_for({"probabilities"}) == ["brier", "ece"]
    assert metrics_for(set()) == []


def test_what_says_something_in_special_cases_only_is_measured_on_request() -> None:
    assert usual(metrics_for({"label", "probabilities"})) == ["accuracy", "brier", "ece", "macro_f1", "mcc"]
    texts = ["bits_per_byte", "bleu", "chrf", "exact_match", "perplexity", "rouge1", "rouge2", "rougeL"]
    assert usual(metrics_for({"text", "nll"})) == texts
    on_request = {
        "answer_words",
        "contains_answer",
        "distinct_1",
        "distinct_2",
        "instructions_followed",
        "json_schema",
        "json_valid",
        "normalized_exact_match",
        "rougeLsum",
        "token_f1",
    }
    assert set(metrics_for({"text", "nll"})) - set(texts) == on_request | {"tool_calls_valid"}


def test_accuracy_has_wilsons_interval_and_macro_f1_the_bootstraps() -> None:
    accuracy, f1 = registry.create("metric", "accuracy"), registry.create("metric", "macro_f1")
    found = evaluate_metric(accuracy, rows(60), says(flipped(6)), TRUE, seed=0)
    assert found.interval == wilson(50, 60)
    assert found.stats.shape == (60, 1)
    found = evaluate_metric(f1, rows(60), says(flipped(6)), TRUE, seed=0)
    assert found.interval == bootstrap(found.stats, f1.value, seed=0)
    assert found.interval.low < found.interval.value < found.interval.high


def test_rows_that_share_a_group_or_a_record_are_resampled_together() -> None:
    accuracy, labels = registry.create("metric", "accuracy"), [TRUE[i] if (i // 4) % 3 else "wrong" for i in range(60)]
    alone = evaluate_metric(accuracy, rows(60), says(labels), TRUE, seed=0).interval
    together = evaluate_metric(accuracy, rows(60, group="author "), says(labels), TRUE, seed=0).interval
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    windows: list[Example] = [Text("page", Origin("book.txt", i // 4)) for i in range(60)]
    assert evaluate_metric(accuracy, windows, says(labels), TRUE, seed=0).interval == together
    entry = compare(accuracy, says(flipped(3)), says(labels), rows(60, group="author "), TRUE, seed=0)
    assert entry["difference"]["test"] == "paired bootstrap"
    one_record: list[Example] = [Text("page", Origin("book.txt", 1)) for _ in range(60)]  # its windows are all there is to draw
    assert evaluate_metric(accuracy, one_record, says(labels), TRUE, seed=0).interval == alone


def test_compare_has_the_shape_of_report_json_and_repeats_exactly() -> None:
    entry = compare(registry.create("metric", "accuracy"), says(flipped(3)), says(flipped(10)), rows(60), TRUE, seed=0)
    expected = compare_proportions(np.arange(60) % 3 != 0, np.arange(60) % 10 != 0)
    assert entry == {"higher_is_better": True, "rows": 60, "excluded": 0, **asdict(expected)}
    assert set(entry["difference"]) == {"value", "low", "high", "p", "test", "detectable"}
    mcc = [compare(registry.create("metric", "mcc"), says(flipped(3)), says(flipped(10)), rows(60), TRUE, seed=5) for _ in range(2)]
    assert json.dumps(mcc[0]) == json.dumps(mcc[1])
    assert mcc[0]["difference"]["test"] == "paired bootstrap"
    assert mcc[0]["difference"]["low"] > 0


def test_a_lower_perplexity_is_a_negative_difference() -> None:
    rng = np.random.default_rng(0)
    nats = rng.gamma(5, 8, size=40)
    base, tuned = ([Output(nll_nats=float(n * factor), num_tokens=20, num_bytes=80) for n in nats] for factor in (1.0, 0.8))
    entry = compare(registry.create("metric", "perplexity"), base, tuned, rows(40), [""] * 40, seed=0)
    assert not entry["higher_is_better"]
    assert entry["difference"]["high"] < 0
    assert entry["tuned"]["value"] == pytest.approx(math.exp(0.8 * nats.sum() / 800))


def test_without_a_base_there_is_no_difference() -> None:
    entry = compare(registry.create("metric", "accuracy"), None, says(TRUE), rows(60), TRUE, seed=0)
    assert entry["base"] is None
    assert entry["difference"] is None
    assert entry["tuned"] == asdict(wilson(60, 60))


def test_one_row_is_enough_and_claims_little() -> None:
    entry = compare(registry.create("metric", "accuracy"), says(["pos"]), says(["neg"]), rows(1), ["neg"], seed=0)
    assert entry["tuned"]["low"] < 0.25
    assert entry["difference"]["p"] == 1.0
    assert math.isnan(evaluate_metric(registry.create("metric", "mcc"), rows(1), says(["neg"]), ["neg"], seed=0).interval.low)


def test_what_cannot_be_evaluated_is_refused() -> None:
    accuracy, perplexity = registry.create("metric", "accuracy"), registry.create("metric", "perplexity")
    with pytest.raises(ValueError, match="no rows"):
        evaluate_metric(accuracy, [], [], [], seed=0)
    with pytest.raises(ValueError, match="2 examples, 1 outputs and 2 references"):
        evaluate_metric(accuracy, rows(2), says(["pos"]), TRUE[:2], seed=0)
    with pytest.raises(ValueError, match="reads the label of an output, and output 1 has none"):
        evaluate_metric(accuracy, rows(2), [Output(label="pos"), Output(text="pos")], TRUE[:2], seed=0)
    with pytest.raises(ValueError, match="reads the nll"):
        evaluate_metric(perplexity, rows(1), says(["pos"]), ["pos"], seed=0)


def test_confusion_has_the_truth_in_rows() -> None:
    assert confusion(["neg", "pos"], ["neg", "neg", "pos", "neg"], ["neg", "pos", "pos", "pos"]) == [[1, 2], [0, 1]]
    with pytest.raises(ValueError, match="'maybe' is not one of the labels neg, pos"):
        confusion(["neg", "pos"], ["neg"], ["maybe"])


def test_changed_labels_come_with_the_surest_first() -> None:
    true = ["neg", "pos", "neg", "pos", "neg"]
    base = says(["pos", "neg", "neg", "pos", "pos"])
    tuned = [
        Output(label=label, probabilities=(1 - p, p))
        for label, p in zip(["neg", "pos", "pos", "pos", "pos"], [0.4, 0.8, 0.7, 0.9, 0.99], strict=True)
    ]
    found = changed(rows(5), base, tuned, true)
    assert found is not None
    assert (found["num_better"], found["num_worse"]) == (2, 1)
    assert found["better"][0] == {
        "row": "made.csv:2",
        "text": "text 1",
        "reference": "pos",
        "base": "neg",
        "tuned": "pos",
        "confidence": 0.8,
    }
    assert [entry["row"] for entry in found["better"]] == ["made.csv:2", "made.csv:1"]
    assert [entry["row"] for entry in found["worse"]] == ["made.csv:3"]
    shortened = changed(rows(5), base, tuned, true, limit=1)
    assert shortened is not None
    assert (shortened["num_better"], len(shortened["better"])) == (2, 1)


def test_changed_texts_come_with_the_largest_change_first() -> None:
    asked = [Completion(f"def f{i}(): ...", "", Origin("code", i)) for i in range(4)]
    true = ["Add two numbers.", "Close the file.", "Return the name.", "Same."]
    base = [Output(text=text) for text in ["Add numbers.", "xyz", "Return the name.", "Same."]]
    tuned = [Output(text=text) for text in ["Add two numbers.", "Close the file.", "", "Same."]]
    found = changed(asked, base, tuned, true)
    assert found is not None
    assert [entry["row"] for entry in found["better"]] == ["code:1", "code:0"]
    assert found["worse"] == [
        {
            "row": "code:2",
            "text": "def f2(): ...",
            "reference": "Return the name.",
            "base": "Return the name.",
            "tuned": "",
            "confidence": None,
        }
    ]
    assert changed(asked, None, tuned, true) is None


def test_the_text_of_an_example_is_what_a_person_would_read() -> None:
    origin = Origin("made", 1)
    turns = (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello"))
    assert text_of(Text("raw", origin)) == "raw"
    assert text_of(Labelled("one", "x", origin, text_pair="two")) == "one\ntwo"
    assert text_of(Completion("source", "target", origin)) == "source"
    assert text_of(Chat(turns, origin)) == "Hi"
    assert text_of(Prompt(turns[:2], origin)) == "Hi"
    assert text_of(Prompt((), origin)) == ""
