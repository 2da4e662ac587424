"""Runs whose method is trained with a context in its prompts: what is learned is read as it is asked, and asked as it was learned."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_recipes import classifier, stop_at, writer

from tunesmith.app.arms import known_arms
from tunesmith.app.compare import compare
from tunesmith.app.compare_document import is_renewed
from tunesmith.app.index_build import build_index
from tunesmith.app.preview import preview
from tunesmith.app.quantize import quantize
from tunesmith.app.shots import load_shots
from tunesmith.app.tune import _prepared, plan, resume, tune
from tunesmith.app.tuned import load_tuned
from tunesmith.cli.main import run
from tunesmith.core import registry
from tunesmith.core.errors import Interrupted, RecipeError, RunError
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Completion, Message, Origin, Prompt
from tunesmith.recipe import Recipe, from_mapping

NUM_KEYS = 48
TRAIN = {"epochs": 12, "learning_rate": 1e-2, "examples_per_step": 8}
SMALL = {"epochs": 1, "learning_rate": 1e-2, "examples_per_step": 8}


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory, decoder_folder: Path) -> Path:
    """The tiny decoder with a window that holds a passage."""
    folder = tmp_path_factory.mktemp("models") / "wide"
    torch.manual_seed(0)
    config = transformers.AutoConfig.from_pretrained(decoder_folder, max_position_embeddings=160)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(decoder_folder).save_pretrained(folder)
    return folder


@pytest.fixture
def index(tmp_path: Path, encoder_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of every key whether it is good, which nothing else says."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "library").mkdir()
    for key in range(NUM_KEYS):
        (tmp_path / "library" / f"{key}.txt").write_text(_document(key, _mood(key)))
    build_index("library", Path("kept"), model=str(encoder_folder), passage_tokens=20, overlap_tokens=0)
    return tmp_path / "kept"


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.csv"
    with file.open("w", newline="") as target:
        rows = [(f"k{key}", "yes" if _mood(key) == "good" else "no") for key in range(NUM_KEYS)]
        csv.writer(target).writerows([("question", "answer"), *rows])
    return file


def _document(key: int, mood: str) -> str:
    return " ".join([f"k{key}", *[mood] * 8])


def _mood(key: int) -> str:
    return "good" if key * 7919 % 13 < 7 else "bad"


def _with_passage(speaker: Path, questions: Path, out: Path, index: Path, **changes: Any) -> Recipe:
    return writer(
        speaker, questions, out, context={"name": "retrieval", "index": str(index), "passages": [1]}, train=TRAIN,
        evaluate={"max_new_tokens": 4, "prompts": ["k3"]}, **changes,
    )  # fmt: skip


def test_what_only_the_documents_say_is_learned_from_them_and_asked_again_in_another_process(
    speaker: Path, questions: Path, index: Path, tmp_path: Path
) -> None:
    done = tune(_with_passage(speaker, questions, tmp_path / "both", index))
    alone = tune(writer(speaker, questions, tmp_path / "alone", train=TRAIN, evaluate={"max_new_tokens": 4}))
    assert done.report["curves"]["train"][-1]["loss"] < 0.1 < alone.report["curves"]["train"][-1]["loss"]
    bits = {name: one.report["metrics"]["bits_per_byte"] for name, one in (("both", done), ("alone", alone))}
    assert bits["both"]["tuned"]["high"] < bits["alone"]["tuned"]["low"]
    assert bits["both"]["base"] == bits["alone"]["base"]
    assert done.report["samples"][0]["tuned"] == ("yes" if _mood(3) == "good" else "no")
    lines = [json.loads(line) for line in done.directory.predictions.read_text(encoding="utf-8").splitlines()]
    assert all(line["text"].startswith("k") for line in lines)
    prompts = [line["prompt"] for line in lines]
    code = f"import json, tunesmith; print(json.dumps(tunesmith.Run({str(done.path)!r}).generate({prompts!r})))"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(again.stdout.splitlines()[-1]) == [line["tuned"]["text"] for line in lines] == [line["reference"] for line in lines]


def test_a_training_row_is_read_as_the_loaded_run_asks_its_question(speaker: Path, pairs_csv: Path, tmp_path: Path) -> None:
    recipe = writer(
        speaker, pairs_csv, tmp_path / "out", method={"name": "lora", "r": 2}, context={"name": "few_shot", "shots": [3]}, train=SMALL
    )
    done = tune(recipe)
    loaded = load_tuned(done.directory)
    shown = done.report["data"]["preview"]
    assert json.loads(json.dumps([row["pieces"] for row in preview(recipe, rows=2)])) == [row["pieces"] for row in shown]
    for row in shown:
        read = "".join(text for text, _ in row["pieces"])
        (learned,) = [text for text, is_learned in row["pieces"] if is_learned]
        question = read.removesuffix(learned).split("<|user|>")[-1].split("</s>")[0].strip()
        asked = loaded._asked([Message("user", question)])
        assert len(asked.before) == 6
        assert loaded.encoder.spell(loaded.encoder.prompt(asked)).strip() == read.removesuffix(learned).strip()
    lengths = done.report["data"]["splits"]["train"]["lengths"]
    assert lengths["min"] > done.report["context"]["plain_tokens"]["max"] * 3


@pytest.mark.parametrize("choose_by", ["random", "balanced", "nearest", "diverse"])
def test_no_row_is_an_example_of_itself(speaker: Path, encoder_folder: Path, pairs_csv: Path, tmp_path: Path, choose_by: str) -> None:
    context = {"name": "few_shot", "shots": [2], "choose_by": choose_by, "embedded_by": str(encoder_folder)}
    done = tune(writer(speaker, pairs_csv, tmp_path / "out", context=context, train=SMALL | {"max_steps": 1}))
    shots = load_shots(done.directory, done.model.recipe)
    train = [one for one in _prepared(done.model.recipe, lambda event: None).splits["train"].examples if isinstance(one, Completion)]
    put = shots.put(train, done.model.encoder).examples
    chosen = {turn.content for one in put if isinstance(one, Completion) for turn in one.before if turn.role == "user"}
    assert chosen & {one.source for one in train}  # the pool is the training rows
    for one in put:
        assert isinstance(one, Completion)
        assert len(one.before) == 4
        assert one.source not in [turn.content for turn in one.before]


def test_a_question_that_stands_twice_in_the_pool_is_shown_neither(speaker: Path, pairs_csv: Path, tmp_path: Path) -> None:
    done = tune(writer(speaker, pairs_csv, tmp_path / "out", method="none", context={"name": "few_shot", "shots": [2]}))
    shots, origin = load_shots(done.directory, done.model.recipe), Origin("here", 1)
    text = shots.pool.texts[shots.places(["no such text"])[0][0]]
    twice = shots.of(shots.variant, type(shots.pool)([*shots.pool.turns] * 2, [*shots.pool.labels] * 2, [*shots.pool.texts] * 2))
    (put,) = twice.put([Prompt((Message("user", text),), origin)], done.model.encoder).examples
    assert isinstance(put, Prompt)
    assert len(put.before) == 4
    assert text not in [turn.content for turn in put.before]


def test_the_way_is_chosen_by_the_base_and_an_interrupted_run_keeps_it(speaker: Path, pairs_csv: Path, tmp_path: Path) -> None:
    context = {"name": "few_shot", "shots": [0, 1, 2]}
    recipes = [writer(speaker, pairs_csv, tmp_path / name, context=context) for name in ("whole", "cut")]
    whole = tune(recipes[0])
    without = tune(writer(speaker, pairs_csv, tmp_path / "none", method="none", context=context))
    assert whole.report["context"] == without.report["context"]
    with pytest.raises(Interrupted):
        tune(recipes[1], progress=stop_at(3))
    kept = RunDirectory(tmp_path / "cut").context
    before = kept.read_bytes()
    resumed = resume(tmp_path / "cut")
    assert kept.read_bytes() == before
    for part in ("metrics", "context"):
        assert resumed.report[part] == whole.report[part]
    assert [one["loss"] for one in resumed.report["curves"]["train"]] == [one["loss"] for one in whole.report["curves"]["train"]]


def test_a_run_whose_documents_changed_is_not_gone_on_with_and_a_finished_one_reads_the_new(
    speaker: Path, questions: Path, index: Path, encoder_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted):
        tune(_with_passage(speaker, questions, tmp_path / "cut", index), progress=stop_at(2))
    done = tune(_with_passage(speaker, questions, tmp_path / "done", index))
    mood = _mood(5)
    (tmp_path / "library" / "5.txt").write_text(_document(5, "bad" if mood == "good" else "good"))
    build_index("library", index, model=str(encoder_folder), passage_tokens=20, overlap_tokens=0)
    with pytest.raises(RunError, match=r"documents of .*kept changed since it was begun"):
        resume(tmp_path / "cut")
    assert done.generate(["k5"]) == ["no" if mood == "good" else "yes"]


def test_a_plan_counts_the_tokens_of_the_largest_context(speaker: Path, pairs_csv: Path, tmp_path: Path) -> None:
    context = {"name": "few_shot", "shots": [1, 3]}
    planned = plan(writer(speaker, pairs_csv, tmp_path / "out", context=context, train=SMALL))
    done = tune(writer(speaker, pairs_csv, tmp_path / "out", context=context | {"shots": [3]}, train=SMALL))
    assert planned.num_training_tokens == done.report["cost"]["tokens"]
    assert planned.num_training_tokens > 3 * plan(writer(speaker, pairs_csv, tmp_path / "plain", train=SMALL)).num_training_tokens


def test_reports_and_lists_say_both(
    speaker: Path, pairs_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    context = {"name": "few_shot", "shots": [1, 2]}
    done = tune(writer(speaker, pairs_csv, tmp_path / "runs/both", method={"name": "lora", "r": 2}, context=context, train=SMALL))
    num = done.report["context"]["chosen"]["num_shots"]
    example = "1 example" if num == 1 else f"{num} examples"
    assert run(["runs", "show", "both"]) == 0
    said = capsys.readouterr().out
    assert f" of pairs.csv, {example} before each question, " in said
    assert "Of 2 ways to ask it was the best on" in said
    assert "validation rows, asked before the training. The training rows were read so, too; the base was asked without." in said
    assert "tuned" in said
    assert "trained in" in said
    assert run(["runs", "list"]) == 0
    assert "sft · lora+few_shot" in capsys.readouterr().out
    assert r"lora+few\_shot, sft" in done.directory.model_card.read_text(encoding="utf-8")
    assert "lora+few_shot · sft" in done.directory.report_html.read_text(encoding="utf-8")


def test_every_method_with_every_strategy_is_an_arm(speaker: Path, pairs_csv: Path, tmp_path: Path) -> None:
    known = known_arms()
    for method in registry.names("method"):
        for strategy in registry.names("strategy"):
            assert known[f"{method}+{strategy}"] == [f"method={method}", f"context={strategy}"]
    recipe = writer(
        speaker,
        pairs_csv,
        tmp_path / "out",
        arms=["base", "full", "full+few_shot"],
        train=SMALL,
        context={"name": "few_shot", "shots": [1]},
    )
    found = compare(recipe).report["arms"]
    assert found["full+few_shot"]["method"] == "full+few_shot"
    assert found["full+few_shot"]["train_seconds"] > 0
    assert found["full+few_shot"]["prompt_tokens"] > 7
    assert found["full"]["prompt_tokens"] is None
    report = RunDirectory(Path(found["full+few_shot"]["directory"])).read_json(Path(found["full+few_shot"]["directory"]) / "report.json")
    assert is_renewed(report["context"])


def test_what_a_context_cannot_stand_beside_is_one_line_before_anything_is_written(
    speaker: Path, encoder_folder: Path, reviews_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shots = {"context": {"name": "few_shot", "shots": [1]}}
    for recipe, said in (
        (classifier(speaker, reviews_csv, tmp_path / "out", **shots), "the head of classify reads the text alone"),
        (classifier(encoder_folder, reviews_csv, tmp_path / "out", **shots), "train without it: context=null"),
    ):
        with pytest.raises(RecipeError, match=said):
            tune(recipe)
    arms = classifier(speaker, reviews_csv, tmp_path / "out", arms=["base", "head", "lora+few_shot"])
    with pytest.raises(RecipeError, match=r"arms: lora\+few_shot: the head of classify reads the text alone"):
        compare(arms)
    assert not (tmp_path / "out").exists()


def test_labels_that_are_learned_as_answers_may_have_a_context(speaker: Path, reviews_csv: Path, tmp_path: Path) -> None:
    recipe = classifier(speaker, reviews_csv, tmp_path / "out", objective="sft", context={"name": "few_shot", "shots": [2]}, train=SMALL)
    assert tune(recipe).report["context"]["chosen"]["num_shots"] == 2


def test_the_shipped_recipe_takes_a_context_from_the_command_line() -> None:
    recipe = from_mapping({"model": "m", "data": "d.csv"}, name="r", overrides=["context=few_shot", "context.shots=[2]"])
    assert recipe.trains
    assert recipe.context is not None


def test_a_quantized_copy_is_judged_in_the_context(speaker: Path, questions: Path, index: Path, tmp_path: Path) -> None:
    done = tune(_with_passage(speaker, questions, tmp_path / "out", index))
    found = quantize(done.directory, "bf16", output=tmp_path / "small")
    before = found["metrics"]["bits_per_byte"]["before"]["value"]
    assert before == pytest.approx(done.report["metrics"]["bits_per_byte"]["tuned"]["value"], rel=1e-3)
