"""Start-up: what is timed, and what is compared with what."""

import time
from pathlib import Path

import pytest

from benchmarks.startup import STARTS, Start, compare_starts, time_start
from benchmarks.workload import BenchmarkError

FACTS = {"workload": {"title": "start"}, "machine": {}}


def test_a_command_is_timed_to_its_end(tmp_path):
    calls = []
    start = Start("help", "ours", "program", ("--help",))
    seconds = time_start(start, "python", tmp_path, lambda *values: calls.append(values) or time.sleep(0.05))
    assert 0.05 <= seconds < 1
    assert calls == [("python", "program", "--help")]


def test_training_is_timed_to_its_first_step_and_not_to_its_end(tmp_path):
    def run(_python, _module, _folder, file):
        Path(file).write_text(repr(time.time()), encoding="utf-8")
        time.sleep(0.2)

    assert time_start(Start("step", "ours", "program", is_step=True), "python", tmp_path, run) < 0.15


def test_a_program_that_never_trains_is_an_error_though_one_before_it_did(tmp_path):
    (tmp_path / "first-step").write_text("1.0", encoding="utf-8")
    with pytest.raises(BenchmarkError, match="program: ended without a training step"):
        time_start(Start("step", "ours", "program", is_step=True), "python", tmp_path, lambda *_: None)


def test_each_peer_is_compared_with_what_is_asked_of_ours():
    seconds = {"ours_help": [0.2, 0.2], "llamafactory_help": [4.0, 2.0], "ours_first_step": [3.0], "trainer_first_step": [6.0]}
    assert set(seconds) == set(STARTS)
    document = compare_starts(seconds, {"llamafactory": "1", "trainer": "2"}, FACTS)
    assert document["peers"]["llamafactory_help"]["ratios"]["seconds"]["max"] == pytest.approx(0.1)
    assert document["peers"]["trainer_first_step"]["ratios"]["seconds"]["median"] == 0.5
