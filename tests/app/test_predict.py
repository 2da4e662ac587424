"""Predict files of any size, and talk, with a tuned model."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app.chat import Chat
from tunesmith.app.predict import predict_file
from tunesmith.app.run import Run
from tunesmith.app.tune import tune
from tunesmith.cli.main import run as run_command
from tunesmith.core.errors import DataError, RunError, UsageError
from tunesmith.core.events import Event, Progress, Warned
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


def test_a_file_is_kept_in_pieces_only(classifier: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays bounded: it is read once to see what it has, and again as it is predicted, not before."""
    from tunesmith.app import predict as module

    read = 0

    def counted(path: Path, **options: Any) -> Any:
        nonlocal read
        read = 0
        for row in range(1, 101):
            read += 1
            yield row, {"review": "the cat was good"}

    seen = list[tuple[int, int, int]]()

    def listen(event: Event) -> None:
        if isinstance(event, Progress):
            seen.append((event.done, event.total, read))

    monkeypatch.setattr(module, "_CHUNK", 10)
    monkeypatch.setattr(module, "iter_rows", counted)
    predict_file(classifier.directory, tmp_path / "x.csv", tmp_path / "out.csv", progress=listen)
    assert seen == [(10 * n, 100, 10 * n) for n in range(1, 11)]


def test_long_texts_make_smaller_pieces(classifier: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.app import predict as module

    source = tmp_path / "new.txt"
    source.write_text("the cat was good\n" * 6)
    done = list[int]()
    monkeypatch.setattr(module, "_CHUNK_CHARACTERS", 30)
    predict_file(
        classifier.directory, source, tmp_path / "o.csv", progress=lambda e: done.append(e.done) if isinstance(e, Progress) else None
    )
    assert done == [2, 4, 6]


def test_completions_are_what_generate_says(writer: Run, tmp_path: Path) -> None:
    source = tmp_path / "new.jsonl"
    prompts = ["the cat is good", "a dog was bad"]
    source.write_text("\n".join(json.dumps({"prompt": p}) for p in prompts))
    predict_file(writer.directory, source, tmp_path / "out.jsonl")
    found = [json.loads(line)["completion"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert found == writer.generate(prompts) == ["yes yes", "no no"]


BEFORE_THE_MODEL = {
    "a missing file": ("nowhere.csv", None, "out.csv", DataError, r"nowhere\.csv: no such file"),
    "an empty file": ("new.csv", "", "out.csv", DataError, r"new\.csv: the file is empty"),
    "a header alone": ("new.csv", "review\n", "out.csv", DataError, r"new\.csv: has no rows"),
    "a missing column": ("new.csv", "id,comment\n1,a\n", "out.csv", DataError, r'new\.csv:2: no column "review".*--column text=COLUMN'),
    "a row without it": (
        "new.jsonl",
        '{"review": "a"}\n{"other": 1, "third": 2}\n',
        "out.csv",
        DataError,
        r'new\.jsonl:2: no column "review"\. Found: other, third',
    ),
    "a text that is none": ("new.jsonl", '{"review": 1}', "out.csv", DataError, r"new\.jsonl:1: .* holds 1 \(int\), expected text"),
    "a kind that cannot be written": ("new.csv", "review\na\n", "out.xlsx", UsageError, r"expected a file that ends in \.csv"),
    "the file that is read": ("new.csv", "review\na\n", "new.csv", UsageError, "is the file that is read"),
    "a file that exists": ("new.csv", "review\na\n", "mine.csv", UsageError, r"mine\.csv: exists\. .*--overwrite"),
    "a folder": ("new.csv", "review\na\n", "folder.csv", UsageError, r"folder\.csv: is a folder"),
    "a file as a folder": ("new.csv", "review\na\n", "mine.csv/out.csv", UsageError, r"mine\.csv is a file, not a folder"),
}


@pytest.mark.parametrize("case", BEFORE_THE_MODEL)
def test_what_is_wrong_is_said_before_the_model_is_loaded(
    case: str, classifier: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, content, out, kind, message = BEFORE_THE_MODEL[case]
    if content is not None:
        (tmp_path / name).write_text(content)
    (tmp_path / "mine.csv").write_text("precious")
    (tmp_path / "folder.csv").mkdir()
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("tunesmith.app.tuned.load_tuned", lambda directory: pytest.fail("the model was loaded"))
    with pytest.raises(kind, match=message):
        predict_file(classifier.directory, tmp_path / name, tmp_path / out)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "mine.csv").read_text() == "precious"


def test_checking_a_file_needs_no_torch(classifier: Run, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("id,comment\n1,a\n")
    code = (
        "import sys; from tunesmith.cli.main import run; "
        f"code = run(['predict', {str(classifier.path)!r}, {str(tmp_path / 'new.csv')!r}, '-o', {str(tmp_path / 'out.csv')!r}]); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr


def test_a_file_that_exists_is_replaced_where_that_is_wanted_and_folders_are_made(classifier: Run, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("review\nthe cat is good\n")
    out = tmp_path / "a" / "b" / "out.csv"
    classifier.predict_file(tmp_path / "new.csv", out)
    out.write_text("old")
    classifier.predict_file(str(tmp_path / "new.csv"), str(out), overwrite=True)
    assert out.read_text().startswith("review,predicted_label,")


def test_a_column_is_named_in_python_and_on_the_command_line(classifier: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "new.csv").write_text("id,comment\n1,the cat is good\n")
    classifier.predict_file(tmp_path / "new.csv", tmp_path / "a.csv", columns={"text": "comment"})
    command = ["predict", str(classifier.path), str(tmp_path / "new.csv"), "-o", str(tmp_path / "b.csv"), "--column", "text=comment"]
    assert run_command(command) == 0
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    assert capsys.readouterr().err.splitlines()[-1] == f"1 row predicted: {tmp_path / 'b.csv'}"
    assert run_command([*command[:-1], "comment"]) == 2
    assert "--column comment: expected ROLE=COLUMN" in capsys.readouterr().err


def test_no_column_of_the_file_is_replaced(classifier: Run, writer: Run, tmp_path: Path) -> None:
    mine = {"review": "the cat is good", "predicted_label": "mine", "probability_bad": 1, "predicted_label_2": "mine too"}
    (tmp_path / "new.jsonl").write_text(json.dumps({"review": "a dog is bad"}) + "\n" + json.dumps(mine))
    summary = predict_file(classifier.directory, tmp_path / "new.jsonl", tmp_path / "out.jsonl")
    assert summary["columns"] == ["predicted_label_3", "probability_bad_3", "probability_good_3"]
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert found[1].items() >= mine.items()
    assert [row["predicted_label_3"] for row in found] == ["bad", "good"]
    (tmp_path / "pairs.csv").write_text("prompt,completion\nthe cat is good,mine\n")
    assert predict_file(writer.directory, tmp_path / "pairs.csv", tmp_path / "out.csv")["columns"] == ["predicted_completion"]
    assert list(csv.DictReader((tmp_path / "out.csv").open())) == [
        {"prompt": "the cat is good", "completion": "mine", "predicted_completion": "yes yes"}
    ]


def test_half_of_a_character_in_another_column_is_handed_on(classifier: Run, tmp_path: Path) -> None:
    (tmp_path / "new.jsonl").write_text('{"review": "the cat is good", "id": "\\ud83d"}')
    predict_file(classifier.directory, tmp_path / "new.jsonl", tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text())["id"] == "\ud83d"


def test_a_column_that_only_later_rows_have_is_kept_in_a_csv(classifier: Run, tmp_path: Path) -> None:
    rows = [{"review": "the cat is good"}, {"review": "a dog is bad", "tags": ["a", {"b": 1}]}]
    (tmp_path / "new.jsonl").write_text("\n".join(map(json.dumps, rows)))
    predict_file(classifier.directory, tmp_path / "new.jsonl", tmp_path / "out.csv")
    found = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["tags"] for row in found] == ["", '["a", {"b": 1}]']


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing_and_is_a_document(
    number: signal.Signals, classifier: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tunesmith.app.tuned import Tuned

    def killed(*_: object) -> Any:
        os.kill(os.getpid(), number)
        time.sleep(5)

    monkeypatch.setattr(Tuned, "ask", killed)
    (tmp_path / "new.csv").write_text("review\nthe cat is good\n")
    before = signal.getsignal(number)
    assert run_command(["predict", str(classifier.path), str(tmp_path / "new.csv"), "-o", str(tmp_path / "a" / "out.csv"), "--json"]) == 130
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == "error: interrupted; nothing was written."
    assert json.loads(captured.out)["error"]["exit_code"] == 130
    assert [p.name for p in tmp_path.rglob("*")] == ["new.csv"]
    assert signal.getsignal(number) == before


def test_rows_longer_than_the_model_are_counted_and_said_once(
    classifier: Run, writer: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "the cat is good " * 30
    (tmp_path / "new.jsonl").write_text("\n".join(json.dumps({"review": text}) for text in [long, "a dog is bad", long]))
    assert run_command(["predict", str(classifier.path), str(tmp_path / "new.jsonl"), "-o", str(tmp_path / "o.csv"), "--json"]) == 0
    captured = capsys.readouterr()
    said = "2 of 3 rows were longer than the model reads; their end was left out."
    assert captured.err.count(said) == 1
    assert json.loads(captured.out)["num_too_long"] == 2
    (tmp_path / "w.jsonl").write_text(json.dumps({"prompt": long}))
    seen = list[Event]()
    assert predict_file(writer.directory, tmp_path / "w.jsonl", tmp_path / "w.csv", progress=seen.append)["num_too_long"] == 1
    assert any("1 of 1 row was longer" in e.text and "beginning" in e.text for e in seen if isinstance(e, Warned))


def test_an_answer_is_as_long_as_is_asked_for_and_a_cut_is_counted(
    writer: Run, classifier: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.jsonl").write_text('{"prompt": "the cat is good"}')
    command = ["predict", str(writer.path), str(tmp_path / "new.jsonl"), "-o", str(tmp_path / "o.jsonl"), "--json", "--overwrite"]
    assert run_command([*command, "--max-new-tokens", "1"]) == 0
    assert json.loads((tmp_path / "o.jsonl").read_text())["completion"] == "yes"
    captured = capsys.readouterr()
    assert "1 of 1 answers cut at 1 tokens at most; --max-new-tokens" in captured.err
    assert json.loads(captured.out)["num_cut"] == 1
    assert run_command(command) == 0
    assert json.loads(capsys.readouterr().out)["num_cut"] == 0
    (tmp_path / "c.csv").write_text("review\na\n")
    with pytest.raises(UsageError, match="max_new_tokens: this run tuned a classifier"):
        classifier.predict_file(tmp_path / "c.csv", tmp_path / "c.jsonl", max_new_tokens=3)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("great", r"texts: found str, expected a list of texts"),
        (3, r"texts: found int, expected a list of texts"),
        ([1], r"texts\[0\]: found int, expected a text or a pair of texts"),
        (["x", "a\ud83d"], r"texts\[1\]: holds half of a character"),
        (["x", None], r"texts\[1\]: found NoneType, expected a text"),
        (["x", ("a", 1)], r"texts\[1\]: found tuple, expected a text or a pair"),
    ],
)
def test_what_is_no_list_of_texts_is_one_line_and_loads_no_model(classifier: Run, writer: Run, texts: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Run(classifier.path).predict(texts)
    with pytest.raises(UsageError, match=message.replace("texts", "prompts", 1).partition(" or a pair")[0]):
        Run(writer.path).generate(texts)


def test_a_length_of_no_tokens_is_refused(writer: Run) -> None:
    with pytest.raises(UsageError, match="max_new_tokens: found 0, expected a whole number of at least 1"):
        writer.generate(["the cat"], max_new_tokens=0)


def test_a_run_named_by_a_relative_path_stays_found_elsewhere(classifier: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(classifier.path.parent)
    run = Run(classifier.path.name)
    monkeypatch.chdir(tmp_path)
    assert run.path == classifier.path
    assert run.predict(["the cat is good"])[0]["label"] == "good"


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


def test_against_base_is_refused_at_once_where_there_is_no_run(
    decoder_folder: Path, classifier: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.app.tuned.load_base", lambda recipe: pytest.fail("a model was loaded"))
    with pytest.raises(UsageError, match='no such run; "base" is the model that a run began with'):
        Chat(str(decoder_folder), against="base")
    with pytest.raises(RunError, match="nowhere: no such run"):
        Chat(str(decoder_folder), against="run:nowhere")
    with pytest.raises(UsageError, match="tuned a classifier"):
        Chat(str(classifier.path))


def test_an_answer_that_is_cut_is_marked_and_a_whole_one_is_not(
    writer: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("the cat is good\n"))
    assert run_command(["chat", str(writer.path), "--max-new-tokens", "1"]) == 0
    assert capsys.readouterr().out.split() == ["yes…", "(cut", "at", "1", "tokens)"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("the cat is good\n"))
    assert run_command(["chat", str(writer.path)]) == 0
    assert capsys.readouterr().out.split() == ["yes", "yes"]


def test_an_answer_that_nobody_listens_to_any_more_is_not_written_on(writer: Run) -> None:
    answer = writer.model.stream([Message("user", "the cat is good")], max_new_tokens=50)
    next(answer)
    answer.close()
    assert "tunesmith: an answer" not in _threads()
    assert writer.generate(["the cat is good"]) == ["yes yes"]


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_rows_that_cannot_be_predicted_are_left_out_where_asked_for_and_kept_beside(
    classifier: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.jsonl").write_text('{"review": "the cat is good"}\nbroken\n{"review": ""}\n{"review": "a dog was bad"}\n')
    command = ["predict", str(classifier.path), str(tmp_path / "new.jsonl"), "-o", str(tmp_path / "o.jsonl")]
    assert run_command(command) == 3
    assert not (tmp_path / "o.jsonl").exists()
    capsys.readouterr()
    assert run_command([*command, "--skip-invalid", "--json"]) == 0
    captured = capsys.readouterr()
    assert "2 invalid rows were left out; the first: " in captured.err
    document = json.loads(captured.out)
    assert (document["rows"], document["num_invalid"]) == (2, 2)
    assert [json.loads(line)["review"] for line in (tmp_path / "o.jsonl").read_text().splitlines()] == ["the cat is good", "a dog was bad"]
    assert [json.loads(line)["row"] for line in (tmp_path / "o.jsonl.invalid.jsonl").read_text().splitlines()] == [2, 3]
