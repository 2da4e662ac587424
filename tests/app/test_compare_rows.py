"""How many test rows a comparison takes: fewer are refused, or rule nothing out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_recipes import classifier, writer

from tunesmith.app.arms import arms_of, fewest_rows
from tunesmith.app.compare import compare
from tunesmith.core.errors import DataError
from tunesmith.core.statistics import bootstrap, holm, mcnemar_exact
from tunesmith.recipe import Recipe, dump, from_mapping
from tunesmith.recipe.text import parse_yaml


def with_test_rows(recipe: Recipe, count: int) -> Recipe:
    return from_mapping(parse_yaml(dump(recipe), recipe.name), name=recipe.name, overrides=[f"data.limit.test={count}"])


@pytest.mark.parametrize("num_arms", [2, 3, 8])
def test_the_fewest_rows_are_those_of_which_the_largest_difference_is_certain(num_arms: int) -> None:
    def clearest(rows: int) -> float:
        return holm([mcnemar_exact(0, rows)] * (num_arms - 1))[0]

    assert clearest(fewest_rows(num_arms)) < 0.05 <= clearest(fewest_rows(num_arms) - 1)


def test_fewer_are_refused_before_anything_is_run(encoder_folder: Path, reviews: Path, tmp_path: Path) -> None:
    recipe = classifier(encoder_folder, reviews, tmp_path / "out", arms=["majority", "base", "head"])
    with pytest.raises(DataError, match="tiny: 6 test rows cannot tell 3 arms apart: it takes 7 until"):
        arms_of(with_test_rows(recipe, 6), is_causal=False)
    assert arms_of(with_test_rows(recipe, 7), is_causal=False).run == ["head"]


def test_a_bootstrap_of_few_rows_rules_nothing_out(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    evaluate: dict[str, Any] = {"metrics": ["chrf"], "max_new_tokens": 4, "generate_limit": 5}
    report = compare(writer(decoder_folder, pairs_csv, tmp_path / "out", arms=["base", "full"], evaluate=evaluate)).report
    assert report["decided_by_rows"] == 5
    assert report["verdict"]["best"] == ["base", "full"]
    assert report["arms"]["full"]["against_choice"]["p"] is None
    assert report["arms"]["full"]["against_choice"]["low"] is None
    assert "on 5 test rows" in report["verdict"]["reason"]
    assert any("chrf stands on 5 rows; of fewer than 20 no interval can be trusted" in warning for warning in report["warnings"])


def test_an_interval_holds_the_truth_less_often_the_fewer_the_rows() -> None:
    draw = np.random.default_rng(0)

    def held(rows: int) -> float:
        found = [bootstrap(draw.normal(size=(rows, 1)), lambda stats_nk: float(stats_nk.mean()), seed=0, resamples=400) for _ in range(250)]
        return sum(one.low <= 0 <= one.high for one in found) / 250

    assert held(2) < 0.6
    assert 0.84 < held(10) < 0.94
    assert held(20) > 0.88
