"""A run that can be judged, and a judge who presses keys; shared by the tests of people's judgements."""

import io
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.cli.main import run
from tunesmith.core.run import RunDirectory

__all__ = ["BASE", "TUNED", "compared", "finished_run", "in_an_empty_folder", "press", "refused", "rows_of", "shown"]

BASE, TUNED = "the base says", "the tuned model says"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def finished_run(name: str = "tiny-1", *, questions: int = 6, same: Iterable[int] = ()) -> RunDirectory:
    """What a run leaves behind that is read here: of question n, base and tuned model say so, but for `same`."""
    made = RunDirectory(Path("runs") / name)
    made.path.mkdir(parents=True)
    made.recipe.write_text("model: m\n", encoding="utf-8")
    made.report_json.write_text(json.dumps({"model": {"name": "a-base-model"}}), encoding="utf-8")
    lines = [
        {
            "split": "test",
            "row": f"x.csv:{n}",
            "prompt": f"question {n}",
            "tuned": {"text": f"{TUNED} {n}" if n not in same else f"{BASE} {n} "},
            "base": {"text": f"{BASE} {n}"},
            "scores": {},
        }
        for n in range(questions)
    ]
    made.predictions.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    return made


@pytest.fixture
def press(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command with these keys on its standard input, and return its document."""

    def pressed(keys: str, *arguments: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(keys))
        code = run(["feedback", *arguments, "--json"])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        document: dict[str, Any] = json.loads(captured.out)
        return {**document, "screen": captured.err}

    return pressed


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def said(*arguments: str) -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        assert run(["feedback", *arguments]) in (1, 2, 3)
        (error,) = capsys.readouterr().err.splitlines()
        return error.removeprefix("error: ")

    return said


def shown(screen: str) -> list[tuple[str, str, str]]:
    """(prompt, answer 1, answer 2) of each question on the screen."""
    lines = screen.splitlines()
    places = [n for n, line in enumerate(lines) if line == "prompt"]
    return [(lines[n + 1], lines[n + 4], lines[n + 7]) for n in places]


def rows_of(*rows: dict[str, Any]) -> str:
    Path("items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return "items.jsonl"


def compared(judge: str, better: str, worse: str, rank: int = 2) -> dict[str, Any]:
    return {"judge": judge, "ranks": {better: 1, worse: rank}}
