"""A judgement in words: the agreement with people stands beside the win rate, whatever came of either."""

from typing import Any

import pytest

from tests.report.example_reports import estimate, generation
from tunesmith.report.judgement import judgement_facts, judgement_sentences
from tunesmith.report.page import page
from tunesmith.report.summary import summarize

AGREEMENT = {
    "data": "/data/people.json",
    "judged": 900,
    "agreement": estimate(0.66),
    "kappa": estimate(0.4),
    "people": {"annotators": 3, "agreement": 0.8, "kappa": 0.67},
}


def judged(low: float = 0.55, high: float = 0.75, **changes: Any) -> dict[str, Any]:
    return {
        "judge": {"model": "some-judge"},
        "rows": 52,
        "judged": 50,
        "wins": 25,
        "ties": 15,
        "losses": 10,
        "same_answers": 5,
        "win_rate": {"value": 0.65, "low": low, "high": high},
        "p": 0.02,
        "consistency": estimate(0.7, 0.1),
        "excluded": {"unreadable": 2},
        "agreement": AGREEMENT,
        **changes,
    }


def facts(entry: dict[str, Any]) -> dict[str, str]:
    return {name: value.replace("\u00a0", " ") for name, value in judgement_facts(entry)}


def test_the_agreement_stands_beside_the_win_rate() -> None:
    found = facts(judged())
    assert found["win rate, ties half"] == "0.65 (0.55–0.75), p = 0.02"
    assert found["pairs"] == "25 wins, 15 ties, 10 losses (5 of the ties are the same answer)"
    assert found["agreement of the judge with people"].startswith("0.66 (0.64–0.68), kappa 0.40")
    assert "900 pairs of people.json; people with each other 0.80" in found["agreement of the judge with people"]
    assert found["left out"] == "2 without a verdict that could be read"


def test_what_was_not_measured_is_said_so() -> None:
    found = facts(judged(agreement=None, consistency=None, excluded={}))
    assert found["agreement of the judge with people"].startswith("not measured: tunesmith judge check")
    assert found["same verdict in both orders"] == "nothing was asked"
    assert "left out" not in found
    assert "its agreement with people was not measured" in judgement_sentences(judged(agreement=None))[0]


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.55, 0.75, "prefers the tuned"), (0.3, 0.45, "prefers the base's"), (0.4, 0.6, "no clear preference")]
)
def test_a_preference_is_clear_where_its_interval_leaves_out_a_half(low: float, high: float, words: str) -> None:
    (sentence,) = judgement_sentences(judged(low, high))
    assert words in sentence
    assert "agrees with people on 0.66 of pairs" in sentence


def test_a_failed_judge_is_shown_with_its_error() -> None:
    entry = {"judge": {"model": "some-judge"}, "rows": 52, "error": "judge some-judge: <none> of 52 pairs could be judged."}
    assert facts(entry)["failed"] == entry["error"]
    assert judgement_sentences(entry) == ["The judge some-judge gave no verdict."]
    assert "&lt;none&gt; of 52" in page(generation() | {"judge": entry})


def test_the_page_and_the_summary_have_the_judgement_only_where_there_is_one() -> None:
    assert 'id="judge"' not in page(generation())
    report = generation() | {"judge": judged()}
    assert 'id="judge"' in page(report)
    assert "The judge some-judge prefers the tuned answers" in summarize(report).text
