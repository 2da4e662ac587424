"""What a run forgot, end to end on tiny models."""

import json
import random
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_recipes import classifier, stop_at, writer

from tunesmith.app import forgotten, retention_kinds, retention_sets
from tunesmith.app.retention import Retention
from tunesmith.app.retention_sets import read_retention
from tunesmith.app.task import Task, prepare
from tunesmith.app.tune import plan, resume, tune
from tunesmith.core.errors import DataError, FetchError, Interrupted
from tunesmith.evaluation.score import text_of
from tunesmith.model.heads import Head
from tunesmith.recipe import Recipe, from_mapping, load

WORDS = "cat dog mat film the a sat ran on is was very".split()


def texts(file: Path, count: int = 40, seed: int = 1) -> Path:
    """Distinct texts of 8 to 12 words that are no one's training data."""
    draw, found = random.Random(seed), dict[str, None]()
    while len(found) < count:
        found[" ".join(draw.choices(WORDS, k=draw.randint(8, 12)))] = None
    file.write_text("\n".join(found) + "\n", encoding="utf-8")
    return file


def talk(folder: Path) -> Path:
    """25 pairs."""
    rows = [{"source": f"{line} yes", "target": "no"} for line in texts(folder / "t.txt", 25).read_text().splitlines()]
    (folder / "talk.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder / "talk.jsonl"


def told(model: Path, data: dict[str, Any], out: Path, sets: Any) -> Recipe:
    """As `writer`, where more is said of the data than its file."""
    return from_mapping(writer(model, Path("d.csv"), out, **remembering(sets)).model_dump() | {"data": data}, name="tiny")


def remembering(sets: Any, **changes: Any) -> dict[str, Any]:
    return {"evaluate": {"retention": sets, "max_new_tokens": 2, "generate_limit": 5}, **changes}


def test_a_model_that_is_tuned_hard_on_one_text_forgets_others(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    kept = texts(tmp_path / "kept.txt")
    run = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", **remembering({"kept": str(kept)})))
    entry, found = run.report["retention"]["kept"], run.report["forgetting"]
    assert (entry["metric"], entry["higher_is_better"], entry["rows"], entry["source"]) == ("bits_per_byte", False, 40, str(kept))
    assert entry["tuned"]["value"] > 1.2 * entry["base"]["value"]
    assert entry["difference"]["low"] > 0
    assert entry["difference"]["p_holm"] < 0.05
    assert entry["fell"]
    assert (found["fell"], found["keeps_base"], found["left_out"]) == (["kept"], False, {})
    assert 0 < run.report["cost"]["retention_seconds"] < run.report["cost"]["total_seconds"]


def test_what_it_says_of_each_row_is_kept_and_makes_the_numbers(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    run = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", **remembering([str(texts(tmp_path / "kept.txt"))])))
    [(name, rows)] = run.directory.read_json(run.directory.retention).items()
    assert rows["row"][0] == f"{tmp_path / 'kept.txt'}:1"
    for side in ("base", "tuned"):
        nats, num_bytes = (sum(column) for column in zip(*rows[side], strict=True))
        assert run.report["retention"][name][side]["value"] == pytest.approx(nats / num_bytes / 0.6931471805599453)


def test_advice_is_commands_that_run_and_change_what_they_say(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    data = {"train": str(pairs_csv), "template": "the {source}"}
    run = tune(told(decoder_folder, data, tmp_path / "out", {"kept": str(texts(tmp_path / "kept.txt"))}))
    recipes = list[Recipe]()
    for one in run.report["forgetting"]["advice"]:
        program, verb, recipe, *overrides = shlex.split(one["command"])
        assert (program, verb, recipe) == ("tunesmith", "tune", str(run.directory.recipe))
        recipes.append(load(recipe, overrides))
    lora, rehearsal, slower, shorter = recipes
    assert lora.method.name == "lora"
    assert lora.train.learning_rate == "auto"
    own, general = rehearsal.data.mix.values()
    assert (own.source, own.template, own.weight) == (str(pairs_csv), "the {source}", 0.9)
    assert (general.source, general.weight) == ("small-talk", 0.1)
    assert slower.train.learning_rate == pytest.approx(1e-2 / 3, rel=0.05)
    assert shorter.train.max_steps == len(run.report["curves"]["train"]) // 2
    assert len({recipe.output_dir for recipe in (*recipes, load(run.directory.recipe))}) == 5


def test_an_adapter_leaves_the_base_and_lora_is_no_advice_then(
    decoder_folder: Path, pairs_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgotten, "is_fall", lambda *_arguments, **_options: True)
    sets = remembering({"kept": str(texts(tmp_path / "kept.txt"))}, method={"name": "lora", "r": 8}, train={"max_steps": 2})
    found = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", **sets)).report["forgetting"]
    assert found["keeps_base"]
    assert len(found["advice"]) == 3
    assert not any("method.name=lora" in one["command"] for one in found["advice"])


def test_a_new_head_on_a_frozen_model_forgets_nothing_and_costs_nothing(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_sets, "read", lambda *_arguments, **_options: pytest.fail("a retention set was read"))
    report = tune(
        classifier(encoder_folder, reviews_csv, tmp_path / "out", method="head", train={"max_steps": 2}, evaluate={"retention": "auto"})
    ).report
    assert report["retention"] == {}
    assert (report["forgetting"]["fell"], report["forgetting"]["advice"]) == ([], [])
    assert "nothing but a new head" in report["forgetting"]["left_out"]["all"]


@pytest.mark.parametrize("method", ["full", {"name": "lora", "r": 4}, {"name": "prompt", "num_virtual_tokens": 2}])
def test_an_encoder_is_asked_which_halves_belong_together(method: Any, encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    sets = {"kept": {"source": str(texts(tmp_path / "kept.txt")), "limit": 30}}
    recipe = classifier(
        encoder_folder,
        reviews_csv,
        tmp_path / "out",
        method=method,
        evaluate={"retention": sets},
        train={"max_steps": 3, "learning_rate": 1e-2},
    )
    entry = tune(recipe).report["retention"]["kept"]
    assert (entry["metric"], entry["higher_is_better"], entry["rows"]) == ("mean_reciprocal_rank", True, 30)
    assert 0 < entry["base"]["value"] <= 1
    assert entry["tuned"]["value"] != entry["base"]["value"]


def test_what_the_measure_of_an_encoder_says_is_its_embeddings_ranks(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    from tunesmith.app.embedding import text_vectors
    from tunesmith.evaluation.forgetting import halves, reciprocal_ranks

    kept = texts(tmp_path / "kept.txt", 20)
    sets = {"kept": str(kept)}
    recipe = classifier(encoder_folder, reviews_csv, tmp_path / "out", evaluate={"retention": sets}, train={"max_steps": 1})
    vectors, parts = text_vectors(str(encoder_folder)), [halves(text) for text in kept.read_text().splitlines()]
    ranks = reciprocal_ranks(*(vectors([pair[side] for pair in parts]) for side in (0, 1)))
    assert tune(recipe).report["retention"]["kept"]["base"]["value"] == pytest.approx(ranks.mean(), rel=1e-3)


# auto


@pytest.fixture
def general(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two groups of general sources, as files."""
    names = [str(texts(tmp_path / f"{name}.txt", 60, seed)) for seed, name in enumerate(["prose", "more-prose", "code"])]
    monkeypatch.setattr(retention_sets, "GENERAL", ((names[0], names[1]), (names[2],)))
    return names


def trained_for(model: Path, data: Path, epochs: float) -> Task:
    """Of a run of so many epochs under `auto`."""
    recipe = writer(model, data, data.with_name("out"), evaluate={"retention": "auto"}, train={"epochs": epochs, "examples_per_step": 8})
    return prepare(recipe, lambda _event: None)


def chosen(model: Path, data: Path, epochs: float) -> Retention:
    """What `auto` would ask then."""
    return read_retention(trained_for(model, data, epochs))


def test_auto_takes_one_source_a_group_and_not_the_runs_own(general: list[str], decoder_folder: Path) -> None:
    assert list(chosen(decoder_folder, Path(general[2]), 100).tasks) == [general[0]]
    assert list(chosen(decoder_folder, Path(general[0]), 100).tasks) == general[1:]


def test_auto_leaves_out_rows_that_stand_in_the_training_data(general: list[str], decoder_folder: Path, tmp_path: Path) -> None:
    prose, copied = Path(general[0]).read_text().splitlines(), tmp_path / "copied.txt"
    copied.write_text("\n".join(prose[:35]) + "\n" + texts(tmp_path / "t", 20, 9).read_text())
    kept = chosen(decoder_folder, copied, 100).tasks[general[0]]
    assert {text_of(example) for example in kept.examples} == set(prose[35:])


def test_auto_asks_no_more_than_its_share_of_the_work(general: list[str], decoder_folder: Path, pairs_csv: Path) -> None:
    def rows(epochs: float) -> dict[str, int]:
        task = trained_for(decoder_folder, pairs_csv, epochs)
        found = read_retention(task)
        assert all("more than 10 % of the run's work" in why for why in found.left_out.values())
        assert set(found.left_out) | set(found.tasks) == {general[0], general[2]}
        # a token of one training step costs three times what reading it does: the forward pass, and twice as much for the gradients
        trained_on = sum(row.num_tokens for row in task.splits["train"].rows) * epochs
        asked = 2 * sum(sum(one.lengths(task)) for one in found.tasks.values())
        judged = 2 * sum(row.num_tokens for row in task.splits["test"].rows)
        assert asked <= 0.15 * (3 * trained_on + judged)
        return {name: len(one.examples) for name, one in found.tasks.items()}

    few, more, many = (rows(epochs) for epochs in (0.2, 8, 100))
    assert few == {}
    assert 0 < sum(more.values()) < sum(many.values()) == 120


@pytest.mark.slow
@pytest.mark.embedded
def test_auto_takes_less_than_15_percent_of_a_shipped_recipes_time(tmp_path: Path) -> None:
    report = tune(load("docstrings", [f"output_dir={tmp_path / 'out'}", "data.limit={train: 160, validation: 20, test: 40}"])).report
    assert report["retention"]
    assert report["cost"]["retention_seconds"] < 0.15 * report["cost"]["total_seconds"]


def test_auto_goes_on_without_a_network(
    general: list[str], decoder_folder: Path, pairs_csv: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    tried = []

    def offline(source: str, **_options: Any) -> Any:
        tried.append(source)
        raise FetchError("no network.")

    monkeypatch.setattr(retention_sets, "read", offline)
    report = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", evaluate={"retention": "auto"}, train={"max_steps": 1})).report
    assert tried == general[:1]  # one attempt, not one a source
    assert report["forgetting"]["left_out"] == {general[0]: "no network."}


# own sets that cannot be used


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "evaluate.retention.kept: {file}: no such file"),
        ("", "evaluate.retention.kept: {file}: "),
        ("the training data", "evaluate.retention.kept: {file} is what the run trains on or is judged by"),
    ],
)
def test_a_set_that_cannot_be_used_is_one_line_before_anything_is_written(
    content: str | None, text: str, decoder_folder: Path, tmp_path: Path
) -> None:
    train, file = texts(tmp_path / "train.txt", 60), tmp_path / "kept.txt"
    if content is not None:
        file.write_text(train.read_text() if content else "")
    recipe = writer(decoder_folder, train, tmp_path / "out", evaluate={"retention": {"kept": str(file)}})
    for refuse in (tune, plan):
        with pytest.raises(DataError) as caught:
            refuse(recipe)
        assert text.format(file=file) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_encoder_cannot_be_asked_for_answers(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    recipe = classifier(encoder_folder, reviews_csv, tmp_path / "out", evaluate={"retention": {"talk": str(talk(tmp_path))}})
    with pytest.raises(DataError, match=r"evaluate.retention.talk: .* holds answers, and .* writes none. Name texts."):
        tune(recipe)


# answers


def test_pairs_are_asked_without_the_runs_own_template(decoder_folder: Path, pairs_csv: Path, tmp_path: Path, monkeypatch: Any) -> None:
    seen = list[str]()
    score = retention_kinds.score

    def listening(speaker: Any, split: Any, tick: Any) -> Any:
        seen.extend(speaker.encoder.spell(row.segments[0].tokens) for row in split.rows)
        return score(speaker, split, tick)

    monkeypatch.setattr(retention_kinds, "score", listening)
    data = {"train": str(pairs_csv), "template": "the film is {source}", "system": "very good"}
    report = tune(told(decoder_folder, data, tmp_path / "out", {"talk": str(talk(tmp_path))})).report
    assert report["retention"]["talk"]["rows"] == 25
    assert len(seen) == 50  # base and tuned
    assert not any("film is" in text and "very good" in text for text in seen)


def test_questions_are_asked_for_the_likeliest_choice(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    lines = [
        {"question": line, "choices": ["yes yes", "no no"], "answer": number % 2}
        for number, line in enumerate(texts(tmp_path / "t.txt", 30).read_text().splitlines())
    ]
    questions.write_text("\n".join(map(json.dumps, lines)) + "\n")
    run = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", **remembering({"questions": str(questions)})))
    entry, rows = run.report["retention"]["questions"], run.directory.read_json(run.directory.retention)["questions"]
    assert (entry["metric"], entry["higher_is_better"], entry["rows"]) == ("accuracy", True, 30)
    for side in ("base", "tuned"):
        right = [stats[0] for stats in rows[side]]
        assert set(right) <= {0.0, 1.0}
        assert entry[side]["value"] == pytest.approx(sum(right) / 30)


# chains and resuming


@pytest.fixture
def without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows as there are, however short the training."""
    monkeypatch.setattr(retention_sets, "SHARE", 1000.0)


@pytest.mark.usefixtures("without_limit")
def test_a_run_on_a_run_is_asked_what_that_had_learned(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    first = tune(classifier(encoder_folder, reviews_csv, tmp_path / "first"))
    moods = tmp_path / "moods.csv"
    lines = [f"{text},{'long' if len(text) > 45 else 'short'}" for text in texts(tmp_path / "t.txt", 80).read_text().splitlines()]
    moods.write_text("review,sentiment\n" + "\n".join(lines) + "\n")
    recipe = classifier(
        Path(f"run:{first.path}"), moods, tmp_path / "second", method="full", evaluate={"retention": "auto"},
        train={"epochs": 6, "learning_rate": 3e-2, "examples_per_step": 8},
    )  # fmt: skip
    second = tune(recipe)
    entry = second.report["retention"]["first"]
    assert (entry["metric"], entry["rows"]) == ("accuracy", first.report["metrics"]["accuracy"]["rows"])
    assert entry["base"]["value"] == first.report["metrics"]["accuracy"]["tuned"]["value"]
    assert entry["tuned"]["value"] < entry["base"]["value"]


@pytest.mark.usefixtures("without_limit")
def test_where_a_head_goes_on_with_more_labels_the_trained_one_is_asked(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tune(classifier(encoder_folder, reviews_csv, tmp_path / "first"))
    moods = tmp_path / "moods.csv"
    lines = [
        f"{text},{('amused', 'positive', 'negative')[len(text) % 3]}" for text in texts(tmp_path / "t.txt", 80).read_text().splitlines()
    ]
    moods.write_text("review,sentiment\n" + "\n".join(lines) + "\n")
    asked, plain = [], Head.rearranged

    def noted(self: Head, places: Sequence[int | None]) -> Head:
        asked.append(tuple(places))
        return plain(self, places)

    monkeypatch.setattr(Head, "rearranged", noted)
    recipe = classifier(
        Path(f"run:{first.path}"), moods, tmp_path / "second", method="full", evaluate={"retention": "auto"},
        train={"epochs": 6, "learning_rate": 3e-2, "examples_per_step": 8},
    )  # fmt: skip
    entry = tune(recipe).report["retention"]["first"]
    assert entry["base"]["value"] == first.report["metrics"]["accuracy"]["tuned"]["value"]
    assert entry["tuned"]["value"] < entry["base"]["value"]
    assert set(asked) == {(None, 0, 1), (1, 2)}  # the earlier head with a label more, and of the trained one what the earlier had


@pytest.mark.usefixtures("without_limit")
def test_an_earlier_run_is_held_to_the_metric_that_it_leads_with_and_its_options(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    def made(model: Any, data: Path, name: str, **evaluate: Any) -> Recipe:
        return classifier(model, data, tmp_path / name, train={"max_steps": 3, "learning_rate": 1e-2}, evaluate=evaluate)

    metrics = [{"name": "f1", "positive": "negative"}, "accuracy"]
    first = tune(made(encoder_folder, reviews_csv, "first", metrics=metrics))
    moods = tmp_path / "moods.csv"
    lines = [f"{text},{'long' if len(text) > 45 else 'short'}" for text in texts(tmp_path / "t.txt", 80).read_text().splitlines()]
    moods.write_text("review,sentiment\n" + "\n".join(lines) + "\n")
    entry = tune(made(Path(f"run:{first.path}"), moods, "second", retention="auto")).report["retention"]["first"]
    assert entry["metric"] == "f1"
    assert entry["base"]["value"] == pytest.approx(first.report["metrics"]["f1"]["tuned"]["value"])


@pytest.mark.usefixtures("without_limit")
def test_a_language_model_is_asked_the_answers_of_the_run_that_it_comes_from(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    first = tune(told(decoder_folder, {"train": str(pairs_csv), "split": {"test": 0.4}}, tmp_path / "first", "none"))
    recipe = writer(
        Path(f"run:{first.path}"), texts(tmp_path / "t.txt", 60), tmp_path / "second", evaluate={"retention": "auto"}, train={"epochs": 8}
    )
    entry = tune(recipe).report["retention"]["first"]
    assert entry["metric"] == "bits_per_byte"
    assert entry["base"]["value"] == pytest.approx(first.report["metrics"]["bits_per_byte"]["tuned"]["value"], rel=1e-4)


def test_the_same_data_again_is_no_earlier_task(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    first = tune(classifier(encoder_folder, reviews_csv, tmp_path / "first", train={"max_steps": 2}))
    recipe = classifier(Path(f"run:{first.path}"), reviews_csv, tmp_path / "second", train={"max_steps": 2}, evaluate={"retention": "auto"})
    report = tune(recipe).report
    assert report["retention"] == {}
    assert report["forgetting"]["left_out"]["first"] == "learned from the same data as this one."


def test_a_resumed_run_has_the_bases_numbers_and_does_not_ask_again(
    decoder_folder: Path, pairs_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = remembering({"kept": str(texts(tmp_path / "kept.txt"))})
    whole = tune(writer(decoder_folder, pairs_csv, tmp_path / "whole", **sets))
    with pytest.raises(Interrupted):
        tune(writer(decoder_folder, pairs_csv, tmp_path / "cut", **sets), progress=stop_at(5))
    asked, ask = [], retention_kinds.Likelihood.ask
    monkeypatch.setattr(retention_kinds.Likelihood, "ask", lambda self, *rest: asked.append(self.source) or ask(self, *rest))
    resumed = resume(tmp_path / "cut")
    assert len(asked) == 1  # the tuned model alone
    assert resumed.report["retention"] == whole.report["retention"]


def test_a_set_that_changed_meanwhile_is_left_out_of_a_resumed_run(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    kept = texts(tmp_path / "kept.txt")
    with pytest.raises(Interrupted):
        tune(writer(decoder_folder, pairs_csv, tmp_path / "cut", **remembering({"kept": str(kept)})), progress=stop_at(5))
    texts(kept, seed=5)
    report = resume(tmp_path / "cut").report
    assert report["retention"] == {}
    assert report["forgetting"]["left_out"] == {"kept": "its rows are not those that the base was asked"}
