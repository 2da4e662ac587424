"""predictions.jsonl: what each row contributed makes the report's metrics, and rows have names to be matched by."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_recipes import classifier, writer

from tunesmith.app.places import places
from tunesmith.app.predictions import read_predictions, row_name, stats_of
from tunesmith.app.run import Run
from tunesmith.app.tune import tune
from tunesmith.app.write_predictions import _asked
from tunesmith.core import registry
from tunesmith.core.errors import RunError
from tunesmith.core.types import Chat, Completion, Message, Metric, Origin
from tunesmith.recipe import from_mapping


def _check(run: Run) -> None:
    """Every metric of every data set, base and tuned, from the rows that are kept."""
    lines = read_predictions(run.directory)
    for place in places(run.report):
        for name, entry in place.metrics(run.report).items():
            metric: Metric = registry.create("metric", name)
            found = place.stats(lines, name)
            assert len(found["row"]) == entry["rows"]
            for side in ("tuned", "base"):
                if entry[side] is None:
                    assert side not in found
                else:
                    assert metric.value(np.array(found[side], dtype=np.float64)) == pytest.approx(entry[side]["value"], nan_ok=True)


def test_a_classifiers_rows_make_its_metrics_on_the_test_and_on_domains(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("\n".join(json.dumps({"text": f"{noun} {noun} good", "label": "positive"}) for noun in "cat dog mat film".split()))
    run = tune(
        classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"max_steps": 3}, evaluate={"domains": {"other": str(other)}})
    )
    _check(run)
    assert read_predictions(run.directory)[0]["text"].split()[-1] in ("good", "bad")


def test_a_language_models_rows_make_its_metrics_those_of_text_on_the_answered_rows(
    decoder_folder: Path, pairs_csv: Path, tmp_path: Path
) -> None:
    run = tune(
        writer(decoder_folder, pairs_csv, tmp_path / "out", train={"max_steps": 3}, evaluate={"generate_limit": 5, "max_new_tokens": 3})
    )
    _check(run)
    lines = read_predictions(run.directory)
    assert len(stats_of(lines, "rougeL")["row"]) == 5
    assert len(stats_of(lines, "bits_per_byte")["row"]) == 16


def test_the_rows_of_a_mixture_make_the_metrics_of_each_task(
    decoder_folder: Path, reviews_csv: Path, pairs_csv: Path, tmp_path: Path
) -> None:
    recipe: dict[str, Any] = {
        "model": str(decoder_folder),
        "data": {
            "mix": {
                "mood": {"source": str(reviews_csv), "columns": {"text": "review", "label": "sentiment"}},
                "talk": {"source": str(pairs_csv), "columns": {"source": "question", "target": "answer"}},
            },
            "allow_overlap": True,
        },
        "method": "full",
        "train": {"max_steps": 2},
        "evaluate": {"max_new_tokens": 3, "generate_limit": 4},
        "output_dir": str(tmp_path / "out"),
    }
    run = tune(from_mapping(recipe, name="mixed"))
    assert set(run.report["tasks"]) == {"mood", "talk"}
    _check(run)
    assert row_name(read_predictions(run.directory)[0]).startswith("mood: ")


def test_an_encoder_with_a_head_of_numbers_keeps_its_rows_too(encoder_folder: Path, tmp_path: Path) -> None:
    rows = [
        {"text": f"{noun} {verb} {'very ' * n}good", "label": n * 1.5}
        for noun in "cat dog mat film".split()
        for verb in ("is", "was")
        for n in range(4)
    ]
    (tmp_path / "rated.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = {"model": str(encoder_folder), "data": str(tmp_path / "rated.jsonl"), "objective": "regress", "train": {"max_steps": 2}}
    _check(tune(from_mapping({**recipe, "output_dir": str(tmp_path / "out")}, name="rated")))


def test_a_metric_without_rows_is_not_measured() -> None:
    entry = {"tuned": {"value": 1.0}}
    report = {
        "metrics": {"accuracy": entry, "rougeL": {"tuned": None}},
        "tasks": {"talk": {"metrics": {"bleu": entry}}},
        "domains": {"far": {"metrics": {}}},
    }
    assert [(place.name, list(place.metrics(report))) for place in places(report)] == [
        ("test", ["accuracy"]),
        ("talk", ["bleu"]),
        ("far", []),
    ]


def test_a_run_without_scores_or_without_a_report_is_refused(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"max_steps": 1}))
    lines = [json.loads(line) for line in run.directory.predictions.read_text(encoding="utf-8").splitlines()]
    run.directory.predictions.write_text("\n".join(json.dumps({k: v for k, v in line.items() if k != "scores"}) for line in lines))
    with pytest.raises(RunError, match="holds no scores of its rows"):
        read_predictions(run.directory)
    run.directory.report_json.unlink()
    with pytest.raises(RunError, match="did not get that far"):
        read_predictions(run.directory)


def test_what_was_asked_in_several_turns_is_kept_as_turns_too() -> None:
    turns = [Message("system", "Be brief."), Message("user", "Cat?"), Message("assistant", "Cat.")]
    assert _asked(Chat(tuple(turns), Origin("x", 1))) == {
        "prompt": "Be brief.\nCat?",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Cat?"}],
    }
    assert _asked(Chat(tuple(turns[1:]), Origin("x", 1))) == {"prompt": "Cat?"}
    assert _asked(Completion("Cat?", "Cat.", Origin("x", 1))) == {"prompt": "Cat?"}
