"""Predict files of any size, and talk, with a tuned model."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app.chat import Chat
from tunesmith.app.predict import predict_file
from tunesmith.app.run import Run
from tunesmith.app.tune import tune
from tunesmith.core.errors import DataError, UsageError
from tunesmith.core.types import Message
from tunesmith.recipe import from_mapping


@pytest.fixture(scope="module")
def classifier(encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trained on rows whose text column is called review."""
    folder = tmp_path_factory.mktemp("classifier")
    rows = [
        {"review": f"{a} {b} {c} {mood}", "sentiment": mood}
        for a in ["the", "a"]
        for b in ["cat", "dog", "mat"]
        for c in ["is", "was", "ran"]
        for mood in ["good", "bad"]
    ]
    (folder / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = {"train": str(folder / "d.jsonl"), "columns": {"text": "review", "label": "sentiment"}}
    train = {"epochs": 10, "learning_rate": 1e-2, "examples_per_step": 8}
    return tune(from_mapping({"model": str(encoder_folder), "data": data, "train": train, "output_dir": str(folder / "run")}, name="c"))


@pytest.fixture(scope="module")
def writer(decoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Answers yes yes or no no."""
    folder = tmp_path_factory.mktemp("writer")
    rows = [
        {"prompt": f"{a} {b} {c} {mood}", "completion": "yes yes" if mood == "good" else "no no"}
        for a in ["the", "a"] for b in ["cat", "dog", "mat"] for c in ["is", "was", "ran"] for mood in ["good", "bad"]
    ]  # fmt: skip
    (folder / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    train = {"epochs": 10, "learning_rate": 1e-2, "examples_per_step": 8}
    evaluate = {"max_new_tokens": 4, "generate_limit": 2}
    recipe = {
        "model": str(decoder_folder),
        "data": str(folder / "d.jsonl"),
        "method": "full",
        "train": train,
        "evaluate": evaluate,
        "output_dir": str(folder / "run"),
    }
    return tune(from_mapping(recipe, name="w"))


def test_rows_keep_their_columns_and_gain_label_and_probabilities(classifier: Run, tmp_path: Path) -> None:
    source = tmp_path / "new.csv"
    source.write_text('id,review\n7,"the dog was good"\n8,"a mat is bad"\n')
    summary = predict_file(classifier.directory, source, tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert summary["rows"] == 2
    assert [(row["id"], row["review"], row["predicted_label"]) for row in rows] == [
        ("7", "the dog was good", "good"),
        ("8", "a mat is bad", "bad"),
    ]
    expected = classifier.predict(["the dog was good", "a mat is bad"])
    for row, answer in zip(rows, expected, strict=True):
        assert {label: float(row[f"probability_{label}"]) for label in ("bad", "good")} == pytest.approx(answer["probabilities"], abs=1e-5)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_more_rows_than_a_chunk_come_out_in_order(classifier: Run, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.app import predict as module

    monkeypatch.setattr(module, "_CHUNK", 3)
    source = tmp_path / "new.txt"
    moods = ["good", "bad", "bad", "good", "good", "bad", "good", "bad", "bad", "good"]
    source.write_text("\n".join(f"the cat was {mood}" for mood in moods))
    out = tmp_path / f"out{suffix}"
    assert predict_file(classifier.directory, source, out)["rows"] == 10
    if suffix == ".jsonl":
        found = [json.loads(line)["predicted_label"] for line in out.read_text().splitlines()]
    else:
        found = [row["predicted_label"] for row in csv.DictReader(out.open(), delimiter="\t" if suffix == ".tsv" else ",")]
    assert found == moods


def test_a_file_is_read_as_it_is_predicted_not_before(classifier: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays bounded: when the first piece is written, the rest has not been read."""
    from tunesmith.app import predict as module

    read = 0

    def counted(path: Path) -> Any:
        nonlocal read
        for row in range(1, 101):
            read += 1
            yield row, {"review": "the cat was good"}

    seen = list[tuple[int, int]]()
    monkeypatch.setattr(module, "_CHUNK", 10)
    monkeypatch.setattr(module, "iter_rows", counted)
    predict_file(
        classifier.directory,
        tmp_path / "x.csv",
        tmp_path / "out.csv",
        progress=lambda event: seen.append((getattr(event, "done", 0), read)),
    )
    assert [(done, count) for done, count in seen if done] == [(10 * n, 10 * n) for n in range(1, 11)]


def test_completions_are_what_generate_says(writer: Run, tmp_path: Path) -> None:
    source = tmp_path / "new.jsonl"
    prompts = ["the cat is good", "a dog was bad"]
    source.write_text("\n".join(json.dumps({"prompt": p}) for p in prompts))
    predict_file(writer.directory, source, tmp_path / "out.jsonl")
    found = [json.loads(line)["completion"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert found == writer.generate(prompts) == ["yes yes", "no no"]


def test_a_broken_row_leaves_no_output(classifier: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.app import predict as module

    monkeypatch.setattr(module, "_CHUNK", 1)
    source = tmp_path / "new.jsonl"
    source.write_text('{"review": "the cat is good"}\n{"other": 1, "third": 2}\n')
    with pytest.raises(DataError, match=r'new\.jsonl:2: no column "review"\. Found: other, third'):
        predict_file(classifier.directory, source, tmp_path / "out.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["new.jsonl"]


def test_the_file_that_is_read_is_never_written(classifier: Run, tmp_path: Path) -> None:
    source = tmp_path / "new.csv"
    source.write_text("review\nthe cat\n")
    with pytest.raises(UsageError, match="is the file that is read"):
        predict_file(classifier.directory, source, source)
    with pytest.raises(UsageError, match=r"expected a file that ends in \.csv"):
        predict_file(classifier.directory, source, tmp_path / "out.xlsx")


def test_asking_a_run_for_what_it_cannot_do_is_said(classifier: Run, writer: Run) -> None:
    with pytest.raises(UsageError, match="tuned a classifier: ask it with predict"):
        classifier.generate(["the cat"])
    with pytest.raises(UsageError, match="tuned a language model: ask it with generate"):
        writer.predict(["the cat"])


def test_chat_streams_what_generate_says_and_the_base_answers_beside_it(writer: Run) -> None:
    chat = Chat(str(writer.path), against="base")
    question = [Message("user", "the cat is good")]
    assert "".join(chat.answer(question)).strip() == writer.generate(["the cat is good"])[0]
    assert "".join(chat.answer(question, against=True)).strip() != "yes yes"
