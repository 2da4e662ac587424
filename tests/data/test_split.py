import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import DataError
from tunesmith.core.types import Chat, Completion, Example, Labelled, Message, Origin, Text
from tunesmith.data import Dataset, SourceFacts, Splits, content_key, fraction_of, limited, refuse_overlap, split
from tunesmith.data.split import num_duplicates, num_overlapping


def dataset(examples: list[Example]) -> Dataset:
    return Dataset(examples, SourceFacts("a.csv", "", None, None, len(examples), "labelled", (), ()))


def labelled(rows: list[tuple[str, str]]) -> list[Example]:
    return [Labelled(text, label, Origin("a.csv", row)) for row, (text, label) in enumerate(rows, start=2)]


def texts(examples: list[Example]) -> Counter[tuple[str, str | None]]:
    return Counter((example.text, example.label) for example in examples if isinstance(example, Labelled))


ROWS = labelled([(f"text number {i}", "b" if i % 4 == 0 else "a") for i in range(1000)])


@given(st.lists(st.tuples(st.text(max_size=3), st.sampled_from("ab")), min_size=8, max_size=60), st.randoms(use_true_random=False))
def test_every_text_is_in_one_split_whatever_the_order(rows: list[tuple[str, str]], rng: random.Random) -> None:
    try:
        splits = split(dataset(labelled(rows)), validation=0.2, test=0.2)
    except DataError:  # too few distinct texts
        return
    parts = list(splits.named().values())
    keys = [{content_key(example) for example in part} for part in parts]
    assert sum(len(part) for part in parts) == len(rows)
    assert len(keys[0] | keys[1] | keys[2]) == sum(len(part) for part in keys)
    shuffled = list(rows)
    rng.shuffle(shuffled)
    again = split(dataset(labelled(shuffled)), validation=0.2, test=0.2)
    assert [texts(part) for part in again.named().values()] == [texts(part) for part in parts]


def test_the_split_is_the_same_on_every_machine() -> None:
    """The test text is the one whose SHA-256 is smallest, which anybody can compute."""
    import hashlib

    words = ["alpha", "beta", "gamma", "delta", "epsilon"]
    splits = split(dataset([Text(word, Origin("a.txt", i)) for i, word in enumerate(words)]), validation=1, test=1)
    by_hash = sorted(words, key=lambda word: hashlib.sha256(word.encode()).hexdigest())
    assert [e.text for e in splits.test if isinstance(e, Text)] == by_hash[:1]
    assert [e.text for e in splits.validation if isinstance(e, Text)] == by_hash[1:2]


def test_shares_and_counts_keep_the_balance_of_labels() -> None:
    for validation, test, sizes in ((0.1, 0.2, (700, 100, 200)), (100, 200, (700, 100, 200))):
        splits = split(dataset(ROWS), validation=validation, test=test)
        assert (len(splits.train), len(splits.validation), len(splits.test)) == sizes
        for part in splits.named().values():
            labels = Counter(example.label for example in part if isinstance(example, Labelled))
            assert labels["b"] == len(part) // 4


def test_without_labels_in_proportion_formats_of_the_same_rows_hold_out_the_same_texts() -> None:
    raw: list[Example] = [Text(example.text, example.origin) for example in ROWS if isinstance(example, Labelled)]

    def held(examples: list[Example], stratified: bool) -> list[set[str]]:
        splits = split(dataset(examples), validation=0.05, test=0.2, stratified=stratified)
        return [{content_key(example) for example in part} for part in splits.named().values()]

    assert held(ROWS, False) == held(raw, False)
    assert held(raw, True) == held(raw, False)  # raw texts are of one label
    assert held(ROWS, True)[2] != held(raw, True)[2]


def test_the_test_split_does_not_depend_on_the_validation_split() -> None:
    assert split(dataset(ROWS), validation=0, test=0.2).test == split(dataset(ROWS), validation=0.3, test=0.2).test


def test_zero_holds_out_nothing() -> None:
    splits = split(dataset(ROWS), validation=0, test=0)
    assert (splits.train, splits.validation, splits.test) == (ROWS, [], [])


def test_a_limit_takes_every_label_in_proportion_and_grows_by_adding() -> None:
    small, large = limited(ROWS, 100), limited(ROWS, 400)
    assert len(small) == 100
    assert texts(small) <= texts(large)
    assert sum(example.label == "b" for example in small if isinstance(example, Labelled)) == 25
    assert limited(ROWS, None) == limited(ROWS, 5000) == ROWS


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match=r"a.csv: 3 rows are too few to hold out 2 .*data.split.test"):
        split(dataset(ROWS[:3]), validation=1, test=2)
    with pytest.raises(DataError, match="1 distinct texts in 10 rows"):
        split(dataset(labelled([("same", "a")] * 10)), validation=0.1, test=0.2)


def test_case_white_space_and_composition_make_no_new_text() -> None:
    one, other = labelled([("Caf\u00e9  au lait", "a"), (" cafe\u0301 AU\nlait", "b")])
    assert content_key(one) == content_key(other)


def test_pairs_go_by_their_source_and_conversations_by_what_precedes_the_last_answer() -> None:
    here = Origin("a", 1)
    assert content_key(Completion("ask", "one", here)) == content_key(Completion("ask", "two", here))
    chats = [Chat((Message("user", "ask"), Message("assistant", answer)), here) for answer in ("one", "two")]
    assert content_key(chats[0]) == content_key(chats[1])
    assert content_key(Labelled("a", "x", here, "b")) != content_key(Labelled("a", "x", here, "c"))


def test_an_overlap_is_refused_with_both_places_and_the_cure() -> None:
    train, test = labelled([("one", "a"), ("two", "a")]), [Labelled("Two ", "a", Origin("test.csv", 9))]
    splits = Splits(train, [], list(test))
    with pytest.raises(DataError) as caught:
        refuse_overlap(splits)
    assert "1 row of test also stands in train: test.csv:9 = a.csv:3" in str(caught.value)
    assert "data.allow_overlap=true" in str(caught.value)
    refuse_overlap(splits, allow=True)
    assert num_overlapping(train, test) == 1


def test_duplicates_are_counted_with_their_answers() -> None:
    here = Origin("a", 1)
    assert num_duplicates([Completion("ask", "one", here), Completion("ask", "two", here), Completion("Ask", "one", here)]) == 1
    assert num_duplicates(labelled([("x", "a"), ("x", "a"), ("x", "b"), ("y", "a")])) == 2


def test_repeated_texts_stay_together_and_never_swell_a_split() -> None:
    rows = labelled([(f"text {i % 10}", "a") for i in range(100)])  # ten texts, ten times each
    splits = split(dataset(rows), validation=0, test=25)
    assert len(splits.test) == 20
    assert Counter(texts(splits.test).values()) == {10: 2}


@given(st.lists(st.tuples(st.text(max_size=2), st.sampled_from("ab")), min_size=2, max_size=60), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_smaller_fraction_is_inside_of_a_larger_one_with_all_copies(rows: list[tuple[str, str]], one: float, other: float) -> None:
    try:
        small, large = (fraction_of(labelled(rows), fraction) for fraction in sorted((one, other)))
    except DataError:  # a class without a row
        return
    keys = {content_key(example) for example in small}
    assert [example for example in large if content_key(example) in keys] == list(small)
    assert not texts(list(small)) - texts(labelled(rows))


def test_rows_of_a_group_are_all_in_a_fraction_or_none_is() -> None:
    rows: list[Example] = [Text(f"text {i}", Origin("a.txt", i, group=f"passage {i % 20}")) for i in range(100)]
    kept = Counter(example.origin.group for example in fraction_of(rows, 0.3))
    assert (len(kept), set(kept.values())) == (6, {5})


def test_a_fraction_keeps_the_balance_of_labels_and_whole_is_everything() -> None:
    for fraction in (0.1, 0.3, 0.5):
        kept = Counter(example.label for example in fraction_of(ROWS, fraction) if isinstance(example, Labelled))
        assert kept == {"a": round(750 * fraction), "b": round(250 * fraction)}
    assert fraction_of(ROWS, 1.0) == ROWS


def test_a_fraction_without_a_row_of_some_class_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"data.train_fraction: 0.001 of 1,000 training rows holds none of the 250 of b\. Take a larger part"
    ):
        fraction_of(ROWS, 0.001)
    with pytest.raises(DataError, match="holds none of the 3 of small"):
        fraction_of([Text(word, Origin("a.txt", 1, "small")) for word in "xyz"], 0.1)
