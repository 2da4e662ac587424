"""What the legs are given: conversations of several forms, and the two orders."""

import gzip
import json

import pytest

from benchmarks.prepare import conversations, orders
from benchmarks.workload import BenchmarkError, Settings

TALK = {"chosen": "\n\nHuman: Hello\n\nAssistant: Hi\n\nHuman: Bye\n\nAssistant: Good bye"}


def test_transcripts_become_messages_and_those_without_an_answer_are_left_out(tmp_path):
    rows = [TALK, {"chosen": "\n\nHuman: Hello\n\nAssistant: "}, {"chosen": "\n\nHuman: Hello"}]
    (tmp_path / "test.jsonl.gz").write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    for path in (tmp_path, tmp_path / "test.jsonl.gz"):
        [line] = conversations(path, tmp_path / "out").read_text(encoding="utf-8").splitlines()
        said = [(turn["role"], turn["content"]) for turn in json.loads(line)["messages"]]
        assert said == [("user", "Hello"), ("assistant", "Hi"), ("user", "Bye"), ("assistant", "Good bye")]


def test_a_file_of_messages_is_taken_as_it_is(tmp_path):
    file = tmp_path / "talk.jsonl"
    file.write_text(json.dumps({"messages": [{"role": "user", "content": "Hello"}]}), encoding="utf-8")
    assert conversations(file, tmp_path / "out") == file


def test_data_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BenchmarkError, match=r"nothing\.jsonl: no such file"):
        conversations(tmp_path / "nothing.jsonl", tmp_path)


def test_orders_see_every_row_once_an_epoch_and_grouping_saves_padding():
    lengths = [(7 * index) % 50 + 5 for index in range(64)]
    found = orders(lengths, Settings("model", examples_per_step=4, epochs=3))

    def padded(order):
        return sum(4 * max(lengths[i] for i in order[at : at + 4]) for at in range(0, len(order), 4))

    for order in found.values():
        assert all(sorted(order[at : at + 64]) == list(range(64)) for at in (0, 64, 128))
        assert order[:64] != order[64:128]
    assert padded(found["grouped"]) < 0.8 * padded(found["shuffled"])
