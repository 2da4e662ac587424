"""Commands are thin doors: what they print is what the app and the run directory say."""

import io
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.report.example_reports import classification, run_with
from tunesmith import recipe
from tunesmith.cli.main import run
from tunesmith.core.types import Message


@pytest.fixture
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with two runs, one of them finished."""
    monkeypatch.chdir(tmp_path)
    for name, status in (("first-1", "done"), ("second-2", "interrupted")):
        made = run_with(classification(), tmp_path / "runs" / name)
        made.recipe.write_text("model: m\n", encoding="utf-8")
        made.set_status(status)
    (tmp_path / "runs" / "second-2" / "report.json").unlink()
    return tmp_path / "runs"


def fake_app(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
    module = ModuleType(f"tunesmith.app.{name}")
    module.__dict__.update(contents)
    monkeypatch.setitem(sys.modules, f"tunesmith.app.{name}", module)


def test_runs_list_shows_each_run_with_its_first_metric(runs_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", "list"]) == 0
    first, second = (line for line in capsys.readouterr().out.splitlines() if "-1 " in line or "-2 " in line)
    assert "done" in first
    assert "accuracy" in first
    assert "interrupted" in second


def test_runs_list_as_json(runs_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", "list", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "tunesmith/runs/1"
    assert [(one["run"], one["status"]) for one in document["runs"]] == [("first-1", "done"), ("second-2", "interrupted")]


def test_runs_list_without_runs_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["runs", "list"]) == 0
    assert "tunesmith tune reviews" in capsys.readouterr().err


def test_runs_show_finds_a_run_by_the_beginning_of_its_id(runs_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", "show", "fir", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "tunesmith/tune/1"


def test_runs_show_of_an_unfinished_run_says_how_to_go_on(runs_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", "show", "second"]) == 2
    assert "tunesmith runs resume runs/second-2" in capsys.readouterr().err


def test_runs_rm_asks_unless_told_not_to(runs_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert run(["runs", "rm", "first-1"]) == 2
    assert "Add --yes" in capsys.readouterr().err
    assert (runs_folder / "first-1").is_dir()
    assert run(["runs", "rm", "first-1", "--yes"]) == 0
    assert not (runs_folder / "first-1").exists()
    assert (runs_folder / "second-2").is_dir()


def test_recipe_show_is_a_recipe_that_loads_back_equal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "show", "reviews", "train.epochs=3"]) == 0
    shown = recipe.parse(capsys.readouterr().out, name="other")
    assert shown == recipe.load("reviews", ["train.epochs=3"])


def test_recipe_list_names_the_shipped_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "list", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["recipes"]] == [*recipe.shipped_recipes(), *recipe.shipped_chains()]


def test_recipe_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["required"] == ["model", "data"]


def test_data_preview_marks_what_is_learned(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[tuple[str, int, int]] = []

    def preview(loaded: recipe.Recipe, rows: int, start: int) -> list[dict[str, Any]]:
        asked.append((loaded.name, rows, start))
        tokens = [(7, "user: hi", False), (8, "\n", False), (9, "hel", True), (10, "lo", True)]
        pieces = [("user: hi\n", False), ("hello", True)]
        return [{"origin": "chat.jsonl:12", "pieces": pieces, "tokens": tokens, "num_tokens": 1234, "num_cut": 5}]

    fake_app(monkeypatch, "preview", preview=preview)
    assert run(["data", "preview", "small-talk", "--rows", "1"]) == 0
    out = capsys.readouterr().out
    assert asked == [("small-talk", 1, 1)]
    assert "chat.jsonl:12 · 1,234 tokens · 5 more were cut off\nuser: hi\n⟦hello⟧" in out
    assert run(["data", "preview", "small-talk", "--start", "4", "--tokens"]) == 0
    assert "user: hi│\n│⟦hel⟧│⟦lo⟧" in capsys.readouterr().out
    assert asked[1] == ("small-talk", 3, 4)


def test_predict_hands_run_file_and_out_on(runs_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Any] = []

    def predict_file(found: Any, file: Path, out: Path, *, progress: Any, **options: Any) -> dict[str, Any]:
        seen.extend((found.id, file, out, options))
        return {"rows": 2000}

    fake_app(monkeypatch, "predict", predict_file=predict_file)
    assert run(["predict", "first", "in.csv", "-o", "out.csv", "--column", "text=a=b", "--max-new-tokens", "3", "--overwrite"]) == 0
    assert seen == [
        "first-1",
        Path("in.csv"),
        Path("out.csv"),
        {"columns": {"text": "a=b"}, "max_new_tokens": 3, "overwrite": True, "skip_invalid": False},
    ]
    assert capsys.readouterr().err == "2,000 rows predicted: out.csv\n"


class FakeChat:
    """Says how many messages it was given."""

    def __init__(self, model: str, *, against: str | None, max_new_tokens: int | None) -> None:
        assert (model, against, max_new_tokens) == ("tuned", "base", None)

    def answer(self, messages: Sequence[Message], *, against: bool = False) -> Iterator[str]:
        yield from (f"{len(messages)}", "B" if against else "T")


def test_chat_remembers_the_conversation_and_forgets_it_at_an_empty_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_app(monkeypatch, "chat", Chat=FakeChat)
    monkeypatch.setattr(sys, "stdin", io.StringIO("hi\nand?\n\nagain\n"))
    assert run(["chat", "tuned", "--against", "base"]) == 0
    assert capsys.readouterr().out == "base: 1B\ntuned: 1T\nbase: 3B\ntuned: 3T\nbase: 1B\ntuned: 1T\n"


def test_chat_answers_what_stands_before_a_line_that_is_not_utf8(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_app(monkeypatch, "chat", Chat=FakeChat)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hi\ncaf\xe9\n"), encoding="utf-8"))
    assert run(["chat", "tuned", "--against", "base"]) == 3
    captured = capsys.readouterr()
    assert captured.out == "base: 1B\ntuned: 1T\n"
    assert captured.err == "error: standard input:2: not UTF-8. Convert it first, for example: iconv -f LATIN1 -t UTF-8 FILE\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_chat_is_130_and_one_line(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Killed(FakeChat):
        def answer(self, messages: Sequence[Message], *, against: bool = False) -> Iterator[str]:
            yield "half "
            os.kill(os.getpid(), number)
            yield "never said"

    fake_app(monkeypatch, "chat", Chat=Killed)
    monkeypatch.setattr(sys, "stdin", io.StringIO("hi\n"))
    assert run(["chat", "tuned", "--against", "base"]) == 130
    assert capsys.readouterr() == ("base: half \n", "error: interrupted.\n")


def test_doctor_says_what_the_machine_offers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_TOKEN", "a secret")
    assert run(["doctor", "--json"]) == 0
    out = capsys.readouterr().out
    found = json.loads(out)
    assert found["devices"][0] == "cpu"
    assert found["num_cores"] >= 1
    assert found["cache"] == str(tmp_path)
    assert found["disk_free_bytes"] > 0
    assert found["cached_models"] == []
    assert "a secret" not in out


def test_doctor_without_torch_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from importlib import metadata

    from tunesmith.app import doctor

    def version(package: str) -> str:
        if package == "torch":
            raise metadata.PackageNotFoundError(package)
        return "1"

    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path))
    monkeypatch.setattr(metadata, "version", version)
    found = doctor.examine()
    assert found["problems"][0] == "torch is not installed. Install it: pip install torch"
    assert (found["devices"], found["cached_models"]) == ([], [])
