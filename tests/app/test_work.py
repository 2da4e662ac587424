"""What an arm has to compute, counted against what is read."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_recipes import classifier

from tunesmith.app.arms import arm_recipe
from tunesmith.app.retention import Retention
from tunesmith.app.task import Task, prepare
from tunesmith.app.work import _per_key, base_work, counted
from tunesmith.core.events import silence


@pytest.fixture
def task(decoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> Task:
    recipe = classifier(decoder_folder, reviews_csv, tmp_path / "out", objective="classify")
    return prepare(recipe, silence)


def test_labels_are_chosen_after_a_question_which_is_longer_than_what_a_head_reads(task: Task) -> None:
    examples = task.splits["test"].examples
    asked = sum(map(len, task.encoder.prompts(examples)))
    assert base_work(task).read_tokens == pytest.approx(asked)
    assert asked > sum(row.num_tokens for row in task.splits["test"].rows)


def test_a_beginning_that_questions_share_is_read_seldom_and_attended_by_all(task: Task) -> None:
    recipe = arm_recipe(task.recipe, "few", ["method=none", "context=few_shot", "context.shots=[2]"])
    few = replace(task, recipe=recipe)
    plain = base_work(task).read_tokens
    found = counted(few, Retention({}), asks_base=False).read_tokens
    train = task.splits["train"].examples
    before = 2 * sum(map(len, task.encoder.prompts(train[:200]))) / len(train[:200])
    assert found == pytest.approx(plain * (1 + before * _per_key(task)) + before, rel=1e-3)
    assert _per_key(task) > 0
