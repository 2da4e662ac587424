"""`tunesmith runs mean`: chains of several seeds, written here by hand, and what is said of them together."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app.chain_means import chain_means
from tunesmith.cli.main import run as command
from tunesmith.core.errors import RunError, UsageError
from tunesmith.core.run import GroupDirectory
from tunesmith.recipe.text import write_yaml

RIGHT = {"plain": "1110", "careful": "1111"}
"""Which of four test rows a stage gets right."""


def chain(path: Path, seed: int, right: Mapping[str, str] = RIGHT, rate: float = 0.5, rows: Sequence[str] = "abcd") -> GroupDirectory:
    """A finished chain whose stages are classifiers."""
    group = GroupDirectory(path)
    group.path.mkdir()
    group.asked.write_text(json.dumps({"kind": "stages", "values": list(right)}), encoding="utf-8")
    recipe = {"model": "m", "data": "d", "objective": "classify", "seed": seed, "train": {"learning_rate": rate}}
    group.recipe.write_text(write_yaml({"stages": dict.fromkeys(right, recipe)}), encoding="utf-8")
    for stage, run in group.by_value.items():
        run.path.mkdir()
        run.recipe.write_text(write_yaml(recipe), encoding="utf-8")
        answers = [float(one) for one in right[stage]]
        found = {"tuned": {"value": sum(answers) / 4, "low": 0.0, "high": 1.0}, "rows": 4}
        run.report_json.write_text(json.dumps({"metrics": {"accuracy": found}}), encoding="utf-8")
        lines = [
            {"split": "test", "row": row, "scores": {"tuned": {"accuracy": [answer]}}} for row, answer in zip(rows, answers, strict=True)
        ]
        run.predictions.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    group.set_status("done")
    return group


def test_a_stages_mean_is_that_of_its_seeds_and_its_difference_that_of_the_means(tmp_path: Path) -> None:
    two = [chain(tmp_path / "one", 0), chain(tmp_path / "two", 1, {"plain": "1100", "careful": "1111"})]
    stages = chain_means(two, against="plain")["stages"]
    assert [one["value"] for one in stages["plain"]["values"]] == [0.75, 0.5]
    assert stages["plain"]["tuned"]["value"] == 0.625
    assert stages["plain"]["difference"] is None
    assert stages["careful"]["difference"]["value"] == 0.375


def test_the_interval_holds_what_the_seeds_differ_by(tmp_path: Path) -> None:
    """Every row is right with one seed and wrong with the other, so that rows do not matter: both seeds are of one kind in half of the draws."""
    two = [chain(tmp_path / "one", 0, {"plain": "1111"}), chain(tmp_path / "two", 1, {"plain": "0000"})]
    assert chain_means(two)["stages"]["plain"]["tuned"] == {"value": 0.5, "low": 0.0, "high": 1.0}


def test_the_command_prints_a_line_a_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    two = [str(chain(tmp_path / name, seed).path) for seed, name in enumerate(("one", "two"))]
    assert command(["runs", "mean", *two, "--against", "plain"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "careful" in line)
    assert "1.00" in line
    assert "+0.25" in line
    assert command(["runs", "mean", *two, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "tunesmith/runs-mean/1"


def test_chains_that_have_no_mean_are_refused_in_a_line(tmp_path: Path) -> None:
    one, again, other = chain(tmp_path / "one", 0), chain(tmp_path / "again", 0), chain(tmp_path / "other", 1, rate=0.1)
    rows = chain(tmp_path / "rows", 1, rows="abce")
    unfinished = chain(tmp_path / "unfinished", 1)
    unfinished.set_status("interrupted")
    refused: list[tuple[type[Exception], list[Any], dict[str, str], str]] = [
        (UsageError, [one], {}, "two seeds or more"),
        (UsageError, [one, one], {}, "is named twice"),
        (UsageError, [one, again], {}, "the same seed"),
        (UsageError, [one, one.members[0]], {}, "is no chain"),
        (RunError, [one, other], {}, "stage plain differs"),
        (RunError, [one, rows], {}, "other test rows"),
        (RunError, [one, unfinished], {}, "runs resume"),
        (UsageError, [one, chain(tmp_path / "two", 1)], {"against": "carefull"}, 'Did you mean "careful"'),
        (UsageError, [one, chain(tmp_path / "three", 1)], {"metric": "bleu"}, "measured by bleu"),
    ]
    for kind, groups, options, said in refused:
        with pytest.raises(kind, match=said):
            chain_means(groups, **options)
