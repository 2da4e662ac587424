"""`tunesmith advise`: the table, the reasons, the recipe; what is asked on a terminal; what is refused before anything is read."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app import advise as advising
from tunesmith.cli.main import run
from tunesmith.report.advice import read_advice

LORA = {"text": "As good.", "weight": 1, "source": "Hu et al. (2021), LoRA", "address": "https://arxiv.org/abs/2106.09685"}
ARM = {
    "fits": True,
    "worth_trying": True,
    "peak_memory_bytes": 9e8,
    "train_seconds": 60.0,
    "total_seconds": 90.0,
    "disk_bytes": 2e7,
    "reasons": [LORA],
}


def document(want: str | None) -> dict[str, Any]:
    arms = {
        "base": {**ARM, "train_seconds": 0.0, "total_seconds": 4.0, "reasons": []},
        "lora": ARM,
        "full": {**ARM, "fits": False, "worth_trying": False, "total_seconds": 200.0, "reasons": []},
        "slow": {**ARM, "total_seconds": 900.0},
    }
    return {
        "schema": "tunesmith/advise/1", "name": "reviews", "want": want or "behaviour", "assumed": want is None,
        "task": {"objective": "classify", "kind": "classification"}, "model": "minilm-l6",
        "data": {"source": "movie-reviews", "train_rows": 4000, "validation_rows": 500, "test_rows": 2000},
        "machine": {"available_memory_bytes": 10**10}, "probe": {}, "arms": arms, "left_out": {"few_shot": "it does not go on with a text."},
        "recommended": ["base", "lora"], "recipe": "name: reviews\narms: [base, lora]\n",
    }  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str | None]:
    """What was wanted, of an advice that answers at once."""
    wants = list[str | None]()

    def advise(recipe: Any, *, want: str | None, probes: bool, progress: Any) -> dict[str, Any]:
        wants.append(want)
        return document(want)

    monkeypatch.setattr(advising, "advise", advise)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return wants


def test_the_table_calls_its_numbers_predictions_and_each_reason_names_its_source(
    asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["advise", "reviews", "--want", "behaviour"]) == 0
    out = capsys.readouterr().out
    assert all(title in out for title in ("predicted memory", "predicted training", "predicted time", "predicted disk"))
    (line,) = [line for line in out.splitlines() if line.strip().startswith("lora  ")]
    assert all(part in line.replace("\u202f", " ") for part in ("compare", "yes", "900 MB", "1 min 00 s", "1 min 30 s", "20.0 MB"))
    assert "lora: + As good. [Hu et al. (2021), LoRA, https://arxiv.org/abs/2106.09685]" in out
    assert "few_shot: does not apply: it does not go on with a text." in out
    assert "Left out of the comparison for want of time: slow." in out
    assert "arms: [base, lora]" in out
    assert "tunesmith compare FILE" in out
    assert asked == ["behaviour"]


def test_the_recipe_is_written_and_what_runs_it_is_said(asked: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", "reviews", "--write", "mine.yaml"]) == 0
    out = capsys.readouterr().out
    assert (tmp_path / "mine.yaml").read_text() == document(None)["recipe"]
    assert "tunesmith compare mine.yaml" in out
    assert "arms: [base, lora]" not in out
    assert "Assumed that new behaviour is wanted" in out
    assert run(["advise", "reviews", "--write", "mine.yaml"]) == 2
    assert capsys.readouterr().err == "error: --write: mine.yaml exists already. Name another file.\n"
    assert run(["advise", "reviews", "--write", "none/mine.yaml"]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_on_a_terminal_it_asks_first(asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda *_, **__: 3)
    assert run(["advise", "reviews"]) == 0
    assert asked == ["changing-facts"]
    assert "3  facts that change" in capsys.readouterr().err
    assert run(["advise", "reviews", "--json"]) == 0  # a program is not asked
    assert asked[-1] is None
    monkeypatch.setattr("typer.prompt", lambda *_, **__: 4)
    assert run(["advise", "reviews"]) == 2


def test_json_is_the_document(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", "reviews", "--want", "knowledge", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == document("knowledge")


def test_what_is_wrong_is_one_line(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["advise", "reviews", "--want", "fame"], "--want: fame: expected one of knowledge, behaviour, changing-facts."),
        (["advise", "reviews", "--budget", "soon"], "budget: expected a time such as 90s, 20m or 1.5h"),
        (["advise", "none-such"], "none-such"),
        (["advise", "reviews", "model=none-such", "methd=lora"], "methd"),
    ):
        assert run(arguments) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("error: ")
        assert said in line
    assert asked == []


def test_a_narrow_terminal_has_fewer_columns(asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert run(["advise", "reviews"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 75  # of addresses no part is lost


def test_those_to_compare_come_first_then_the_quickest() -> None:
    assert [row.name for row in read_advice(document(None))] == ["base", "lora", "full", "slow"]
