"""Runs in which nothing is trained: what stands before a question is chosen on validation rows, read by the model, and read again by a run that is loaded."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_recipes import classifier, writer

from tunesmith.app.in_context import in_context
from tunesmith.app.judging import zero_shot
from tunesmith.app.shots import Pool, load_shots, save_shots
from tunesmith.app.task import Task, label_texts
from tunesmith.app.tune import _prepared, plan, tune
from tunesmith.app.tuned import load_tuned
from tunesmith.cli.main import run
from tunesmith.core.context import Variant
from tunesmith.core.errors import RecipeError, RunError, TunesmithError
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Call, Labelled, Message, Origin, Prompt
from tunesmith.recipe import Recipe
from tunesmith.recipe.models import Split


def _shown(recipe: Recipe) -> tuple[Task, Any]:
    task = _prepared(recipe, lambda event: None)
    return task, in_context(task, None, lambda event: None)


def few_shot(**options: Any) -> dict[str, Any]:
    return {"method": "none", "context": {"name": "few_shot", **options}}


def test_a_classifiers_examples_stand_before_the_question_with_their_labels_words(
    decoder_folder: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    words = {"positive": "yes", "negative": "no"}
    recipe = _with_data(classifier(decoder_folder, reviews_csv, tmp_path / "out", **few_shot(shots=[2])), label_texts=words)
    task, chosen = _shown(recipe)
    example = chosen.task.splits["test"].examples[0]
    plain = task.splits["test"].examples[0]
    assert isinstance(example, Labelled)
    assert isinstance(plain, Labelled)
    train = {one.text: one.label for one in task.splits["train"].examples if isinstance(one, Labelled)}
    asked, answers = example.before[0::2], example.before[1::2]
    assert [turn.content for turn in answers] == [words[train[turn.content]] for turn in asked]  # type: ignore[index]
    assert sorted(turn.content for turn in answers) == ["no", "yes"]
    assert (
        task.encoder.spell(chosen.task.encoder.prompt(example))
        == "".join(f"<|{turn.role}|>{turn.content}</s>" for turn in example.before).replace("</s>", " </s> ").replace("|>", "|> ").strip()
        + f" <|user|> {plain.text} </s> <|assistant|>"
    )
    assert chosen.facts["tried"] == []
    assert chosen.facts["num_left_out"] == 0


def test_a_run_says_what_it_tried_and_predicts_as_it_was_judged(
    decoder_folder: Path, reviews_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    recipe = classifier(decoder_folder, reviews_csv, tmp_path / "out", **few_shot(shots=[0, 1, 2], orders=2, validation_rows=10))
    done = tune(recipe)
    report = done.report
    context = report["context"]
    assert [(one["num_shots"], one["order"]) for one in context["tried"]] == [(0, 0), (1, 0), (2, 0), (2, 1)]
    assert context["validation_rows"] == 10
    best = max(one["value"] for one in context["tried"])
    assert context["chosen"] == next(
        {name: one[name] for name in ("template", "num_shots", "order", "num_passages")} for one in context["tried"] if one["value"] == best
    )
    tokens = [one["tokens"] for one in context["tried"]]
    assert tokens[0] < tokens[1] < tokens[2] == tokens[3]
    assert report["curves"]["train"] == []
    assert report["cost"]["trainable_parameters"] == report["cost"]["train_seconds"] == report["cost"]["saved_bytes"] == 0
    assert report["retention"] == {}
    lines = [json.loads(line) for line in done.directory.predictions.read_text(encoding="utf-8").splitlines()]
    predicted = done.predict([line["text"] for line in lines])
    assert [one["label"] for one in predicted] == [line["tuned"]["label"] for line in lines]
    for one, line in zip(predicted, lines, strict=True):
        assert list(one["probabilities"].values()) == pytest.approx(line["tuned"]["probabilities"], abs=1e-5)
    capsys.readouterr()
    assert run(["runs", "show", str(done.path)]) == 0
    assert "in context" in capsys.readouterr().out
    monkeypatch.chdir(done.path.parent)
    (done.path.parent / "runs").mkdir()
    (done.path.parent / "runs" / "shown").symlink_to(done.path)
    assert run(["runs", "list"]) == 0
    assert "classify · few_shot" in capsys.readouterr().out
    page = done.directory.report_html.read_text(encoding="utf-8")
    assert '<section id="context">' in page
    card = done.directory.model_card.read_text(encoding="utf-8")
    assert "## In its context" in card
    tokens = context["tokens"]
    for text in (page, card):
        assert f"{round(tokens['mean'])} tokens on average ({round(context['plain_tokens']['mean'])} for the base)" in text


def test_a_writer_with_nearest_examples_answers_the_same_when_it_is_loaded(
    decoder_folder: Path, encoder_folder: Path, pairs_csv: Path, tmp_path: Path
) -> None:
    changes = few_shot(shots=[2], choose_by="nearest", embedded_by=str(encoder_folder))
    done = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", **changes))
    lines = [json.loads(line) for line in done.directory.predictions.read_text(encoding="utf-8").splitlines()]
    assert done.generate([line["prompt"] for line in lines]) == [line["tuned"]["text"] for line in lines]
    assert done.report["metrics"]["perplexity"]["tuned"]["value"] != done.report["metrics"]["perplexity"]["base"]["value"]
    loaded = load_tuned(done.directory)
    assert loaded.shots is not None
    pool, texts = loaded.shots.pool, [line["prompt"] for line in lines]
    for text, places in zip(texts, loaded.shots.places(texts), strict=True):
        vectors = loaded.shots._vectors([text, *pool.texts])
        assert set(places[:2]) == set(np.argsort(-(vectors[1:] @ vectors[0]), kind="stable")[:2].tolist())
    assert len(loaded._asked([Message("user", texts[0])]).before) == 4


def test_examples_that_do_not_fit_are_left_out_the_farthest_first_and_counted(
    decoder_folder: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    recipe = classifier(decoder_folder, reviews_csv, tmp_path / "out", **few_shot(shots=[8]))
    task, chosen = _shown(recipe)
    room = task.encoder.max_length - 1  # each label is a word
    test = chosen.task.splits["test"].examples
    lengths = [len(prompt) for prompt in chosen.task.encoder.prompts(test)]
    per_shot = 11  # a text of seven words, a label, and around each a role and an end
    assert max(lengths) <= room < min(lengths) + per_shot + 1
    kept = [len(one.before) // 2 for one in test]
    assert set(kept) == {4}
    assert chosen.facts["num_left_out"] == sum(8 - num for num in kept)
    assert chosen.facts["num_short"] == len(test)
    whole = chosen.shots.of(Variant(None, 4), chosen.shots.pool).put(task.splits["test"].examples, task.encoder, room)
    assert whole.examples == list(test)  # the four that are read last are the first four that were chosen


def test_the_wording_is_chosen_by_validation_and_kept(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    templates = ["{source} says", "very very {source}"]
    recipe = writer(decoder_folder, pairs_csv, tmp_path / "out", method="none", context={"name": "zero_shot", "templates": templates})
    done = tune(recipe)
    context = done.report["context"]
    assert [one["template"] for one in context["tried"]] == templates
    assert context["metric"] == "bits_per_byte"
    assert context["chosen"]["template"] == min(context["tried"], key=lambda one: one["value"])["template"]
    loaded = load_tuned(done.directory)
    assert loaded.encoder.template == context["chosen"]["template"]


def test_calibrated_probabilities_are_those_over_what_is_said_of_nothing(decoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    recipe = classifier(decoder_folder, reviews_csv, tmp_path / "out", **few_shot(shots=[2], calibrate=True))
    task, chosen = _shown(recipe)
    rows = list(chosen.task.splits["test"].examples)[:5]
    words, tokenizer = label_texts(task.recipe, task.encoder.labels), task.model.tokenizer
    plain, calibrated = (zero_shot(chosen.task, rows, words, tokenizer, calibrate=calibrate) for calibrate in (False, True))
    nothing = [Labelled(text, None, rows[0].origin, before=rows[0].before) for text in ("N/A", "[MASK]", "")]  # type: ignore[union-attr]
    of_nothing = np.mean([one.probabilities for one in zero_shot(chosen.task, nothing, words, tokenizer)], axis=0)
    for before, after in zip(plain, calibrated, strict=True):
        expected = np.array(before.probabilities) / of_nothing
        assert after.probabilities == pytest.approx(expected / expected.sum(), abs=1e-9)
    middle = zero_shot(chosen.task, nothing, words, tokenizer, calibrate=True)
    assert np.mean([one.probabilities for one in middle], axis=0) == pytest.approx([0.5, 0.5], abs=0.05)


def test_test_rows_play_no_part_in_the_choice(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    recipe = writer(decoder_folder, pairs_csv, tmp_path / "out", **few_shot(shots=[0, 1, 2]))
    task, chosen = _shown(recipe)
    other = _prepared(recipe, lambda event: None)
    other.splits["test"] = other.splits["validation"]
    again = in_context(other, None, lambda event: None)
    assert again.facts["tried"] == chosen.facts["tried"]
    assert again.shots.variant == chosen.shots.variant
    assert not {turn.content for turns in chosen.shots.pool.turns for turn in turns if turn.role == "user"} & {
        getattr(one, "source", "") for name in ("validation", "test") for one in task.splits[name].examples
    }


def test_questions_with_choices_and_a_seed_of_their_own(decoder_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "choices.jsonl"
    rows = [{"question": f"the cat is {'very ' * (n % 3)}good", "choices": ["yes", "no"], "answer": n % 2} for n in range(30)]
    file.write_text(
        "".join(json.dumps(row | {"question": f"{row['question']} {'on ' * n}"}) + "\n" for n, row in enumerate(rows[:20])), "utf-8"
    )
    recipe = writer(decoder_folder, file, tmp_path / "out", **few_shot(shots=[0, 1]))
    done = tune(recipe)
    assert done.report["context"]["metric"] == "accuracy"
    assert list(done.report["metrics"]) == ["accuracy"]


def test_the_base_is_asked_without_the_context(decoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    done = tune(classifier(decoder_folder, reviews_csv, tmp_path / "out", **few_shot(shots=[2])))
    trained = tune(classifier(decoder_folder, reviews_csv, tmp_path / "trained", train={"max_steps": 1}))
    assert done.report["metrics"]["accuracy"]["base"] == trained.report["metrics"]["accuracy"]["base"]
    assert done.report["task"]["base"] == "zero_shot"


def test_a_plan_takes_no_steps(decoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    found = plan(classifier(decoder_folder, reviews_csv, tmp_path / "out", **few_shot()))
    assert (found.num_steps, found.num_training_tokens, found.train_seconds, found.trainable_parameters, found.disk_bytes) == (
        0,
        0,
        0.0,
        0,
        0,
    )
    assert not (tmp_path / "out").exists()


def test_what_a_context_cannot_help_is_one_line(encoder_folder: Path, decoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    for recipe, said in (
        (classifier(encoder_folder, reviews_csv, tmp_path / "out", **few_shot()), "does not go on with a text"),
        (writer(decoder_folder, _raw_text(tmp_path), tmp_path / "out", **few_shot()), "asks it no question"),
        (
            _with_data(classifier(decoder_folder, reviews_csv, tmp_path / "out", **few_shot()), split=Split(validation=0)),
            "there are no validation rows",
        ),
    ):
        with pytest.raises(RecipeError, match=said):
            tune(recipe)
    assert not (tmp_path / "out").exists()


def test_calibration_is_for_labels(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="calibrate: is for labels"):
        tune(writer(decoder_folder, pairs_csv, tmp_path / "out", **few_shot(calibrate=True)))


def test_recipes_that_contradict_themselves_are_refused(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    for changes, said in (
        ({"method": "none"}, "trains nothing, and no context"),
        ({"method": {"name": "none", "r": 4}, "context": "few_shot"}, "method.r: unknown option"),
    ):
        with pytest.raises(RecipeError, match=said):
            writer(decoder_folder, pairs_csv, tmp_path / "out", **changes)


def test_nothing_can_be_merged_or_quantized_of_a_context(
    decoder_folder: Path, reviews_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = tune(classifier(decoder_folder, reviews_csv, tmp_path / "out", **few_shot(shots=[1])))
    for command in (["merge", str(done.path), "--output", str(tmp_path / "merged")], ["quantize", str(done.path), "--to", "int8"]):
        assert run(command) == 2
        assert "trained nothing" in capsys.readouterr().err
    damaged = done.directory.context
    damaged.write_text("{}", encoding="utf-8")
    with pytest.raises(RunError, match="damaged"):
        load_tuned(done.directory)


def _with_data(recipe: Recipe, **changes: Any) -> Recipe:
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=changes)})


def _raw_text(folder: Path) -> Path:
    file = folder / "raw.txt"
    file.write_text("\n\n".join(f"the cat sat on the mat {'very ' * n}" for n in range(40)), encoding="utf-8")
    return file


def test_a_mistake_is_told_by_its_key_before_anything_is_written(
    decoder_folder: Path, reviews_csv: Path, pairs_csv: Path, tmp_path: Path
) -> None:
    labels, pairs = (classifier, reviews_csv), (writer, pairs_csv)
    for (recipe, data), changes, said in (
        (labels, few_shot(templates=["{txt}"]), r"context.templates: the data has no \{txt\}"),
        (labels, few_shot(choose_by="nearest", embedded_by="no-such-encoder"), "context: the encoder of the examples: .*no-such-encoder"),
        (pairs, few_shot(shots=[]), "shots: expected numbers"),
    ):
        with pytest.raises(TunesmithError, match=said):
            tune(recipe(decoder_folder, data, tmp_path / "out", **changes))
    everything = _with_data(writer(decoder_folder, pairs_csv, tmp_path / "out", **few_shot()), loss_on="all")
    with pytest.raises(RecipeError, match="data.loss_on: all would measure how likely the context itself is"):
        tune(everything)
    assert not (tmp_path / "out").exists()


def test_what_is_kept_of_an_example_is_all_that_was_shown(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    task, chosen = _shown(writer(decoder_folder, pairs_csv, tmp_path / "out", **few_shot(shots=[1])))
    turns = (
        Message("user", "what is it", learned=False),
        Message("assistant", "", learned=False, calls=(Call("find", '{"word": "cat"}'),), thought="look"),
        Message("tool", "a cat", learned=False, tool="find"),
        Message("assistant", "a cat", learned=False),
    )
    directory = RunDirectory(tmp_path)
    save_shots(directory.context, replace(chosen.shots, pool=Pool([turns], [""], ["what is it"])))
    again = load_shots(directory, task.recipe)
    assert again.pool.turns == [turns]
    assert (again.variant, again.seed, again.room) == (chosen.shots.variant, chosen.shots.seed, chosen.shots.room)
    answers = [task.encoder.reference(one) for one in task.splits["train"].examples]
    assert chosen.shots.room == task.encoder.max_length - max(max(len(one.split()) for one in answers) + 8, 4)


def test_labels_that_are_answers_are_shown_by_the_names_that_are_scored(decoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    words = {"positive": "yes", "negative": "no"}
    recipe = _with_data(
        classifier(decoder_folder, reviews_csv, tmp_path / "out", objective="sft", **few_shot(shots=[2])), label_texts=words
    )
    _, chosen = _shown(recipe)
    shown = {turn.content for one in chosen.task.splits["test"].examples for turn in one.before if turn.role == "assistant"}
    assert shown
    assert shown <= {"positive", "negative"}


def test_commands_that_would_pass_over_the_context_say_that_nothing_was_trained(
    decoder_folder: Path, pairs_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", **few_shot(shots=[1])))
    for command in (["conversations", str(done.path)], ["evaluate", str(done.path), "--suite", "gsm8k"]):
        assert run(command) == 2
        assert "trained nothing" in capsys.readouterr().err
    with pytest.raises(RunError, match=f"trained nothing: its model is {decoder_folder}, with a context before each question"):
        tune(writer(done.path, pairs_csv, tmp_path / "next"))


def test_a_conversation_without_a_question_reads_no_passage(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    task = _prepared(writer(decoder_folder, pairs_csv, tmp_path / "out", **few_shot()), lambda event: None)
    alone = Prompt((Message("system", "the cat"),), Origin("here", 1))
    assert task.encoder.prompt(replace(alone, above="a dog ")) == task.encoder.prompt(alone)


def test_orders_of_the_same_examples_are_all_different(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    _, chosen = _shown(writer(decoder_folder, pairs_csv, tmp_path / "out", **few_shot(shots=[3])))
    orders = [tuple(chosen.shots.of(Variant(None, 3, order), chosen.shots.pool)._reordered([7, 8, 9])) for order in range(6)]
    assert orders[0] == (7, 8, 9)
    assert len(set(orders)) == 6
