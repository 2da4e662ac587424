"""Runs whose model reads passages of an index above each question: those that the index holds for it, now."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from suite_files import byte_model
from tiny_recipes import writer

from tunesmith.app.index import open_index
from tunesmith.app.index_build import build_index
from tunesmith.app.kept_index import documents_of, passage_tokens, searched, unmade_characters
from tunesmith.app.tune import plan, tune
from tunesmith.app.tuned import load_tuned
from tunesmith.cli.main import run
from tunesmith.context.passages import above
from tunesmith.core.types import Message, Origin, Prompt

WORDS = "cat dog mat film".split()


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return byte_model(tmp_path_factory.mktemp("models") / "bytes", max_length=700, chat=True)


@pytest.fixture
def index(tmp_path: Path, encoder_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "library").mkdir()
    for word in WORDS:
        (tmp_path / "library" / f"{word}.txt").write_text(f"the {word} is very good")
    build_index("library", Path("kept"), model=str(encoder_folder), passage_tokens=20, overlap_tokens=0)
    return Path("kept")


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.csv"
    with file.open("w", newline="") as target:
        rows = [(f"what is the {WORDS[n % 4]} {'very ' * (n // 4)}", "good") for n in range(24)]
        csv.writer(target).writerows([("question", "answer"), *rows])
    return file


def _recipe(speaker: Path, questions: Path, out: Path, index: Path, **options: Any) -> Any:
    context = {"name": "retrieval", "index": str(index), **options}
    return writer(speaker, questions, out, method="none", context=context, evaluate={"max_new_tokens": 4, "generate_limit": 3})


def test_the_passages_of_an_index_stand_above_each_question(index: Path, speaker: Path, questions: Path, tmp_path: Path) -> None:
    done = tune(_recipe(speaker, questions, tmp_path / "out", index, passages=[0, 1, 2]))
    context = done.report["context"]
    assert [one["num_passages"] for one in context["tried"]] == [0, 1, 2]
    tokens = [one["tokens"] for one in context["tried"]]
    assert tokens[0] < tokens[1] < tokens[2]
    best = min(context["tried"], key=lambda one: one["value"])
    assert context["chosen"]["num_passages"] == best["num_passages"]
    loaded = load_tuned(done.directory)
    lines = [json.loads(line) for line in done.directory.predictions.read_text(encoding="utf-8").splitlines()]
    written = [line for line in lines if "text" in line["tuned"]]
    assert len(written) == 3
    assert done.generate([line["prompt"] for line in written]) == [line["tuned"]["text"] for line in written]
    assert loaded.shots is not None
    assert loaded.shots.pool.turns == []


def test_what_is_asked_is_quoted_as_ask_quotes_and_follows_the_index(
    index: Path, speaker: Path, questions: Path, tmp_path: Path, encoder_folder: Path
) -> None:
    done = tune(_recipe(speaker, questions, tmp_path / "out", index, passages=[1]))
    assert done.report["context"]["tried"] == []
    question = "what is the film"
    loaded = load_tuned(done.directory)
    found = [one.passage for one in open_index(index).search(question, 1)]
    asked = loaded._asked([Message("user", question)])
    assert loaded.encoder.prompt(asked) == loaded.encoder.prompt(
        type(asked)((Message("user", above(found, cites=False) + question),), asked.origin)
    )
    assert "the film is very good" in asked.above
    (tmp_path / "library" / "film.txt").write_text("the film was bad")
    build_index("library", index, model=str(encoder_folder), passage_tokens=20, overlap_tokens=0)
    again = load_tuned(done.directory)._asked([Message("user", question)])
    assert "the film was bad" in again.above
    assert "the film is very good" not in again.above
    assert load_tuned(done.directory)._asked([Message("user", "")]).above == ""


def test_passages_without_room_are_left_out_the_last_first_and_counted(
    index: Path, questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    speaker = byte_model(tmp_path / "bytes", max_length=430, chat=True)
    done = tune(_recipe(speaker, questions, tmp_path / "out", index, passages=[4]))
    context, loaded = done.report["context"], load_tuned(done.directory)
    lines = [json.loads(line) for line in done.directory.predictions.read_text(encoding="utf-8").splitlines()]
    assert loaded.shots is not None
    room, left_out = context["window_tokens"] - 4 - 8, list[int]()  # an answer of four bytes, and what a template may put behind it
    assert loaded.shots.room == room
    for line in lines:
        example = Prompt((Message("user", line["text"]),), Origin("here", 1))
        put = loaded.shots.put([example], loaded.encoder, room)
        passages = [one.passage for one in open_index(index).search(line["text"], 4)]
        kept = 4 - put.num_left_out[0]
        left_out.append(4 - kept)
        assert put.examples[0] == replace(example, above=above(passages[:kept], cites=False))
        assert len(loaded.encoder.prompt(put.examples[0])) == put.num_tokens[0] <= room
        assert kept == 4 or len(loaded.encoder.prompt(replace(example, above=above(passages[: kept + 1], cites=False)))) > room
    assert 0 < min(left_out) <= max(left_out) < 4
    assert (context["num_left_out"], context["num_short"]) == (sum(left_out), len(lines))
    assert run(["runs", "show", str(done.path)]) == 0
    said = capsys.readouterr().out
    assert "4 passages of kept stand above each question, found by meaning and by words." in said
    assert f"For want of room {sum(left_out)} passages were left out, of {len(lines)} test rows." in said


def test_no_index_is_one_line_before_anything_is_written(
    speaker: Path, questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = ["method=none", "context=retrieval", f"context.index={tmp_path / 'none'}", f"output_dir={tmp_path / 'out'}"]
    assert run(["tune", "docstrings", f"model={speaker}", f"data.train={questions}", "data.template=null", *changes]) == 2
    assert "no index there" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_documents_are_indexed_at_the_first_time_and_again_when_they_are_others(
    speaker: Path, questions: Path, tmp_path: Path, encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "library").mkdir()
    for word in WORDS:
        (tmp_path / "library" / f"{word}.txt").write_text(f"the {word} is very good")
    context = {"name": "retrieval", "documents": "library", "embedded_by": str(encoder_folder), "passages": [1]}
    evaluate = {"max_new_tokens": 4, "generate_limit": 1}
    first = tune(writer(speaker, questions, tmp_path / "first", method="none", context=context, evaluate=evaluate)).report["context"]
    [kept] = (tmp_path / "cache" / "indexes").iterdir()
    made = kept.stat().st_mtime_ns
    second = tune(writer(speaker, questions, tmp_path / "second", method="none", context=context, evaluate=evaluate))
    assert second.report["context"] == first
    assert first["index"] == str(tmp_path / "library")
    assert first["index_seconds"] > 0
    assert [one.stat().st_mtime_ns for one in (tmp_path / "cache" / "indexes").iterdir()] == [made]
    (tmp_path / "library" / "film.txt").write_text("the film was bad")
    assert "the film was bad" in load_tuned(second.directory)._asked([Message("user", "what is the film")]).above
    assert len(list((tmp_path / "cache" / "indexes").iterdir())) == 2


@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        (
            [],
            2,
            "expected index, the folder of one that `tunesmith index` made, or documents, found neither. Set context.documents=FOLDER.",
        ),
        (["context.documents=empty"], 3, "empty: holds no text to look anything up in."),
        (["context.documents=empty", "context.index=kept"], 2, "or documents, found both."),
    ],
)
def test_documents_that_are_none_are_one_line_before_anything_is_written(
    changes: list[str],
    code: int,
    told: str,
    index: Path,
    speaker: Path,
    questions: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    asked = ["method=none", "context=retrieval", *changes, f"output_dir={tmp_path / 'out'}"]
    assert run(["tune", "docstrings", f"model={speaker}", f"data.train={questions}", "data.template=null", *asked]) == code
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_documents_are_learned_as_they_are_and_the_questions_asked_with_their_passages(
    index: Path, speaker: Path, questions: Path, tmp_path: Path
) -> None:
    def learned(name: str, **changes: Any) -> Any:
        given = {"train": {"max_steps": 2, "examples_per_step": 2}, "evaluate": {"max_new_tokens": 2, "generate_limit": 1}, **changes}
        recipe = writer(speaker, questions, tmp_path / name, **given)
        return tune(recipe.model_copy(update={"data": recipe.data.model_copy(update={"documents": "library"})})).report

    plain, shown = learned("plain"), learned("shown", context={"name": "retrieval", "index": str(index), "passages": [1]})
    assert shown["data"]["splits"]["train"] == plain["data"]["splits"]["train"]
    assert [step["tokens"] for step in shown["curves"]["train"]] == [step["tokens"] for step in plain["curves"]["train"]]
    assert shown["context"]["tokens"]["mean"] > shown["context"]["plain_tokens"]["mean"]


def test_passages_are_as_long_as_the_documents_hold_and_an_index_cuts(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.txt").write_text("one two three")
    (folder / "b.txt").write_text("word " * 500)
    words: Any = lambda text, add_special_tokens: {"input_ids": text.split()}  # noqa: E731
    strategy: Any = SimpleNamespace(index=None, documents=str(folder))
    assert passage_tokens(strategy, documents_of(strategy), words) == pytest.approx(
        (3 + 500) / (1 + 3)
    )  # 500 words are three passages of at most 200


def test_documents_without_an_index_are_counted_until_it_is_made(tmp_path: Path, encoder_folder: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.txt").write_text("the cat sat on the mat\n")
    (folder / "b.txt").write_text("the dog ran\n")
    strategy: Any = SimpleNamespace(index=None, documents=str(folder), embedded_by=str(encoder_folder))
    assert unmade_characters(strategy, documents_of(strategy)) == len("the cat sat on the mat\n") + len("the dog ran\n")
    searched(strategy)
    assert unmade_characters(strategy, documents_of(strategy)) == 0
    (folder / "b.txt").write_text("the dog sat")
    assert unmade_characters(strategy, documents_of(strategy)) > 0
    named: Any = SimpleNamespace(index="named.index", documents=None)
    assert unmade_characters(named, documents_of(named)) == 0


def test_an_arm_that_looks_documents_up_is_predicted_with_the_making_of_their_index(
    speaker: Path, tmp_path: Path, encoder_folder: Path, monkeypatch: pytest.MonkeyPatch, pairs_csv: Path
) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.txt").write_text("the cat sat on the mat. " * 200)
    context = {"name": "retrieval", "documents": str(folder), "embedded_by": str(encoder_folder), "passages": [1]}
    recipe = writer(speaker, pairs_csv, tmp_path / "out", method="none", context=context)
    before = plan(recipe, probes=lambda event: None).total_seconds
    tune(recipe.model_copy(update={"output_dir": str(tmp_path / "run")}))
    after = plan(recipe).total_seconds
    assert before is not None
    assert after is not None
    assert before > after
