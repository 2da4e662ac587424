"""The commands for several runs: tune --seeds and --curve, runs list, show, rm and compare."""

import io
import json
import sys
from pathlib import Path

import pytest

from tests.report.example_groups import compared_runs, curve, seeds
from tests.report.example_reports import classification, run_with
from tunesmith.cli.main import run
from tunesmith.core.run import GroupDirectory


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a run, a finished group and one that was interrupted."""
    monkeypatch.chdir(tmp_path)
    made = run_with(classification(), tmp_path / "runs" / "alone-1")
    made.recipe.write_text("model: m\n", encoding="utf-8")
    made.set_status("done")
    for name, kind, values, document in (("reviews-seeds-1", "seeds", [0, 1, 2], seeds()), ("reviews-curve-1", "curve", [0.1, 1.0], None)):
        group = GroupDirectory(tmp_path / "runs" / name)
        group.path.mkdir()
        group.asked.write_text(json.dumps({"kind": kind, "values": values}), encoding="utf-8")
        group.recipe.write_text("model: m\n", encoding="utf-8")
        group.set_status("done" if document else "interrupted")
        if document:
            group.group_json.write_text(json.dumps(document), encoding="utf-8")
            for member in group.members[:2]:
                run_with(classification(), member.path).recipe.write_text("model: m\n", encoding="utf-8")
    return tmp_path


def test_runs_list_has_a_line_a_group_and_none_for_its_runs(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    assert run(["runs", "list"]) == 0
    out = capsys.readouterr().out
    assert "alone-1" in out
    line = next(line for line in out.splitlines() if "reviews-seeds-1" in line)
    assert all(part in line for part in ("done", "3 seeds", "accuracy", "0.680", "0.846"))
    assert "interrupted" in next(line for line in out.splitlines() if "reviews-curve-1" in line)
    assert "seed-0" not in out
    assert run(["runs", "list", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["run"] for one in document["runs"]] == ["alone-1"]
    assert {one["group"]: one["runs"] for one in document["groups"]} == {
        "reviews-seeds-1": ["seed-0", "seed-1", "seed-2"],
        "reviews-curve-1": ["part-0.1", "part-1.0"],
    }


def test_runs_show_prints_a_group_and_says_which_of_its_runs_is_gone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", "show", "reviews-seeds"]) == 0
    out = capsys.readouterr().out
    assert "seed-1 *" in out
    assert "Over 3 seeds accuracy is 0.846" in out
    assert "removed since: seed-2" in out
    assert run(["runs", "show", "reviews-seeds-1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "tunesmith/seeds/1"
    assert run(["runs", "show", "reviews-curve-1"]) == 2
    assert "tunesmith runs resume runs/reviews-curve-1" in capsys.readouterr().err


def test_runs_show_prints_a_curve(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "runs" / "reviews-curve-1" / "group.json").write_text(json.dumps(curve()), encoding="utf-8")
    assert run(["runs", "show", "reviews-curve-1"]) == 0
    out = capsys.readouterr().out
    assert "960 rows" in out
    assert "More data helps: from 960 to 3,200 rows" in out


def test_runs_rm_removes_a_group_with_its_runs(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert run(["runs", "rm", "reviews-seeds-1/seed-0", "--yes"]) == 0
    assert not (folder / "runs" / "reviews-seeds-1" / "seed-0").exists()
    assert run(["runs", "rm", "reviews-seeds-1", "--yes"]) == 0
    assert not (folder / "runs" / "reviews-seeds-1").exists()
    assert (folder / "runs" / "alone-1").is_dir()


def test_a_verb_of_runs_is_told_which_runs_a_group_has(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "reviews-seeds-1", "in.csv", "-o", "out.csv"]) == 2
    assert "is a group of runs. Name one of them: runs/reviews-seeds-1/seed-0, runs/reviews-seeds-1/seed-1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seeds", "0"], "seeds: found 0, expected a whole number of at least 2"),
        (["--curve", "2.0"], "curve: found 2.0, expected parts of the training rows, above 0 and at most 1"),
        (["--curve", "a,b"], "--curve: a,b: expected numbers parted by commas"),
        (["--curve", "0.1,1", "--seeds", "2"], "--curve: stands beside --seeds"),
        (["--seeds", "2", "--dry-run"], "--dry-run: plans a single run"),
    ],
)
def test_wrong_options_are_one_line_and_exit_code_2(
    options: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tune", "reviews", *options]) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert captured.count("\n") == 1


def test_runs_compare_prints_the_document_or_a_table_and_writes_a_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def compare_runs(directories: list[GroupDirectory], *, num_rows: int) -> dict[str, object]:
        asked.append(([one.id for one in directories], num_rows))
        return compared_runs()

    monkeypatch.setattr("tunesmith.app.compare_runs.compare_runs", compare_runs)
    assert run(["runs", "compare", "alone-1", "reviews-seeds-1/seed-0", "--rows", "4", "--html", "page.html"]) == 0
    out = capsys.readouterr().out
    assert asked == [(["alone-1", "seed-0"], 4)]
    for part in (
        "worse −0.030",
        "method.r",
        "A: negative (1.00)",
        "B: positive (0)",
        "40 test rows were answered otherwise",
        "note: tweets",
    ):
        assert part in out
    assert "runs side by side" in (folder / "page.html").read_text(encoding="utf-8")
    assert run(["runs", "compare", "alone-1", "reviews-seeds-1/seed-0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "tunesmith/runs-compare/1"


@pytest.mark.parametrize("width", [200, 100, 84])
def test_runs_compare_cuts_no_number_and_no_name_of_a_metric(
    width: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = compared_runs()
    document["runs"] = [document["runs"][0], *document["runs"][1:] * 2]
    for entry in document["comparisons"]:
        entry |= {"values": [entry["values"][0], *entry["values"][1:] * 2], "differences": entry["differences"] * 2}
    document["recipe"] = {"model.source": [f"run:/some/where/far/away/from/here/{name}/{'x' * 30}" for name in ("one", "two", "three")]}
    document |= {"cost": {"train_seconds": [30.0, 65.0, 80.0]}, "rows": []}
    monkeypatch.setattr("tunesmith.app.compare_runs.compare_runs", lambda *_, **__: document)
    monkeypatch.setenv("COLUMNS", str(width))
    assert run(["runs", "compare", "alone-1", "reviews-seeds-1/seed-0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    words = " ".join(lines[: next(at for at, line in enumerate(lines) if line.startswith(" recipe"))])
    assert "…" not in words
    for part in ("accuracy", "tweets", "0.850", "0.710", "p (Holm)"):
        assert part in words
    assert words.count("worse −0.030") == 2


def test_runs_compare_of_a_run_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", "compare", "alone-1", "nothing"]) == 2
    assert "nothing: no such run" in capsys.readouterr().err
