"""The verdict in words, for each way that a run can end."""

from typing import Any

import pytest

from tests.report.example_reports import classification, compared, estimate, generation
from tunesmith.report.summary import Summary, sentences, summarize


def _spaced(summary: Summary) -> str:
    return summary.text.replace("\u00a0", " ")


def _with_accuracy(entry: dict[str, Any], majority: float = 0.514) -> dict[str, Any]:
    report = classification()
    return report | {
        "metrics": {"accuracy": entry},
        "domains": {},
        "baselines": {"majority": {"accuracy": estimate(majority, 0.022)}},
        "curves": {},
    }


def test_clear_gain_names_both_values_the_difference_and_the_test() -> None:
    summary = summarize(_with_accuracy(compared(0.6805, 0.8451, test="mcnemar")))
    assert summary.verdict == "better"
    assert summary.headline == "Better than the zero-shot base"
    assert _spaced(summary) == (
        "LoRA on minilm-l6 with 4,000 rows of movie-reviews raised accuracy from 0.680 (0.660–0.701) zero-shot to 0.845 (0.829–0.861): "
        "+0.165 (0.143–0.186), McNemar's test, p < 0.001, on 2,000 test rows. Always answering the most frequent label scores 0.514."
    )


def test_no_clear_difference_is_said_so_even_where_the_tuned_value_is_higher() -> None:
    summary = summarize(_with_accuracy(compared(0.68, 0.69, p=0.4)))
    assert summary.verdict == "unclear"
    assert summary.headline == "No clear difference from the base"
    assert "made no clear difference to accuracy" in summary.text
    assert "raised" not in summary.text


def test_interval_that_holds_zero_is_unclear_whatever_p_says() -> None:
    assert summarize(_with_accuracy(compared(0.68, 0.69, p=0.04))).verdict == "unclear"


def test_large_p_is_unclear_whatever_the_interval_says() -> None:
    assert summarize(_with_accuracy(compared(0.68, 0.73, p=0.06))).verdict == "unclear"


def test_loss_is_called_worse() -> None:
    summary = summarize(_with_accuracy(compared(0.80, 0.72)))
    assert summary.verdict == "worse"
    assert "lowered accuracy from 0.800" in summary.text
    assert "The tuned model is worse than the base." in summary.text


def test_tuned_below_the_majority_class_is_the_headline_even_after_a_gain() -> None:
    summary = summarize(_with_accuracy(compared(0.50, 0.60), majority=0.70))
    assert summary.verdict == "worse"
    assert summary.headline == "Below the majority class"
    assert "Always answering the most frequent label would score 0.700: better than the tuned model." in summary.text


def test_tuned_no_better_than_the_majority_class_is_said() -> None:
    summary = summarize(_with_accuracy(compared(0.50, 0.60), majority=0.595))
    assert "It is not clearly better than always answering the most frequent label (0.595)." in summary.text


def test_lower_perplexity_is_better() -> None:
    report = generation()
    summary = summarize(report | {"metrics": {"perplexity": compared(19.84, 6.02, 0.7, higher=False)}})
    assert summary.verdict == "better"
    assert "lowered perplexity (lower is better) from 19.84" in summary.text


def test_higher_perplexity_is_worse() -> None:
    summary = summarize(generation() | {"metrics": {"perplexity": compared(6.02, 19.84, 0.7, higher=False)}})
    assert summary.verdict == "worse"
    assert "raised perplexity" in summary.text


def test_other_metrics_and_domains_are_told_apart() -> None:
    said = [line.replace("\u00a0", " ") for line in sentences(classification())]
    assert "Of the other metrics, macro-F1 and MCC improved." in said
    domains = next(line for line in said if line.startswith("Out of its domain"))
    assert "better on tweets, 0.742 to 0.801: +0.059 (0.029–0.089), p < 0.001" in domains
    assert "no clear difference on product-reviews, 0.733 to 0.746" in domains


def test_mixed_metrics_of_a_language_model() -> None:
    assert "Of the other metrics, BLEU, chrF, perplexity and bits per byte improved; exact match shows no clear difference." in sentences(
        generation()
    )


def test_domain_below_its_majority_class_is_said() -> None:
    report = classification()
    report["domains"]["tweets"]["baselines"]["majority"]["accuracy"] = estimate(0.9, 0.01)
    assert "below the majority class (0.900)" in summarize(report).text


def test_without_a_base_the_value_stands_alone() -> None:
    entry = compared(0.5, 0.84) | {"base": None, "difference": None}
    summary = summarize(_with_accuracy(entry))
    assert summary.verdict == "uncompared"
    assert "reached accuracy 0.840 (0.824–0.856)" in summary.text
    assert "no base result to compare with" in summary.text


def test_without_measurements_nothing_is_claimed() -> None:
    summary = summarize({"schema": "tunesmith/tune/1", "task": {"method": "full"}, "model": {"name": "gpt2"}})
    assert summary.verdict == "uncompared"
    assert summary.text == "Full fine-tuning of gpt2 finished; nothing was measured on held-out data."


@pytest.mark.parametrize(
    ("source", "told"),
    [("/home/me/reviews.csv", "of reviews.csv "), ("stanfordnlp/imdb", "of stanfordnlp/imdb "), ("C:\\data\\a.csv", "of a.csv ")],
)
def test_a_path_is_told_by_its_file_name_and_a_hub_id_whole(source: str, told: str) -> None:
    report = classification()
    report["data"]["splits"]["train"]["source"] = source
    assert told in summarize(report).text
