"""What an arm has to compute, counted against what is read."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
from tiny_recipes import classifier, writer

from tunesmith.app.arms import arm_recipe
from tunesmith.app.in_context import in_context
from tunesmith.app.known_ways import remember_way
from tunesmith.app.retention import Retention
from tunesmith.app.stand_ins import StandIns
from tunesmith.app.task import Task, prepare
from tunesmith.app.work import _per_key, base_work, counted
from tunesmith.core.errors import DiskFull
from tunesmith.core.events import silence
from tunesmith.engine.tree import num_shared


@pytest.fixture
def task(decoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> Task:
    recipe = classifier(decoder_folder, reviews_csv, tmp_path / "out", objective="classify")
    return prepare(recipe, silence)


def _shared(task: Task) -> int:
    prompts = task.encoder.prompts(task.splits["test"].examples)
    return num_shared(min(prompts), max(prompts))


def test_labels_are_chosen_after_a_question_which_is_longer_than_what_a_head_reads(task: Task) -> None:
    examples = task.splits["test"].examples
    asked = sum(map(len, task.encoder.prompts(examples)))
    assert base_work(task).read_tokens == pytest.approx(asked)  # they begin with less in common than is worth a segment
    assert asked > sum(row.num_tokens for row in task.splits["test"].rows)


def test_what_all_questions_begin_with_is_read_once(decoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    recipe = classifier(decoder_folder, reviews_csv, tmp_path / "out", objective="classify")
    task = prepare(arm_recipe(recipe, "spoken", ["data.system=the cat is on the mat very good"]), silence)
    examples = task.splits["test"].examples
    assert _shared(task) >= 8
    assert base_work(task).read_tokens == pytest.approx(sum(map(len, task.encoder.prompts(examples))) - _shared(task) * len(examples))


def test_a_beginning_that_questions_share_is_read_seldom_and_attended_by_all(task: Task) -> None:
    recipe = arm_recipe(task.recipe, "few", ["method=none", "context=few_shot", "context.shots=[2]"])
    few = replace(task, recipe=recipe)
    plain = base_work(task).read_tokens
    found = counted(few, Retention({}), asks_base=False).read_tokens
    stand_ins = StandIns.of(few)
    (variant,) = stand_ins.ways
    before, num, question = stand_ins.shared(variant), len(task.splits["test"].examples), plain / len(task.splits["test"].examples)
    own = num * (question + max(0.0, stand_ins.tokens(variant) - before))
    assert found == pytest.approx(own * (1 + before * _per_key(task)) + before, rel=1e-3)
    assert before > 0.9 * stand_ins.tokens(variant)
    assert _per_key(task) > 0


def test_what_stands_in_is_as_long_as_what_is_shown(decoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    recipe = classifier(
        decoder_folder, reviews_csv, tmp_path / "out", objective="classify", method="none", context={"name": "few_shot", "shots": [1, 3]}
    )
    task = prepare(recipe, silence)
    stand_ins, chosen = StandIns.of(task), in_context(task, None, silence)
    plain = fmean(map(len, task.encoder.prompts(task.splits["test"].examples)))
    shown = fmean(map(len, chosen.task.encoder.prompts(chosen.task.splits["test"].examples)))
    assert stand_ins.tokens(chosen.shots.variant) == pytest.approx(shown - plain, rel=0.1)
    assert stand_ins.longest.num_shots == 3
    one = stand_ins.strategy.variants()[0]
    remember_way(task, one)
    assert StandIns.of(task).ways == [one]


def test_passages_are_counted_with_the_words_around_them(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("the cat is good . " * 40, encoding="utf-8")
    context = {"name": "retrieval", "documents": str(tmp_path / "documents"), "passages": [1, 2]}
    task = prepare(writer(decoder_folder, pairs_csv, tmp_path / "out", method="none", context=context), silence)
    stand_ins = StandIns.of(task)
    one, two = (stand_ins.tokens(variant) for variant in stand_ins.strategy.variants())
    assert two > one > two / 2
    assert stand_ins.unmade_characters == 18 * 40


def test_a_single_question_is_read_though_it_begins_like_itself(decoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    recipe = arm_recipe(classifier(decoder_folder, reviews_csv, tmp_path / "out", objective="classify"), "one", ["data.limit.test=1"])
    task = prepare(recipe, silence)
    assert base_work(task).read_tokens == len(task.encoder.prompts(task.splits["test"].examples)[0])


def test_raw_texts_begin_with_nothing_in_common(decoder_folder: Path, tmp_path: Path) -> None:
    lines = [
        f"the cat is on the mat very good the dog was {noun} {mood}"
        for noun in ("cat", "dog", "mat", "film")
        for mood in ("good", "bad", "yes", "no")
    ]
    (tmp_path / "texts.txt").write_text("\n\n".join(lines), encoding="utf-8")
    task = prepare(writer(decoder_folder, tmp_path / "texts.txt", tmp_path / "out", evaluate={"prompts": []}), silence)
    assert base_work(task).read_tokens == sum(row.num_tokens for row in task.splits["test"].rows)


def test_examples_beside_documents_are_those_of_the_rows(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("the cat is good . " * 40, encoding="utf-8")
    data = {"train": str(pairs_csv), "documents": str(tmp_path / "documents")}
    recipe = writer(decoder_folder, pairs_csv, tmp_path / "out", context={"name": "few_shot", "shots": [2]})
    task = prepare(recipe.model_copy(update={"data": recipe.data.model_copy(update=data)}), silence)
    stand_ins = StandIns.of(task)
    assert stand_ins.tokens(stand_ins.longest) > 0


def test_a_way_to_ask_that_cannot_be_kept_costs_a_prediction_and_no_run(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(task, recipe=arm_recipe(task.recipe, "few", ["method=none", "context=few_shot"]))

    def full(*_: object, **__: object) -> None:
        raise DiskFull("no space")

    monkeypatch.setattr("tunesmith.app.known_ways.write_json", full)
    remember_way(few, StandIns.of(few).strategy.variants()[0])
    assert len(StandIns.of(few).ways) == 4
