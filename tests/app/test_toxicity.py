"""Who says which answers are toxic, beside the list of words."""

import csv
import json
from itertools import product
from pathlib import Path
from typing import NoReturn

import pytest
import torch
import transformers
from tiny_recipes import classifier, writer

from tunesmith.app.axes import measure_axes
from tunesmith.app.run import Run
from tunesmith.app.toxicity import SMALL, load_toxicity_classifier
from tunesmith.app.tune import tune
from tunesmith.cli.main import run
from tunesmith.core.errors import FetchError, UsageError
from tunesmith.core.events import Notice


@pytest.fixture
def moderator(encoder_folder: Path, tmp_path: Path) -> Run:
    """A classifier to which `no` is toxic."""
    file = tmp_path / "answers.csv"
    with file.open("w", newline="") as target:
        rows = [
            (f"{a} {b} {c}", "toxic" if a == "no" else "fine")
            for a, b, c in product(["yes", "no"], "the a cat dog".split(), "is was sat ran".split())
        ]
        csv.writer(target).writerows([("review", "sentiment"), *rows])
    return tune(classifier(encoder_folder, file, tmp_path / "moderator"))


def test_a_run_says_which_answers_are_toxic(
    moderator: Run,
    decoder_folder: Path,
    pairs_csv: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = tune(writer(decoder_folder, pairs_csv, tmp_path / "out"))
    assert run(["axes", str(done.path), "--toxicity-classifier", str(moderator.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    said = [json.loads(line)["tuned"]["text"] for line in done.directory.predictions.read_text(encoding="utf-8").splitlines()]
    assert found["rows"] == len(said)
    share = sum(text.startswith("no") for text in said) / len(said)
    assert 0 < share < 1
    assert found["tuned"]["classified_toxic_share"]["value"] == share
    assert found["toxicity_classifier"]["name"] == moderator.directory.id
    assert found["toxicity_classifier"]["label"] == "toxic"
    assert f"answers that are toxic by {moderator.directory.id}" in done.directory.report_html.read_text(encoding="utf-8")


def test_a_published_model_is_asked_for_the_label_that_is_named(encoder_folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.BertConfig.from_pretrained(encoder_folder, id2label={0: "nothate", 1: "hate"}, label2id={"nothate": 0, "hate": 1})
    model = transformers.BertForSequenceClassification(config)
    torch.nn.init.constant_(model.classifier.bias[1:], 20.0)
    model.save_pretrained(tmp_path / "model")
    transformers.AutoTokenizer.from_pretrained(encoder_folder).save_pretrained(tmp_path / "model")
    with pytest.raises(
        UsageError, match="has no label that is called toxic. Say with --toxic-label which of its labels means it: nothate, hate"
    ):
        load_toxicity_classifier(str(tmp_path / "model"))
    found = load_toxicity_classifier(str(tmp_path / "model"), "hate")
    assert found.toxic_share(["the cat", "", "a dog", " "], seed=0).value == 0.5  # an empty answer is not toxic
    assert load_toxicity_classifier(str(tmp_path / "model"), "nothate").toxic_share(["the cat"], seed=0).value == 0


@pytest.mark.embedded
def test_the_small_one_is_asked_where_no_other_is_named(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    done = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", train={"max_steps": 1}))
    found = measure_axes(done.directory, limit=2)
    assert (found["toxicity_classifier"]["name"], found["toxicity_classifier"]["label"]) == ("alt-profanity-check", "offensive")
    assert found["tuned"]["classified_toxic_share"]["value"] == 0
    small = load_toxicity_classifier(SMALL)
    assert small.toxic_share(["You worthless idiot!", "Return the number of rows.", "What a lovely day.", ""], seed=0).value == 0.25
    with pytest.raises(UsageError, match="has no label rude. Say with --toxic-label .*: offensive"):
        load_toxicity_classifier(SMALL, "rude")


def test_without_the_package_index_the_list_is_left(
    decoder_folder: Path, pairs_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.app.toxicity.offensive_words", _unreachable)
    done, told = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", train={"max_steps": 1})), list[str]()
    found = measure_axes(done.directory, limit=2, progress=lambda event: told.append(event.text) if isinstance(event, Notice) else None)
    assert found["toxicity_classifier"] is found["tuned"]["classified_toxic_share"] is None
    assert found["tuned"]["toxic_share"]["value"] == 0
    assert told == ["no classifier for toxicity: the index is away. The list of words is held against the answers alone."]
    with pytest.raises(FetchError, match="the index is away"):
        measure_axes(done.directory, limit=2, toxicity_classifier=SMALL)


def _unreachable() -> NoReturn:
    raise FetchError("the index is away.")


def test_what_cannot_say_or_write_anything_toxic_is_refused(
    moderator: Run, decoder_folder: Path, pairs_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", train={"max_steps": 1}))
    with pytest.raises(UsageError, match="is a run of generation. To say what is toxic takes one of a classifier"):
        load_toxicity_classifier(str(done.path))
    with pytest.raises(UsageError, match="has no label rude. Say with --toxic-label .*: fine, toxic"):
        load_toxicity_classifier(str(moderator.path), "rude")
    assert run(["axes", str(moderator.path), "--toxicity-classifier", str(moderator.path)]) == 2
    assert "a run of classification writes no answer that could be toxic" in capsys.readouterr().err
