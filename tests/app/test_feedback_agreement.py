"""How far judges agree, against scikit-learn and hand arithmetic."""

import json
from typing import Any

import pytest
from sklearn.metrics import cohen_kappa_score

from tests.app.people import compared, in_an_empty_folder, press, refused, rows_of
from tests.real_data import real_data
from tunesmith.cli.main import run

__all__ = ["in_an_empty_folder", "press", "refused"]


def test_agreement_is_of_those_pairs_that_two_judged_whether_in_rankings_or_not(press: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ann, bob = "1211121212", "1211=21211"
    rows = [
        {
            "prompt": f"question {n}",
            "responses": ["a", "b"],
            "judgements": [
                {"judge": judge, "ranks": {"1": {"1": 1, "2": 2, "=": 1}[said], "2": {"1": 2, "2": 1, "=": 1}[said]}}
                for judge, said in (("ann", one), ("bob", other))
            ],
        }
        for n, (one, other) in enumerate(zip(ann, bob, strict=True))
    ]
    rows.append({"prompt": "alone", "responses": ["a", "b"], "judgements": [compared("ann", "1", "2")]})
    press("", "add", rows_of(*rows))
    found = press("", "agreement")
    assert (found["pairs"]["judged"], found["pairs"]["by_two"]) == (11, 10)
    (kappa,) = found["pairs"]["kappas"]
    assert (kappa["judges"], kappa["pairs"], kappa["share"]["value"]) == (["ann", "bob"], 10, 0.8)
    assert kappa["kappa"]["value"] == pytest.approx(cohen_kappa_score(list(ann), list(bob)))
    # of two raters and kinds without an order: 1 - (2n - 1) * (pairs that differ * 2) / (sum over kinds c != k of n_c * n_k)
    counts = [(ann + bob).count(kind) for kind in "12="]
    assert found["pairs"]["alpha"]["value"] == pytest.approx(1 - 19 * 4 / (20**2 - sum(count**2 for count in counts)))
    assert run(["feedback", "agreement"]) == 0
    out = capsys.readouterr().out
    assert "10 of 11 pairs judged by two or more" in out
    assert "ann and bob" in out
    assert run(["feedback", "list"]) == 0
    assert "ann" in capsys.readouterr().out


def test_agreement_of_grades_knows_their_order(press: Any) -> None:
    def row(number: int, *grades: int) -> dict[str, Any]:
        given = [{"relevance": grade, "coherence": 3, "appropriateness": grade} for grade in grades]
        return {
            "prompt": f"question {number}",
            "responses": ["a"],
            "judgements": [{"judge": f"judge {n}", "grades": {"1": one}} for n, one in enumerate(given)],
        }

    press("", "add", rows_of(*(row(n, *grades) for n, grades in enumerate([(1, 2), (2, 3), (5, 4), (4, 4), (1, 1), (3,)]))))
    found = press("", "agreement")
    relevance = found["grades"]["relevance"]
    assert (relevance["judged"], relevance["by_two"]) == (6, 5)
    # values 1 1 1 2 2 3 4 4 4 5 in pairs; three pairs differ by one
    assert relevance["interval"]["value"] == pytest.approx(1 - 9 * 2 * 3 / sum((a - b) ** 2 for a in (1, 1, 1, 2, 2, 3, 4, 4, 4, 5) for b in (1, 1, 1, 2, 2, 3, 4, 4, 4, 5)))  # fmt: skip
    assert relevance["nominal"]["value"] < relevance["ordinal"]["value"]
    assert found["grades"]["coherence"]["interval"]["value"] is None  # all said the same: there is nothing to agree on
    assert found["pairs"] is None


def test_nothing_judged_is_nothing_to_agree_on(press: Any, refused: Any) -> None:
    press("", "add", rows_of({"prompt": "?", "responses": ["A", "B"]}))
    assert "nothing was judged yet" in refused("agreement")


def test_three_people_of_a_published_test_set_as_scikit_learn_sees_them(press: Any) -> None:
    file = real_data("pandalm_testset") / "testset-v1.json"
    found = press("", "agreement", str(file))
    people = json.loads(file.read_text(encoding="utf-8"))
    assert (found["pairs"]["judged"], found["pairs"]["by_two"]) == (999, 999)
    for one in found["pairs"]["kappas"]:
        votes = [[row[judge] for row in people] for judge in one["judges"]]
        assert one["kappa"]["value"] == pytest.approx(cohen_kappa_score(*votes))
        assert one["share"]["value"] == pytest.approx(sum(a == b for a, b in zip(*votes, strict=True)) / 999)
    kappas = [one["kappa"]["value"] for one in found["pairs"]["kappas"]]
    assert min(kappas) < found["pairs"]["alpha"]["value"] < max(kappas)
