"""`tunesmith evaluate`: options are handed on, a table for people, one document for programs."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tunesmith.cli.main import run


def _entry(value: float, half: float = 0.1, **more: Any) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "rows": 40, **more}


def _measured(model: str, shift: float) -> dict[str, Any]:
    average = {"metric": "acc", **_entry(0.3 + shift), "tasks": 2, "categories": {"STEM": _entry(0.4 + shift), "other": _entry(0.2)}}
    none = {"value": 0.5 + shift, "low": None, "high": None, "rows": 3}
    return {
        "model": model,
        "suites": {"mmlu": {"mmlu_anatomy": {"acc": _entry(0.31)}}, "gsm8k": {"gsm8k": {"exact_match,strict-match": none}}},
        "averages": {"mmlu": average},
    }


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """`tunesmith.app.evaluate` without a model; what it was asked."""
    seen: dict[str, Any] = {}

    def evaluate(target: str, suites: list[str], **options: Any) -> dict[str, Any]:
        seen.update(target=target, suites=suites, **options)
        sys.stdout.write("a library that prints\n")
        document = {**_measured("tuned", 0.1), "cut": {}, "seconds": 61.0, "out": "runs/evaluations/tuned-1", "settings": {}}
        if options["base"]:
            base = _measured("base", 0.0)
            gaps = {
                "suites": {
                    "gsm8k": {"gsm8k": {"exact_match,strict-match": {**_entry(0.1), "p": 0.004, "test": "mcnemar", "detectable": None}}}
                }
            }
            average = {
                **_entry(0.1),
                "p": 0.0003,
                "detectable": 0.08,
                "categories": {"STEM": {**_entry(0.1), "p": 0.2, "detectable": 0.2}, "other": {**_entry(0.0), "p": 1.0}},
            }
            document |= {"base": base, "differences": {**gaps, "averages": {"mmlu": average}}}
        return document

    module = ModuleType("tunesmith.app.evaluate")
    module.__dict__["evaluate"] = evaluate
    monkeypatch.setitem(sys.modules, "tunesmith.app.evaluate", module)
    return seen


def test_options_are_handed_on(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "evaluate m --suite mmlu,bbh --suite gsm8k --data d --limit 5 --num-fewshot 2 --no-base --chat-template --out o".split()
    assert run(arguments) == 0
    assert asked["suites"] == ["mmlu", "bbh", "gsm8k"]
    expected = {"target": "m", "data": Path("d"), "limit": 5, "num_fewshot": 2, "base": False, "chat_template": True, "out": Path("o")}
    assert {key: asked[key] for key in expected} == expected


def test_json_is_one_document(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "m", "--suite", "mmlu", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "tunesmith/evaluate/1"
    assert document["suites"]["mmlu"]["mmlu_anatomy"]["acc"]["rows"] == 40


def test_the_table_shows_average_categories_and_differences(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    assert run(["evaluate", "m", "--suite", "mmlu"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "mmlu acc 0.30 (0.20–0.40) 0.40 (0.30–0.50) +0.10 (0.00–0.20) 0.08 < 0.001 40" in lines
    assert "STEM acc 0.40 (0.30–0.50) 0.50 (0.40–0.60) +0.10 (0.00–0.20) 0.20 0.20 40" in lines
    assert not any("mmlu_anatomy" in line for line in lines)
    assert any(line.startswith("gsm8k exact_match,strict-match 0.500 0.600 ") for line in lines)
    assert lines[-1].endswith("every task and every answer: runs/evaluations/tuned-1")


def test_where_the_terminal_is_narrow_intervals_stand_below_and_no_column_is_lost(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["evaluate", "m", "--suite", "mmlu"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    at = lines.index("mmlu acc 0.30 0.40 +0.10 0.08 < 0.001 40")
    assert lines[at + 1] == "(0.20–0.40) (0.30–0.50) (0.00–0.20)"


def test_without_a_base_a_score_stands_alone(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "m", "--suite", "mmlu", "--no-base"]) == 0
    assert "mmlu acc 0.40 (0.30–0.50) 40" in [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
