"""A comparison against its arms one by one."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.arms import shared_document, shared_lines


def test_the_share_is_of_the_sum_of_the_arms() -> None:
    document = shared_document("r", ["seed=1"], [30.0, 36.0], {"a": [20.0, 20.0], "b": [30.0, 40.0]}, ["base"])
    assert document["shares"] == [0.6, 0.6]
    said = [line.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{NO-BREAK SPACE}", " ") for line in shared_lines(document)]
    assert said[-1] == "a comparison takes 60 % of that (60 %, 60 %)"
    assert said[2] == "one by one: 50 s, 1 min 00 s (a 20 s; b 35 s)"


@pytest.mark.slow
@pytest.mark.embedded
def test_both_are_timed_with_nothing_computed_before(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["data.limit.train=64", "data.limit.validation=32", "data.limit.test=64", "evaluate.domains={}", "evaluate.retention=none"]
    assert main(["arms", "reviews", "arms=[majority, head, bitfit]", *small, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["alone_seconds"]) == ["head", "bitfit"]
    assert document["free"] == ["majority"]
    assert 0 < document["together_seconds"][0] < sum(found[0] for found in document["alone_seconds"].values())


def test_a_command_that_fails_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["arms", str(tmp_path / "none.yaml")]) == 1
    assert "error: compare" in capsys.readouterr().err
