"""What a search will take is counted from the rows that it asks, and predicted as a training is."""

from pathlib import Path
from typing import Any

import pytest
from tiny_recipes import classifier

from tunesmith.app.search_work import search_work
from tunesmith.app.task import prepare
from tunesmith.app.tune import plan, tune
from tunesmith.core.events import silence
from tunesmith.recipe import Recipe, from_mapping


@pytest.fixture(scope="module")
def trained(encoder_folder: Path, reviews: Path, cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that learned a little."""
    return tune(classifier(encoder_folder, reviews, tmp_path_factory.mktemp("runs") / "trained", train={"max_steps": 2})).path


def _recipe(run: Path, data: Path, out: Path, **method: Any) -> Recipe:
    recipe = {
        "model": f"run:{run}",
        "data": {"train": str(data), "columns": {"text": "review", "label": "sentiment"}, "split": {"validation": 0.45, "test": 0.45}},
        "method": {"name": "direct", **method},
        "evaluate": {"retention": "none"},
        "output_dir": str(out),
    }
    return from_mapping(recipe, name="tiny")


def test_scores_are_read_once_and_other_settings_once_a_trial(trained: Path, reviews: Path, tmp_path: Path) -> None:
    task = prepare(_recipe(trained, reviews, tmp_path, adjust=["threshold"]), silence)
    validation, test = (sum(row.num_tokens for row in task.splits[name].rows) for name in ("validation", "test"))
    assert len(task.splits["test"].rows) < 64  # all of them are timed, three times before and three times after
    found = search_work(task, 0)
    assert (found.searched_read_tokens, found.searched_written_tokens, found.num_added) == (validation + 6 * test, 0, 0)
    of_weights = search_work(prepare(_recipe(trained, reviews, tmp_path, adjust=["norms"], trials=7), silence), 0)
    assert of_weights.searched_read_tokens == 7 * validation + 6 * test
    assert of_weights.num_added == 2 * 5 * 32  # gains of five norms of 32 numbers: as they were, and as a trial has them


def test_a_search_is_predicted_where_a_probe_knows_its_model(trained: Path, reviews: Path, tmp_path: Path) -> None:
    recipe = _recipe(trained, reviews, tmp_path / "run", adjust=["norms"], trials=6)
    planned = plan(recipe, probes=lambda event: None)
    assert planned.total_seconds is not None
    assert 0 < planned.train_seconds < planned.total_seconds
    predicted = tune(recipe).report["predicted"]
    assert predicted["train_seconds"] == pytest.approx(planned.train_seconds)
    assert predicted["peak_memory_bytes"] > 0
