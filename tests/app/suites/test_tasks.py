"""A suite's tasks are made of no more files than they need."""

import shutil
from pathlib import Path

import pytest
from suite_files import write_suites

from tunesmith.app.suites.choosing import choose
from tunesmith.app.suites.tasks import load
from tunesmith.core.errors import DataError

TRAINING = {"superglue": "superglue/BoolQ/train.jsonl", "glue": "glue/RTE/train.tsv", "hellaswag": "hellaswag/hellaswag_train.jsonl"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = write_suites(tmp_path)
    (folder / "hellaswag").mkdir()
    row = '{"activity_label": "Cooking", "ctx_a": "She boils water.", "ctx_b": "she", "endings": ["drinks it.", "sleeps."], "label": 0}\n'
    (folder / "hellaswag/hellaswag_val.jsonl").write_text(3 * row, encoding="utf-8")
    return folder


@pytest.mark.parametrize("suite", TRAINING)
def test_a_training_file_is_read_for_shots_alone(suite: str, data: Path) -> None:
    (data / TRAINING[suite]).write_text("broken\n", encoding="utf-8")
    asked = load(choose([suite])[0], data, None)
    assert sum(asked.sizes.values()) > 0
    assert load(choose([suite])[0], data, 0).sizes == asked.sizes
    with pytest.raises(DataError, match=Path(TRAINING[suite]).name):
        load(choose([suite])[0], data, 1)


def test_shots_come_from_the_training_file(data: Path) -> None:
    shutil.copy(data / "superglue/BoolQ/val.jsonl", data / TRAINING["superglue"])
    task = load(choose(["superglue"])[0], data, 2).tasks["boolq"]
    assert task.get_config("num_fewshot") == 2
    assert len(list(task.training_docs())) == 4
