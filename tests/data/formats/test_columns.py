"""Rows of numbers: which tables are taken for them, what they become, and what is refused."""

from typing import Any

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Labelled, ModelFacts, Origin
from tunesmith.data import kept_labels, kept_splits, read, split
from tunesmith.data.columns import numbers_of
from tunesmith.data.prediction import columns_to_predict, example_to_predict

ROWS = [{"length": 5.1, "width": "3.5", "label": "setosa"}, {"length": 7, "width": "3.2", "label": "virginica"}]
FACTS = ModelFacts("net", "LayeredModel", "x", False, False, False, 8, 1, 1, 64, 0, False, 0, None, 0, {}, 2, ("length", "width"))
HERE = Origin("made", 1)


def test_a_table_of_numbers_with_a_label_is_read_as_it_stands() -> None:
    found = read(ROWS)
    assert found.facts.format == "columns"
    assert found.facts.labels == ("setosa", "virginica")
    assert found.facts.notes == ()
    (first, second) = found.examples
    assert isinstance(first, Labelled)
    assert first.numbers == (("length", 5.1), ("width", 3.5))
    assert first.text == "length=5.1 width=3.5"
    assert isinstance(second, Labelled)
    assert second.text == "length=7 width=3.2"


def test_named_columns_alone_are_read_under_their_names_in_their_order() -> None:
    (first, _) = read(ROWS, format="columns", columns={"w": "width", "label": "label"}).examples
    assert isinstance(first, Labelled)
    assert first.numbers == (("w", 3.5),)


@pytest.mark.parametrize(
    ("rows", "format"),
    [
        ([{"text": "a film", "length": 5.1, "label": "good"}], "labelled"),
        ([{"length": 5.1, "name": "x", "label": "good"}], None),
        ([{"length": 5.1, "label": 0.5}, {"length": 5.1, "label": 0.7}], None),
        ([{"label": "good"}], None),
    ],
)
def test_other_tables_are_not_taken_for_rows_of_numbers(rows: list[dict[str, Any]], format: str | None) -> None:
    if format is not None:
        assert read(rows).facts.format == format
        return
    with pytest.raises(DataError, match="cannot tell what the columns"):
        read(rows)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"length": "long", "width": 1, "label": "a"}, r'row 2: the column "length" holds "long", expected a number\. Name the columns that hold numbers'),
        ({"length": None, "width": 1, "label": "a"}, r'row 2: the column "length" is empty, and a number is expected\.'),
        ({"length": "", "width": 1, "label": "a"}, r'row 2: the column "length" is empty'),
        ({"length": float("inf"), "width": 1, "label": "a"}, r'holds inf, which is no finite number'),
        ({"length": 1, "label": "a"}, r'no column "width"\. Found: length, label\.'),
        ({"length": 1, "width": 2, "label": ""}, r'the column "label" is empty'),
    ],
)  # fmt: skip
def test_a_row_that_is_not_of_numbers_is_told_in_one_line(record: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message.replace("row 2", ".*2")) as error:
        read([ROWS[0], record], format="columns")
    assert "\n" not in str(error.value)
    assert len(read([ROWS[0], record], format="columns", skip_invalid=True).examples) == 1


def test_a_network_reads_the_columns_that_it_knows_by_their_names() -> None:
    row = Labelled("", None, HERE, numbers=(("id", 9.0), ("width", 3.5), ("length", 5.1)))
    assert numbers_of(row, FACTS) == (5.1, 3.5)
    with pytest.raises(DataError, match=r'made:1: no number in the column "length", which net reads\. Found: width\.'):
        numbers_of(Labelled("", None, HERE, numbers=(("width", 3.5),)), FACTS)
    unnamed = ModelFacts(*[getattr(FACTS, name) for name in FACTS.__slots__][:-1])
    with pytest.raises(DataError, match=r"made:1: 3 columns of numbers, and net reads 2\. Name those that it reads, in their order"):
        numbers_of(row, unnamed)
    with pytest.raises(DataError, match=r"made:1: net reads 2 numbers a row, and this row is a text\."):
        numbers_of(Labelled("a text", None, HERE), FACTS)


def test_a_row_to_predict_needs_no_label_and_may_hold_other_columns() -> None:
    record = {"name": "x", "width": "3.5", "length": 5.1, "label": "3", "empty": ""}
    located = columns_to_predict(list(record), HERE, format="columns", given={}, recipe={"label": "label"})
    example = example_to_predict(record, HERE, format="columns", columns=located)
    assert isinstance(example, Labelled)
    assert example.numbers == (("width", 3.5), ("length", 5.1))
    located = columns_to_predict(list(record), HERE, format="columns", given={"l": "length"}, recipe={})
    example = example_to_predict(record, HERE, format="columns", columns=located)
    assert isinstance(example, Labelled)
    assert example.numbers == (("l", 5.1),)
    with pytest.raises(DataError, match=r'no column "lenght" to read the l from\. Did you mean "length"'):
        columns_to_predict(list(record), HERE, format="columns", given={"l": "lenght"}, recipe={})


def test_the_tables_of_scikit_learn_are_read() -> None:
    digits, iris = read("digits"), read("iris")
    assert (len(digits.examples), len(iris.examples)) == (1797, 150)
    assert digits.facts.labels == tuple("0123456789")
    assert iris.facts.labels == ("setosa", "versicolor", "virginica")
    (first, *_) = digits.examples
    assert isinstance(first, Labelled)
    assert first.label == "0"
    assert [value for name, value in first.numbers if name.startswith("pixel_0_")] == [0, 0, 5, 13, 9, 1, 0, 0]
    (first, *_) = iris.examples
    assert isinstance(first, Labelled)
    assert first.numbers == (("sepal_length", 5.1), ("sepal_width", 3.5), ("petal_length", 1.4), ("petal_width", 0.2))


def test_what_is_held_out_of_a_class_does_not_depend_on_which_others_are_kept() -> None:
    whole = read("digits")
    parts = [kept_splits(split(whole), wanted) for wanted in (["2", "3"], ["2", "3", "4"])]
    rows = [{example.origin.row for example in one.test if isinstance(example, Labelled) and example.label != "4"} for one in parts]
    assert rows[0] == rows[1]
    assert len(rows[0]) > 60
    kept = kept_labels(whole, ["3", "2"])
    assert kept.facts.labels == ("2", "3")
    assert kept.facts.num_rows == len(kept.examples) == 360
    with pytest.raises(DataError, match=r"digits: data\.keep_labels: '12' is no class of the data\."):
        kept_labels(whole, ["12"])
