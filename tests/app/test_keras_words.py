"""A classifier of words that Keras saved, tuned on texts: its words, its head, and what it does not know."""

from pathlib import Path
from typing import Any

import pytest
from keras_files import GOLDEN, words_file
from tiny_recipes import stop_at

from tunesmith.app.tune import resume, tune
from tunesmith.app.tuned import load_tuned
from tunesmith.core.errors import DataError, Interrupted
from tunesmith.core.events import Warned
from tunesmith.core.run import RunDirectory
from tunesmith.recipe import Recipe, from_mapping


def _texts(folder: Path, vocabulary: str, num: int = 60) -> Path:
    file = folder / "texts.csv"
    rows = [
        f"{' '.join(f'{vocabulary}{2 + (7 * row + place * (1 + row % 2)) % 27}' for place in range(4 + row % 5))},{'ab'[row % 2]}"
        for row in range(num)
    ]
    file.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return file


def _recipe(folder: Path, out: str, vocabulary: str = "w", **changes: Any) -> Recipe:
    made = {
        "model": {"source": str(GOLDEN / "both-ways.h5"), "words": str(words_file(folder)), "labels": ["a", "b", "c"]},
        "data": str(_texts(folder, vocabulary)),
        "method": "full",
        "train": {"max_steps": 6, "learning_rate": 1e-2, "examples_per_step": 8},
        "evaluate": {"retention": "none", "metrics": ["accuracy"]},
        "output_dir": str(folder / out),
    }
    return from_mapping({**made, **changes}, name="words")


def test_it_is_tuned_resumed_and_asked_again_by_its_own_words(tmp_path: Path) -> None:
    told: list[Any] = []
    whole = tune(_recipe(tmp_path, "whole"), progress=told.append)
    assert [event.text for event in told if isinstance(event, Warned)] == [
        f"model.source: {GOLDEN / 'both-ways.h5'}: its head has other labels: it goes on for a, b; leaves out c."
    ]
    assert whole.report["task"]["base"] == "as_it_is"
    assert whole.report["model"]["kind"] == "keras"
    with pytest.raises(Interrupted):
        tune(_recipe(tmp_path, "parted"), progress=stop_at(3))
    resume(tmp_path / "parted")
    said = [load_tuned(RunDirectory(tmp_path / name)).predict(["w3 w4 w5", "W9, w9!", "what w2"]) for name in ("whole", "parted")]
    assert said[0] == said[1]
    again = tune(_recipe(tmp_path, "again", model=f"run:{whole.directory.path}", method="head"))
    assert again.report["metrics"]["accuracy"]["base"]["value"] == whole.report["metrics"]["accuracy"]["tuned"]["value"]
    on_head = tune(_recipe(tmp_path, "on-head", method="head"))  # a head alone: the file is read again, with its words and labels
    assert load_tuned(on_head.directory).classes == ("a", "b")
    assert tune(_recipe(tmp_path, "on-run", model=f"run:{on_head.directory.path}")).report["task"]["base"] == "as_it_is"


def test_words_that_the_network_does_not_know_are_told(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"100% of the tokens of .* are unknown to the vocabulary of .*: there is nothing to learn\. .*model\.words"
    ):
        tune(_recipe(tmp_path, "out", "x"))
    assert not (tmp_path / "out").exists()
    told: list[Any] = []
    mixed = tmp_path / "mixed.csv"
    mixed.write_text(_texts(tmp_path, "w").read_text().replace("w1", "x1"), encoding="utf-8")
    tune(_recipe(tmp_path, "out", data=str(mixed)), progress=told.append)
    (warning,) = [event.text for event in told if isinstance(event, Warned) and "are unknown to the vocabulary" in event.text]
    assert warning.endswith("of a Keras file model.words names its own list.")
