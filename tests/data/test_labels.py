import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Labelled, Origin
from tunesmith.data.labels import name_labels, raw_label


def labelled(*labels: str) -> list[Labelled]:
    return [Labelled(f"text {row}", label, Origin("a.csv", row)) for row, label in enumerate(labels, start=2)]


def named(*labels: str, given: dict[str, str] | None = None, classes: tuple[str, ...] = ()) -> tuple[list[str | None], tuple[str, ...]]:
    examples, names = name_labels(labelled(*labels), "label", given, classes)
    return [example.label for example in examples], names


def test_a_number_is_one_label_however_it_is_written() -> None:
    assert raw_label(1) == raw_label(1.0) == raw_label("1") == raw_label(" 1.0 ") == "1"


def test_without_a_map_the_values_are_the_labels_numbers_by_value() -> None:
    assert named("10", "9", "2")[1] == ("2", "9", "10")
    assert named("pos", "neg", "pos")[1] == ("neg", "pos")


def test_a_map_names_values_and_gives_their_order() -> None:
    assert named("0", "1", given={"1": "positive", "0": "negative"}) == (["negative", "positive"], ("positive", "negative"))


def test_two_values_may_have_one_name() -> None:
    assert named("1", "2", "5", given={"1": "bad", "2": "bad", "5": "good"}) == (["bad", "bad", "good"], ("bad", "good"))


def test_a_name_itself_is_a_known_value() -> None:
    assert named("negative", "1", given={"0": "negative", "1": "positive"})[0] == ["negative", "positive"]


def test_an_unknown_label_is_named_with_its_row_and_the_known_ones() -> None:
    with pytest.raises(DataError) as caught:
        named("0", "meh", given={"0": "negative", "1": "positive"})
    assert str(caught.value).startswith('a.csv:3: unknown label "meh" in the column "label". Known: 0 (negative), 1 (positive).')


def test_class_names_of_the_source_name_the_numbers() -> None:
    assert named("1", "0", classes=("neg", "pos")) == (["pos", "neg"], ("neg", "pos"))
    assert named("1", "0", classes=("neg", "pos"), given={"neg": "bad", "pos": "good"}) == (["good", "bad"], ("bad", "good"))
    with pytest.raises(DataError, match="published without its label"):
        named("-1", classes=("neg", "pos"))


def test_quantities_are_refused() -> None:
    with pytest.raises(DataError, match="holds numbers such as 0.5, not classes"):
        named("1", "0.5")
    with pytest.raises(DataError, match=r"holds numbers \(51 different ones\)"):
        named(*map(str, range(51)))


def test_free_text_is_refused_but_many_classes_are_not() -> None:
    with pytest.raises(DataError, match="text, not classes"):
        named(*(f"answer {i}" for i in range(60)))
    assert len(named(*(f"intent {i % 60}" for i in range(600)))[1]) == 60
