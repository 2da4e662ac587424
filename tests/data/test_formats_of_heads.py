"""Numbers, many labels, tags and spans: how they are told apart, read, and encoded."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import DataError
from tunesmith.core.types import MultiLabelled, Rated, SpanQuestion, Tagged
from tunesmith.data import TextEncoder, read
from tunesmith.data.located import encode_contexts, encode_words


def kinds(*records: dict[str, Any], **options: Any) -> Any:
    return read(list(records), **options)


def test_labels_that_are_fractions_are_numbers_and_whole_ones_classes() -> None:
    found = kinds({"text": "a", "label": 0.5}, {"text": "b", "label": 2})
    assert (found.facts.format, [example.value for example in found.examples]) == ("rated", [0.5, 2.0])
    assert kinds({"text": "a", "label": 1}, {"text": "b", "label": 2}).facts.format == "labelled"
    assert kinds(*({"text": f"t{n}", "label": n} for n in range(60))).facts.format == "rated"


def test_a_pair_with_a_score_is_rated() -> None:
    (example,) = kinds({"sentence1": "a", "sentence2": "b", "score": "4.5"}).examples
    assert isinstance(example, Rated)
    assert (example.text, example.text_pair, example.value) == ("a", "b", 4.5)


def test_a_number_that_is_none_is_refused_with_its_row() -> None:
    pair = {"sentence1": "a", "sentence2": "b"}
    with pytest.raises(DataError, match=r'list:2: the column "score" holds "high", expected a number'):
        kinds({**pair, "score": 1.5}, {**pair, "score": "high"})
    with pytest.raises(DataError, match='the column "score" is empty'):
        kinds({**pair, "score": 1.5}, {**pair, "score": None})


def test_a_score_beside_a_single_text_is_a_value_only_where_that_is_said() -> None:
    assert kinds({"text": "a", "score": 1.5}).facts.format == "text"
    assert kinds({"text": "a", "score": 1.5}, columns={"value": "score"}).examples[0].value == 1.5


@pytest.mark.parametrize("labels", [["x", "y"], '["x", "y"]'])
def test_lists_of_labels_are_many_labels(labels: Any) -> None:
    found = kinds({"text": "a", "labels": labels}, {"text": "b", "labels": []})
    assert [example.labels for example in found.examples] == [("x", "y"), ()]
    assert found.facts.labels == ("x", "y")


def test_many_labels_are_named_by_a_map_and_parted_by_commas_where_that_is_said() -> None:
    (example,) = kinds({"text": "a", "labels": [1, 0, 1]}, labels={"0": "no", "1": "yes"}).examples
    assert isinstance(example, MultiLabelled)
    assert example.labels == ("yes", "no")
    (example,) = kinds({"text": "a", "labels": "x, y"}, format="multilabel").examples
    assert example.labels == ("x", "y")
    with pytest.raises(DataError, match=r'list:1: the column "labels" holds None as a label'):
        kinds({"text": "a", "labels": [None]})
    with pytest.raises(DataError, match='unknown label "2"'):
        kinds({"text": "a", "labels": [2]}, labels={"0": "no", "1": "yes"})


def test_words_with_tags() -> None:
    found = kinds({"tokens": ["Anna", "runs"], "ner_tags": ["B-PER", "O"]})
    assert found.examples[0].words == ("Anna", "runs")
    assert found.facts.labels == ("B-PER", "O")
    with pytest.raises(DataError, match="list:1: 2 words and 1 tags"):
        kinds({"tokens": ["a", "b"], "tags": ["O"]})
    with pytest.raises(DataError, match='holds "" as word 2'):
        kinds({"tokens": ["a", ""], "tags": ["O", "O"]})


def test_conll_files_are_sentences_of_words_and_tags(tmp_path: Path) -> None:
    file = tmp_path / "a.conll"
    file.write_text("-DOCSTART- -X- O O\n\n# a remark\nAnna NNP B-NP B-PER\nruns VBZ B-VP O\n\nOslo\tB-LOC\n", encoding="utf-8")
    found = read(file)
    assert [(e.origin.row, e.words, e.tags) for e in found.examples] == [(4, ("Anna", "runs"), ("B-PER", "O")), (7, ("Oslo",), ("B-LOC",))]
    file.write_text("Anna B-PER\nruns\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.conll:2: expected a word and its tag"):
        read(file)


SQUAD = {"question": "Who sat?", "context": "The old cat sat.", "answers": {"text": ["cat"], "answer_start": [8]}}


def test_squad_rows_and_squads_own_files_are_the_same(tmp_path: Path) -> None:
    (row,) = kinds(SQUAD).examples
    assert isinstance(row, SpanQuestion)
    assert row.answers == ((8, "cat"),)
    answers = [{"text": "cat", "answer_start": 8}]
    questions = [
        {"id": "1", "question": "Who sat?", "answers": answers},
        {"id": "2", "question": "Who ran?", "answers": [], "is_impossible": True},
    ]
    file = tmp_path / "train.json"
    file.write_text(
        json.dumps({"version": "v2.0", "data": [{"title": "T", "paragraphs": [{"context": SQUAD["context"], "qas": questions}]}]})
    )
    nested = read(file)
    assert [(e.question, e.answers) for e in nested.examples] == [("Who sat?", ((8, "cat"),)), ("Who ran?", ())]
    assert [e.origin.row for e in nested.examples] == [1, 2]


def test_an_answer_that_stands_elsewhere_is_refused() -> None:
    with pytest.raises(DataError, match='the answer "cat" does not stand at character 7 of the context. It stands at 8.'):
        kinds({**SQUAD, "answers": {"text": ["cat"], "answer_start": [7]}})
    with pytest.raises(DataError, match="The context does not hold it"):
        kinds({**SQUAD, "answers": {"text": ["dog"], "answer_start": [7]}})
    with pytest.raises(DataError, match="of equal length"):
        kinds({**SQUAD, "answers": {"text": ["dog"], "answer_start": []}})


WORDS = st.lists(
    st.text(st.characters(exclude_categories=("Z", "C"), max_codepoint=0x3FF), min_size=1, max_size=6), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(words=WORDS)
def test_the_first_token_of_a_word_begins_with_it_and_comes_after_that_of_the_word_before(base: Any, words: list[str]) -> None:
    found = encode_words(base, words, 512, with_types=False)
    assert all(first >= 0 for first in found.firsts)
    text = " ".join(words)
    spans = base(text, return_offsets_mapping=True)["offset_mapping"]
    at = 0
    for word, first in zip(words, found.firsts, strict=True):
        start = text.index(word, at)
        begin, end = spans[first]
        assert begin < start + len(word)
        assert end > start
        assert first == 0 or spans[first - 1][1] <= start
        at = start + len(word)


def test_words_beyond_the_length_have_no_token(base: Any) -> None:
    found = encode_words(base, ["word"] * 50, 20, with_types=False)
    assert len(found.encoded.tokens) == 20
    assert found.encoded.num_cut == len(base(" ".join(["word"] * 50))["input_ids"]) - 20
    assert found.firsts[0] == 0
    assert found.firsts[-1] == -1


def test_windows_of_a_context_overlap_and_hold_every_character(base: Any) -> None:
    context = " ".join(f"word{n}" for n in range(80))
    windows = encode_contexts(base, "which word?", context, 48, with_types=False)
    assert len(windows) > 2
    assert all(len(window.encoded.tokens) <= 48 for window in windows)
    held = {at for window in windows for begin, end in window.spans for at in range(begin, end)}
    assert held == set(range(len(context)))
    assert windows[0].spans[-1][1] > windows[1].spans[0][0]  # they overlap
    for window in windows:
        (begin, _), (_, end) = window.spans[0], window.spans[-1]
        tokens = window.encoded.tokens[window.first : window.first + len(window.spans)]
        assert base.decode(tokens) == context[begin:end]


def test_a_question_longer_than_half_a_window_is_cut(base: Any) -> None:
    windows = encode_contexts(base, "why " * 100, "because", 32, with_types=False)
    assert len(windows) == 1
    assert windows[0].encoded.num_cut > 0
    assert windows[0].spans[-1][1] == len("because")


def test_a_text_with_a_number_is_encoded_as_one_with_a_class(chatml: Any, facts: Any) -> None:
    encoder = TextEncoder(chatml, facts(), ("a",), template="How good? {text}")
    rated, labelled = (kinds({"text": "fine", "label": value}).examples[0] for value in (0.5, "a"))
    assert encoder.encode(rated) == encoder.encode(labelled)
    assert isinstance(kinds({"words": ["a"], "tags": ["O"]}).examples[0], Tagged)
