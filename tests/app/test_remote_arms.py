"""Models behind an endpoint as arms of a comparison."""

from pathlib import Path
from typing import Any

import pytest
from remote_model import PRICES, Server, labels
from tiny_recipes import classifier

from tunesmith.app.compare import compare
from tunesmith.cli.main import run


def test_an_endpoint_is_an_arm_beside_trained_ones(
    api: str, decoder_folder: Path, reviews_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [f"model={api}", "model.price_per_million_input=1", "model.price_per_million_output=10", "method=none", "context=few_shot"]
    changes: dict[str, Any] = {
        "train": {"epochs": 1},
        "arms": {"base": None, "head": None, "api": asked},
        "evaluate": {"metrics": ["accuracy"]},
    }
    group = compare(classifier(decoder_folder, reviews_csv, tmp_path / "out", **changes))
    report = group.report
    arm = report["arms"]["api"]
    assert arm["metrics"]["accuracy"]["value"] == 1.0
    assert arm["usd_per_answer"] == pytest.approx(40 / 1e6)
    assert report["arms"]["head"]["usd_per_answer"] == report["arms"]["base"]["usd_per_answer"] == 0
    assert arm["memory_bytes"] is None
    assert report["cost"]["usd"] == pytest.approx(len(Server.asked) * 40 / 1e6)
    assert "api" in report["verdict"]["best"]
    assert run(["runs", "show", str(group.path)]) == 0
    assert "$ per 1,000" in capsys.readouterr().out
    assert "$0.04" in group.directory.report_html.read_text(encoding="utf-8")


def test_a_comparison_of_an_endpoint_alone_loads_no_model(api: str, reviews_csv: Path) -> None:
    group = compare(labels(api, reviews_csv, Path("out")))
    assert list(group.report["arms"]) == ["majority", "base", "few_shot"]
    assert group.report["verdict"]["choice"] == "few_shot"
    assert group.report["arms"]["few_shot"]["usd_per_answer"] is None


def test_the_money_of_a_comparison_is_for_all_arms_together(api: str, reviews_csv: Path) -> None:
    arms = {"two": ["context.shots=[2]"], "four": ["context.shots=[4]"]}
    whole = 45 * 40 / 1e6
    changes = {"model": PRICES, "evaluate": {"max_new_tokens": 2}, "budget_usd": whole + 0.0007}
    group = compare(labels(api, reviews_csv, Path("out"), arms=arms, **changes))
    assert list(group.report["arms"]) == ["two"]
    assert "budget_usd" in group.report["left_out"]["four"]
    assert group.report["cost"]["usd"] == pytest.approx(whole)
    assert len(Server.asked) * 40 / 1e6 <= whole + 0.0007
