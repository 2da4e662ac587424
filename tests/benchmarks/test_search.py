"""The benchmark `search`: passages that are made of others, recall, what counts as reached, and both of its processes on a few documents."""

import json
from datetime import date

import numpy as np
import pytest
import transformers
from model.tiny import tokenizer

from benchmarks import prepare_search, search
from benchmarks.legs import searching
from tunesmith.core.passages import Hit, Passage

WORDS = "the a cat dog mat film sat ran on good bad is was very says yes no".split()
FACTS = {
    "machine": {"processor": "Chip", "num_cores": 2, "num_threads": 2, "platform": "Linux", "versions": {"python": "3.11"}},
    "workload": {"model": "minilm-l6", "data": "python", "num_chunks": 1000, "num_real_chunks": 100},
    "indexing": {"seconds": [2.0, 4.0, 5.0], "embedding_seconds": [2.0, 2.5, 4.0], "storing_seconds": 0.6, "tidying_seconds": 0.3},
    "load": [1.5, 2.5],
}


def measured(milliseconds, recall):
    ways = ("vector", "words", "fused", "whole")
    return {"first": 190.4, "milliseconds": dict.fromkeys(ways, milliseconds), "recall": recall}


def test_a_made_passage_has_half_of_two_and_lies_between_them():
    passages = [Passage(f"{n}.txt", 0, 4, (), text) for n, text in enumerate(("aaAA", "bbBB", "ccCC"))]
    vectors = np.eye(3, dtype=np.float32)
    batches = list(prepare_search.mixed(passages, vectors, 600))
    made, found = [one for batch, _ in batches for one in batch], np.concatenate([rows for _, rows in batches])
    assert [len(batch) for batch, _ in batches] == [512, 88]
    assert len({(one.document, one.start) for one in made}) == 600
    assert {one.text[:2] for one in made} == {"aa", "bb", "cc"}
    assert {one.text[2:] for one in made} == {"AA", "BB", "CC"}
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    for one, vector in zip(made, found, strict=True):
        assert set(np.flatnonzero(vector)) == {"abc".index(one.text[0]), "ABC".index(one.text[2])}


def test_recall_is_the_share_of_the_best_ten_whichever_of_equal_ones_is_found():
    cosines = np.array([0.9] * 9 + [0.5] * 3 + [0.1] * 8, dtype=np.float32)
    place_of = {("a", place): place for place in range(20)}

    def found(*places):
        return searching.recall([Hit(Passage("a", place, 0, (), ""), 0.0) for place in places], place_of, cosines)

    assert found(*range(10)) == found(*range(9), 11) == 1.0
    assert found(*range(9), 15) == 0.9
    assert found(*range(12, 20), 0, 9, 1) == 0.2
    assert found(0) == 0.1


@pytest.mark.parametrize(
    ("milliseconds", "recall", "is_reached"), [([30.0] * 40, [1.0, 0.9], True), ([30.0] * 37 + [80.0] * 3, [1.0], False), ([30.0] * 40, [1.0, 0.8], False)]
)  # fmt: skip
def test_it_is_reached_where_nearly_every_question_is_quick_and_recall_is_high(milliseconds, recall, is_reached):
    document = search.compare_searches(FACTS, measured(milliseconds, recall))
    assert document["passed"] == is_reached
    assert [round(rate) for rate in document["indexing"].values()] == [25, 40, 1000]
    text = search.section(document, date(2026, 11, 29))
    assert f"| both, and made one | 30.0 | {document['ways']['fused']['p95']:.1f} |" in text
    assert "reads all vectors into memory: 190 ms" in text
    assert "load of the machine before and after: 1.5, 2.5" in text
    assert ("not reached" in text) != is_reached


def test_an_index_is_made_filled_up_and_searched(tmp_path, monkeypatch):
    def library(folder):
        folder.mkdir()
        for number in range(12):
            (folder / f"{number}.txt").write_text(" ".join(WORDS[number % 4 :: 1 + number % 5]) + f" {WORDS[number]}")
        return [f"{word} {other}" for word in WORDS[:4] for other in WORDS[4:9]]

    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(prepare_search, "write_library", library)
    config = transformers.BertConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    transformers.BertModel(config).save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    prepare_search.write(tmp_path, 100, 1, str(tmp_path / "model"))
    found = searching.leg(tmp_path)
    assert {way: len(taken) for way, taken in found["milliseconds"].items()} == dict.fromkeys(("vector", "words", "fused", "whole"), 10)
    assert found["recall"] == [1.0] * 20
    document = search.compare_searches({**json.loads((tmp_path / "facts.json").read_text()), "load": [0, 0]}, found)
    assert (document["workload"]["num_chunks"], document["workload"]["num_questions"]) == (100, 10)
    assert document["indexing"]["chunks_per_second"] > 0


def test_too_few_chunks_are_refused(capsys):
    with pytest.raises(SystemExit):
        search.main(["--chunks", "10"], print)
    assert "--chunks: expected at least 10,000" in capsys.readouterr().err
