"""The command line answers at once, ends with the right code, and says what went wrong in one line."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.report.example_reports import classification, run_with
from tunesmith import __version__
from tunesmith.cli.main import run
from tunesmith.cli.output import print_json
from tunesmith.core import errors
from tunesmith.core.events import Notice, Stage

ROOT = Path(__file__).parents[2]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture
def fake_tune(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """`tunesmith.app.tune` without a model: `does` is what it does."""
    fake = SimpleNamespace(does=lambda recipe: None, recipe=None)
    directory = run_with(classification(), tmp_path / "made")

    def tune(recipe: Any, *, progress: Any) -> Any:
        fake.recipe = recipe
        sys.stdout.write("a library that prints\n")
        progress(Stage("data", "movie-reviews"))
        progress(Notice("a notice"))
        fake.does(recipe)
        return SimpleNamespace(path=directory.path)

    module = ModuleType("tunesmith.app.tune")
    module.__dict__.update(
        tune=tune, plan=lambda recipe: SimpleNamespace(to_dict=lambda: {"num_steps": 250, "peak_memory_bytes": 1_500_000_000})
    )
    monkeypatch.setitem(sys.modules, "tunesmith.app.tune", module)
    monkeypatch.setattr("tunesmith.app.tune", module, raising=False)
    monkeypatch.chdir(tmp_path)
    return fake


def test_help_answers_within_three_tenths_of_a_second() -> None:
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "tunesmith", "--help"], capture_output=True, text=True, check=True, cwd=ROOT)
        seconds.append(time.perf_counter() - started)
    assert "tune" in done.stdout
    assert min(seconds) < 0.3, f"{min(seconds):.2f} s"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom tunesmith.cli.main import run\nassert run(['--help']) == 0\n"
        "print([name for name in ('torch', 'transformers', 'numpy', 'pydantic', 'yaml', 'datasets', 'matplotlib', 'lm_eval', 'sqlalchemy', 'alembic') if name in sys.modules], file=sys.stderr)"
    )
    assert python(code).stderr.strip() == "[]"


@pytest.mark.parametrize(
    "module",
    [
        "recipe",
        "recipe.json_schema",
        "report",
        "feedback",
        "feedback.store",
        "cli.tables",
        "cli.progress",
        "core.registry",
        "core.events",
        "core.run",
    ],
)
def test_module_leaves_torch_alone(module: str) -> None:
    done = python(f"import sys, tunesmith.{module}\nprint('torch' in sys.modules, 'transformers' in sys.modules)")
    assert done.stdout.split() == ["False", "False"], done.stderr


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["tune", "--help"], ["runs", "--help"], ["data", "preview", "--help"]])
def test_help_is_on_stdout_and_no_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    assert "Usage: tunesmith" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"tunesmith {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["tun"], "error: No such command 'tun'."),
        (["tune"], "error: Missing argument"),
        (["tune", "reviews", "--jsn"], "error: No such option: --jsn"),
        (["tune", "reviws"], 'error: reviws: no such recipe file, and no shipped recipe of that name. Did you mean "reviews"?'),
        (["tune", "reviews", "train.epoch=3"], 'error: command line: train.epoch: unknown key. Did you mean "epochs"?'),
        (["runs", "show", "nowhere"], "error: nowhere: no such run"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(text)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("TunesmithError", 1),
        ("FetchError", 1),
        ("UsageError", 2),
        ("ModelError", 2),
        ("DataError", 3),
        ("Diverged", 4),
        ("Interrupted", 130),
    ],
)
def test_every_error_has_its_exit_code_and_its_document(
    kind: str, code: int, fake_tune: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(recipe: Any) -> None:
        raise getattr(errors, kind)("train.csv:3,417: broken\n JSON.")

    fake_tune.does = fail
    assert run(["tune", "reviews", "--json"]) == code
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == "error: train.csv:3,417: broken JSON."
    assert json.loads(captured.out) == {
        "schema": "tunesmith/error/1",
        "error": {"kind": kind, "message": "train.csv:3,417: broken JSON.", "exit_code": code},
    }


def test_keyboard_interrupt_is_130(fake_tune: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(recipe: Any) -> None:
        raise KeyboardInterrupt

    fake_tune.does = interrupt
    assert run(["tune", "reviews"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_is_one_line_and_leaves_its_traceback_in_a_file(
    fake_tune: SimpleNamespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNESMITH_DEBUG", raising=False)
    fake_tune.does = lambda recipe: 1 / 0
    assert run(["tune", "reviews"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: ZeroDivisionError: division by zero. This is a bug of tunesmith; please report it with ")
    file = Path(line.rpartition(" ")[2])
    text = file.read_text(encoding="utf-8")
    file.unlink()
    assert "tunesmith tune reviews" in text
    assert "Traceback" in text


def test_json_is_exactly_one_document(fake_tune: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", "reviews", "train.epochs=3", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == json.loads(json.dumps(classification()))
    assert "a library that prints" in captured.err
    assert "data: movie-reviews" in captured.err
    assert fake_tune.recipe.train.epochs == 3


def test_tune_ends_with_the_table_and_the_reports_path(fake_tune: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", "reviews"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("accuracy" in line for line in lines)
    assert lines[-1] == f"report: {Path('made').absolute() / 'report.html'}"


def test_dry_run_prints_the_resolved_recipe_and_the_plan(fake_tune: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", "reviews", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "source: minilm-l6" in out
    assert "250" in out
    assert "1.50\u202fGB" in out
    assert fake_tune.recipe is None


def test_json_has_null_for_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"value": float("nan"), "bounds": [float("-inf"), 1.5]})
    assert capsys.readouterr().out == '{\n "value": null,\n "bounds": [\n  null,\n  1.5\n ]\n}\n'


def test_dry_run_as_json_is_the_plan(fake_tune: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", "reviews", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"num_steps": 250, "peak_memory_bytes": 1_500_000_000}


@pytest.mark.skipif(os.name != "posix", reason="pipes of a POSIX shell")
def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m tunesmith recipe schema | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.stdout[:1], done.stderr) == ("{", "")
