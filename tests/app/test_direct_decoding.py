"""How a language model's answers are drawn, set by a metric: found, saved, used, and refused where there is nothing to draw."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_recipes import writer

from tunesmith.app import direct as direct_app
from tunesmith.app import settings as settings_app
from tunesmith.app.merge import merge_runs
from tunesmith.app.run import Run
from tunesmith.app.tune import tune
from tunesmith.app.tuned import load_tuned
from tunesmith.core.errors import TunesmithError
from tunesmith.core.run import RunDirectory
from tunesmith.recipe import Recipe, from_mapping
from tunesmith.report.direct import direct as said


def _chosen(monkeypatch: pytest.MonkeyPatch, trial: int) -> None:
    """Let a trial be taken and kept, whatever it is worth."""
    monkeypatch.setattr(direct_app, "best_of", lambda *_, **__: trial)
    monkeypatch.setattr(direct_app, "_is_gain", lambda *_, **__: True)


@pytest.fixture(scope="module")
def talker(decoder_folder: Path, cache: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A language model that learned to answer, and what it learned from."""
    folder = tmp_path_factory.mktemp("talker")
    words = ["cat", "dog", "mat", "film"]
    rows = [(f"the {one} is {two} {three}", f"{'yes' if one < two else 'no'} {three}") for one in words for two in words for three in words]
    with (folder / "pairs.csv").open("w", newline="") as target:
        csv.writer(target).writerows([("question", "answer"), *rows])
    recipe = writer(
        decoder_folder, folder / "pairs.csv", folder / "run", train={"epochs": 3, "learning_rate": 1e-2, "examples_per_step": 8}
    )
    return tune(recipe).path, folder / "pairs.csv"


def _decoded(talker: tuple[Path, Path], out: Path, **method: Any) -> Recipe:
    run, data = talker
    return from_mapping(
        {
            "model": f"run:{run}",
            "data": {"train": str(data), "split": {"validation": 0.4, "test": 0.4}},
            "method": {"name": "direct", **method},
            "evaluate": {"retention": "none", "max_new_tokens": 4, "generate_limit": 12},
            "output_dir": str(out),
        },
        name="tiny",
    )


def test_how_answers_are_drawn_is_saved_with_the_run(talker: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _chosen(monkeypatch, 3)
    aspects = ["sampling_temperature", "top_p", "repetition_penalty"]
    run = tune(_decoded(talker, tmp_path / "run", adjust=aspects, metric="token_f1", trials=5))
    found = {one["name"]: one["to"] for one in run.report["direct"]["numbers"]}
    tuned = load_tuned(RunDirectory(run.path))
    drawn = tuned.forward.decoding
    assert drawn is not None
    assert (drawn.temperature, drawn.top_p) == (found["sampling temperature"], found["top_p"])
    assert drawn.repetition_penalty == found["repetition penalty"]
    lines = [json.loads(line) for line in (run.path / "predictions.jsonl").read_text().splitlines()]
    asked = [line for line in lines if "prompt" in line]
    assert Run(RunDirectory(run.path)).generate([line["prompt"] for line in asked]) == [line["tuned"]["text"] for line in asked]
    (note,) = merge_runs([RunDirectory(run.path)], tmp_path / "merged")["notes"]
    assert f"temperature {found['sampling temperature']:g}, top_p {found['top_p']:g}" in note
    assert "set it where the merged model is asked" in note


def test_a_language_model_that_gained_nothing_answers_as_before(talker: tuple[Path, Path], tmp_path: Path) -> None:
    run = tune(_decoded(talker, tmp_path / "run", adjust=["repetition_penalty"], metric="token_f1", trials=3))
    assert not run.report["direct"]["kept"]
    assert load_tuned(RunDirectory(run.path)).forward.decoding is None
    asked = ["the cat is dog mat", "the mat is dog cat"]
    assert Run(RunDirectory(run.path)).generate(asked) == Run(RunDirectory(talker[0])).generate(asked)
    again = _decoded((run.path, talker[1]), tmp_path / "again", adjust=["repetition_penalty"], metric="token_f1", trials=2)
    assert tune(again).report["status"] == "done"


def _first_words(talker: tuple[Path, Path], folder: Path) -> Path:
    """The questions with the first word of each answer alone: what is written behind it is wrong then."""
    rows = list(csv.DictReader(talker[1].open()))
    with (folder / "first.csv").open("w", newline="") as target:
        csv.writer(target).writerows([("question", "answer"), *((row["question"], row["answer"].split()[0]) for row in rows)])
    return folder / "first.csv"


def test_answers_that_say_too_much_are_cut_where_the_metric_is_best_and_an_asker_may_have_more(
    talker: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes, write = list[int](), settings_app.write_answers
    monkeypatch.setattr(settings_app, "write_answers", lambda task, rows, most: passes.append(most) or write(task, rows, most))  # type: ignore[func-returns-value]
    data = _first_words(talker, tmp_path)
    run = tune(_decoded((talker[0], data), tmp_path / "run", adjust=["max_new_tokens"], metric="token_f1", trials=12))
    assert passes == [4]  # a shorter answer is the beginning of the longest one
    assert run.report["direct"]["found"] == ["answers cut at 1 tokens"]
    assert "tried 12 settings on 12 validation rows, all by cutting answers that were written once" in said(run.report).text
    assert run.report["direct"]["kept"]
    found = run.report["metrics"]["token_f1"]
    # where the first word is right, F1 is 2 * 1/2 * 1 / (1/2 + 1) = 2/3 with the second, and 1 without
    assert found["tuned"]["value"] == pytest.approx(1.5 * found["base"]["value"])
    assert found["base"]["value"] > 0
    assert not any("had not ended" in line for line in run.report["warnings"])
    asked = ["the cat is dog mat", "the mat is dog cat"]
    loaded = Run(RunDirectory(run.path))
    short, long = loaded.generate(asked), loaded.generate(asked, max_new_tokens=4)
    assert [len(text.split()) for text in short] == [1, 1]
    assert long == Run(RunDirectory(talker[0])).generate(asked)
    assert [text.split()[0] for text in long] == short


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"adjust": ["threshold"]}, "a threshold is of a class, and a model of sft writes text"),
        ({"adjust": ["top_p"], "metric": "token_f1"}, "Adjust sampling_temperature beside it"),
        ({"adjust": [{"name": "max_new_tokens", "least": 8}], "metric": "token_f1"}, "answers are cut at evaluate.max_new_tokens, 4"),
        ({"adjust": [{"name": "max_new_tokens", "least": 0}], "metric": "token_f1"}, "expected a least of at least 1"),
        ({"adjust": ["sampling_temperature"], "metric": "perplexity"}, "sampling_temperature changes nothing that perplexity reads"),
    ],
)
def test_what_says_nothing_to_a_model_that_writes_is_refused(
    method: dict[str, Any], message: str, talker: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(TunesmithError) as error:
        tune(_decoded(talker, tmp_path / "run", **method))
    assert message in str(error.value)
    assert not (tmp_path / "run").exists()
