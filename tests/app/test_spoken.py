"""Python callers are told of their own objects and arguments, not of a cache file or a command line."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tunesmith
from tunesmith.app.spoken import python_words
from tunesmith.core.errors import DataError
from tunesmith.core.events import Event, Stage

ROWS: list[dict[str, Any]] = [{"text": f"the cat is {n}", "label": "ab"[n % 2]} for n in range(30)]


def refused(data: Any, **arguments: Any) -> tuple[str, list[str]]:
    """The error's text, and what the stages were about."""
    seen = list[Event]()
    with pytest.raises(DataError) as caught:
        tunesmith.tune(model="nothing-is-loaded", data=data, progress=seen.append, **arguments)
    return str(caught.value), [event.detail for event in seen if isinstance(event, Stage)]


def test_a_row_of_a_list_is_an_item_of_the_list() -> None:
    text, details = refused([*ROWS[:2], {"text": "", "label": "a"}])
    assert text.startswith('list, item 3: the column "text" is empty')
    assert details == ["list"]


def test_a_row_of_a_data_frame_is_a_row_of_the_data_frame() -> None:
    pd = pytest.importorskip("pandas")
    text, details = refused(pd.DataFrame([*ROWS[:2], {"text": "x", "label": None}]))
    assert text.startswith('DataFrame, row 3: the column "label" is empty')
    assert details == ["DataFrame"]
    text, _ = refused(ROWS, test=pd.DataFrame([{"text": " ", "label": "a"}]))
    assert text.startswith('test DataFrame, row 1: the column "text" is empty')


def test_a_recipes_key_is_said_as_an_argument_too() -> None:
    text, _ = refused([{"comment": "a", "stars": 1, "id": 3}])
    assert text.startswith("list: cannot tell what the columns comment, stars, id mean.")
    assert text.endswith('In Python: tune(..., data={"train": ..., "columns": {"text": ...}}).')


def test_a_mapping_of_texts_names_a_source_and_replaces_the_recipes_own(tmp_path: Path) -> None:
    pair = {"source": "none.en", "target": "none.de"}
    text, details = refused({"train": pair})
    assert text.startswith("none.en and none.de: no such files")
    assert details == ["none.en"]
    file = tmp_path / "other.yaml"
    file.write_text("model: m\ndata: {train: {file: a.xlsx, sheet: One}}\n")
    text, _ = refused({"train": pair}, recipe=file)
    assert text.startswith("none.en and none.de: no such files")


def test_a_file_that_is_named_like_a_key_is_none() -> None:
    with pytest.raises(DataError, match=r"^train\.csv:3: broken\. See data\.txt\.$"), python_words({}):
        raise DataError("train.csv:3: broken. See data.txt.")


def test_the_package_offers_its_own_names_only() -> None:
    code = "import tunesmith; print(*(n for n in dir(tunesmith) if not n.startswith('_')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.split() == ["Group", "Run", "advise", "compare", "load_many", "tune"]
    assert not hasattr(tunesmith, "Any")
