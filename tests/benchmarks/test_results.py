"""RESULTS.md and the command line: what is written, and when."""

import json
from datetime import date

import pytest

from benchmarks import __main__ as command
from benchmarks import results
from benchmarks.results import section, update, with_section
from benchmarks.workload import BenchmarkError

RATIO = {"median": 2.0, "min": 1.5, "max": 2.5}
DOCUMENT = {
    "schema": "tunesmith/benchmark/1",
    "workload": {"title": "SFT", "data": "docstrings", "quick": True, "num_rows": 12, "model_sha256": "abc"},
    "machine": {
        "platform": "Linux", "processor": "Chip", "num_cores": 2, "num_threads": 2, "memory_bytes": 2**34, "versions": {"torch": "2.13.0"}
    },
    "passed": True,
    "peers": {
        "trl_best": {
            "name": "TRL", "version": "trl 1.16", "config": "best", "way": "plain",
            "gate": {"passed": True, "first_loss_difference": 1e-6, "held_out_loss_difference": 1e-4,
                     "allowed": {"first": 1e-4, "final": 0.005}},
            "ratios": {"tokens_per_second": RATIO, "peak_memory": None},
        }
    },
    "shares_of_matmul_rate": {"plain": 0.5},
    "legs": {},
}  # fmt: skip
FAILED = {**DOCUMENT, "passed": False, "peers": {"trl_best": {**DOCUMENT["peers"]["trl_best"], "ratios": None}}}


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FILE", tmp_path / "RESULTS.md")
    return tmp_path / "RESULTS.md"


def test_a_section_says_where_when_and_with_what_it_was_measured():
    text = section("sft", DOCUMENT, date(2026, 11, 21))
    for part in (
        "2026-11-21",
        "Chip, 2 cores, 2 threads, 16 GiB; Linux",
        "torch 2.13.0",
        "TRL, best: trl 1.16",
        "num rows 12",
        "two repeats",
    ):
        assert part in text
    assert "| TRL | best | plain | passed | 2.00 (1.50 to 2.50) | none |" in text
    assert "50%" in text


def test_a_section_is_replaced_and_others_stay():
    once = with_section("", "sft", "docstrings", "earlier")
    twice = with_section(once, "sft", "small-talk", "talk")
    again = with_section(twice, "sft", "docstrings", r"new \1")
    assert again.startswith("# Results")
    assert "earlier" not in again
    assert again.index(r"new \1") < again.index("talk")
    assert again.count("<!-- sft docstrings -->") == 1


def test_a_failed_document_is_refused(file):
    with pytest.raises(ValueError, match="did not pass"):
        update("sft", FAILED)
    assert not file.exists()


@pytest.mark.parametrize(
    ("arguments", "found", "code", "is_written"),
    [
        (["sft", "--quick"], DOCUMENT, 0, True),
        (["evaluation"], DOCUMENT, 0, True),
        (["sft", "--rows", "12"], DOCUMENT, 0, False),
        (["sft", "--peers", "trl"], DOCUMENT, 0, False),
        (["sft"], FAILED, 1, False),
        (["sft"], BenchmarkError("a leg broke"), 1, False),
    ],
)
def test_only_a_whole_run_that_passed_is_written(arguments, found, code, is_written, file, monkeypatch, capsys):
    def run(*_):
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(command, "run", run)
    assert command.main([*arguments, "--json"]) == code
    assert file.exists() == is_written
    said = capsys.readouterr()
    if isinstance(found, Exception):
        assert "error: a leg broke" in said.err
    else:
        assert json.loads(said.out) == found


def test_all_goes_on_after_one_that_fails(monkeypatch):
    names = []

    def run(name, *_):
        names.append(name)
        return FAILED if name == "sft" else DOCUMENT

    monkeypatch.setattr(command, "run", run)
    assert command.main(["all", "--quick"]) == 1
    assert names == ["sft", "sft-full", "classify", "classify-full", "frozen", "dpo", "grpo", "evaluation", "startup", "data"]


@pytest.mark.parametrize("arguments", [["classify", "--data", "x.jsonl"], ["all", "--rows", "12"], ["nothing"]])
def test_options_that_do_not_fit_are_refused(arguments):
    with pytest.raises(SystemExit):
        command.main(arguments)
