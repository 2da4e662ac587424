"""Every row is read; what is wrong with one is kept and stops nothing."""

from pathlib import Path

import pytest

from tunesmith.core.errors import DataError
from tunesmith.data import read
from tunesmith.data.checks.reading import find_unreadable, read_to_the_end


def written(folder: Path, content: str, name: str = "rows.csv") -> str:
    (folder / name).write_text(content, encoding="utf-8")
    return str(folder / name)


def test_good_rows_are_those_of_read(tmp_path: Path) -> None:
    file = written(tmp_path, "text,label\na,x\nb,y\n")
    reading = read_to_the_end(file)
    assert reading.dataset == read(file)
    assert reading.refused == {}
    assert find_unreadable("train", reading) == []


def test_bad_rows_are_named_with_their_reason_and_the_others_stay(tmp_path: Path) -> None:
    file = written(tmp_path, "text,label\na,x\n,y\nc,\nd,y\n")
    reading = read_to_the_end(file)
    assert [example is None for example in reading.examples] == [False, True, True, False]
    assert reading.dataset.facts.labels == ("x", "y")
    (found,) = find_unreadable("train", reading)
    assert (found.check, found.severity, found.count) == ("unreadable", "error", 2)
    assert [(place.row, place.text) for place in found.examples] == [
        (3, 'the column "text" is empty. Write its text or remove the row.'),
        (4, 'the column "label" is empty. Write its label or remove the row.'),
    ]
    assert found.removes == {(file, 3), (file, 4)}


def test_a_label_that_is_not_in_the_map_is_a_bad_row(tmp_path: Path) -> None:
    reading = read_to_the_end(written(tmp_path, "text,label\na,0\nb,1\nc,7\nd,1\n"), labels={"0": "no", "1": "yes"})
    assert [getattr(example, "label", None) for example in reading.examples] == ["no", "yes", None, "yes"]
    assert 'unknown label "7"' in reading.refused[2]
    assert reading.facts.labels == ("no", "yes")


def test_where_no_row_can_be_read_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is empty.*No row of .*rows\.csv can be read"):
        read_to_the_end(written(tmp_path, "text,label\n,x\n,y\n"))
    with pytest.raises(DataError, match='unknown label "x"'):
        read_to_the_end(written(tmp_path, "text,label\na,x\nb,x\n"), labels={"0": "no"})


def test_a_column_of_quantities_is_nobodys_fault_but_the_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not classes"):
        read_to_the_end(written(tmp_path, "text,label\na,0.5\nb,0.7\n"), format="labelled")


def test_conversations_too(tmp_path: Path) -> None:
    good = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'
    reading = read_to_the_end(written(tmp_path, f'{good}\n{{"messages": []}}\n{good}\n', "chats.jsonl"))
    assert list(reading.refused) == [1]
    assert len(reading.dataset.examples) == 2
