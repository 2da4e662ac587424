"""The benchmark `data`: what is read, what is compared, and both legs on a few rows."""

import json
import os
from dataclasses import replace

import pytest

from benchmarks.conversations import Prepared, text_hashes
from benchmarks.data import compare_prepared
from benchmarks.document import table
from benchmarks.legs import datasets_map, ours_data
from benchmarks.prepare_conversations import write_conversations

PAIRS = [(f"What is {name}?", f"It is {name} and more than that.") for name in ("one", "two", "three", "four", "five")]
FACTS = {"workload": {"title": "data"}, "machine": {}}


def _prepared(seconds, memory=100, rows=10, texts=("a", "b")):
    return Prepared(seconds, rows, 50, 1, memory, texts, "1")


def test_conversations_are_the_same_for_everybody_and_a_file_begins_as_a_longer_one(tmp_path):
    for name, count in (("short", 8), ("long", 20), ("again", 20)):
        write_conversations(tmp_path / name, count, PAIRS)
    short, long, again = ((tmp_path / name).read_text().splitlines() for name in ("short", "long", "again"))
    assert long == again
    assert long[:8] == short
    turns = [len(json.loads(line)["messages"]) for line in long]
    assert turns == [4, 2, 2, 2] * 5


def test_ratios_are_of_rows_a_second_and_of_memory():
    document = compare_prepared(
        {"ours": [_prepared(2.0), _prepared(4.0)], "datasets": [_prepared(6.0, 400)] * 2, "ours_quarter": [_prepared(1.0, 90, 3)]}, FACTS
    )
    peer = document["peers"]["datasets"]
    assert peer["ratios"]["rows_per_second"] == {"median": 2.25, "min": 1.5, "max": 3.0}
    assert peer["ratios"]["peak_memory"]["median"] == 0.25
    assert "0 of 2 texts differ (allowed 0)" in table(document)
    assert "3 rows" in table(document)


def test_other_texts_have_no_ratio():
    document = compare_prepared({"ours": [_prepared(2.0)], "datasets": [_prepared(6.0, texts=("a", "c"))]}, FACTS)
    assert not document["passed"]
    assert document["peers"]["datasets"]["ratios"] is None
    assert "1 of 2 texts differ" in table(document)


def test_white_space_at_the_end_is_no_difference():
    assert text_hashes(["a\n", "b"]) == text_hashes(["a", "b"])
    assert text_hashes(["a"]) != text_hashes(["A"])


def test_both_legs_read_the_same_texts(tmp_path, chat_model, monkeypatch):
    monkeypatch.setattr(os, "environ", os.environ)  # datasets puts a copy in its place, which nobody else would see changed
    file = tmp_path / "conversations.jsonl"
    write_conversations(file, 201, PAIRS)
    sides = []
    for name, leg in (("ours", ours_data.leg), ("datasets", datasets_map.leg)):
        folder = tmp_path / name
        folder.mkdir()
        found = leg(file, str(chat_model), folder)
        found.write(folder)
        assert Prepared.read(folder) == found
        sides.append(found)
    ours, theirs = sides
    assert ours.texts == theirs.texts
    assert len(ours.texts) == 3
    assert (ours.num_rows, theirs.num_rows) == (201, 201)
    assert ours.num_packs >= -(-ours.num_tokens // 2048)
    assert compare_prepared({"ours": [ours], "datasets": [replace(theirs, seconds=1.0)]}, FACTS)["passed"]


@pytest.fixture
def chat_model(tmp_path):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    built = Tokenizer(models.BPE(letters, []))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=built, eos_token="</s>", pad_token="</s>")
    made.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    made.save_pretrained(tmp_path / "model")
    return tmp_path / "model"
