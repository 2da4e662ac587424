"""The figures of docs/forgetting.md: what the ways train on and are asked, and the numbers, worked by hand."""

import json
import math

import pytest

from benchmarks.legs import forgetting as leg
from benchmarks.methods import forgetting
from benchmarks.methods.forgetting import BEGIN, END, FILE, KEPT, WAYS, figures, hashes_of, legs_of, with_figures
from benchmarks.methods.stored import Results
from benchmarks.workload import BenchmarkError
from tunesmith.core.files import hash_of
from tunesmith.data import read
from tunesmith.recipe import load, source_name

BITS = math.log(2)
LEARNED = ("general", "like")


def measured(before, after, learned=-0.5, rate=1e-3):
    """What a leg says: two retention rows of one byte each, `before` and `after` in bits, the same in every task."""
    rows = {"row": ["a:1", "a:2"], "base": [[x * BITS, 1] for x in before], "tuned": [[x * BITS, 1] for x in after]}
    return {
        "rows": dict.fromkeys(KEPT, rows),
        "target": {"difference": {"value": learned}},
        "learning_rate": rate,
        "num_steps": 16,
        "recipe": {"train": {"examples_per_step": 8}},
        "model": {"name": "smollm2", "sha256": "x"},
        "machine": {"processor": "Chip", "num_threads": 2},
        "versions": {"torch": "2", "transformers": "5"},
        "commit": "abc",
        "date": "2026-01-01",
    }


def test_no_way_trains_on_what_is_measured_and_all_take_as_many_steps():
    legs = legs_of(3, list(WAYS), dict.fromkeys(WAYS, "hash"))
    for way, one in legs.items():
        recipe = load(one.recipe, one.asked(())["overrides"])
        trained = [recipe.data.train] if recipe.data.train else [entry.source or name for name, entry in recipe.data.mix.items()]
        assert not set(map(source_name, trained)) & set(KEPT), way
        assert tuple(recipe.evaluate.retention) == KEPT
        assert (recipe.train.max_steps, recipe.seed) == (16, 3)
        assert "docstrings" in trained
        if recipe.data.mix:
            assert sum(entry.weight for entry in recipe.data.mix.values()) == pytest.approx(1)
    high = {way: load(one.recipe, one.overrides) for way, one in legs.items() if way not in ("full", "lora")}
    assert {(recipe.method.name, recipe.train.learning_rate) for recipe in high.values()} == {("full", 1e-3)}


def test_ways_differ_by_what_their_titles_say():
    legs = legs_of(0, list(WAYS), dict.fromkeys(WAYS, ""))
    assert load("docstrings", legs["lora"].overrides).method.name == "lora"
    assert load("docstrings", legs["full"].overrides).train.learning_rate == "auto"
    assert len(load("docstrings", legs["multi_task"].overrides).data.mix) == 4


def test_the_figures_are_differences_of_bits_worked_by_hand():
    found = {"full_high": {0: measured([1, 3], [2, 6])}, "lora": {0: measured([1, 3], [1, 4], rate=2e-4)}}
    lines = figures(found)
    full = next(line for line in lines if line.startswith("| full, at a high rate | 0.001 |"))
    assert "| -0.5000 | +2.0000 (" in full  # (8 - 4) bits over 2 bytes
    assert "| 0.0002 | -0.5000 | +0.5000 (" in next(line for line in lines if line.startswith("| LoRA | 0.0002"))
    against = next(line for line in lines[lines.index("How much more full tuning at the high rate lost than each other way, bits per byte:") :] if line.startswith("| LoRA"))  # fmt: skip
    assert against.startswith("| LoRA | +1.5000 (")
    assert lines[-2] == "**Not measured yet, or diverged**: full, rehearsal, rehearsal_like, multi_task."


def test_without_results_the_page_says_so_and_a_trial_is_told():
    assert figures({}) == ["Not measured yet.", ""]
    assert figures({"full": {0: {"diverged": "it did"}}}) == ["Not measured yet.", ""]
    assert figures({"full": {0: measured([1, 2], [1, 2])}}, ["train.max_steps=2"])[0].startswith("Changed for a trial")


def test_only_what_stands_between_the_marks_is_written():
    text = f"before\n\n{BEGIN}\n\nold\n\n{END}\n\nafter\n"
    assert with_figures(text, ["new", ""]) == f"before\n\n{BEGIN}\n\nnew\n\n{END}\n\nafter\n"
    assert with_figures(with_figures(text, ["new", ""]), ["new", ""]) == with_figures(text, ["new", ""])
    assert with_figures(FILE.read_text(encoding="utf-8"), ["x"]).count(END) == 1
    with pytest.raises(BenchmarkError, match="the marks are missing"):
        with_figures("a page", ["new"])


def test_a_run_goes_on_and_prints_its_figures(tmp_path, monkeypatch, capsys):
    files = {"general": ["one line"], "editorials": ["two", "lines"]}
    monkeypatch.setattr(forgetting, "written", lambda: files)
    ran = []

    def run(one, _results, rows):
        assert {file.name: file.read_text().splitlines() for file in rows.iterdir()} == {
            f"{name}.jsonl": lines for name, lines in files.items()
        }
        ran.append(one.folder)
        return measured([1, 3], [2, 6])

    monkeypatch.setattr(forgetting, "run_leg", run)
    arguments = ["--results", str(tmp_path / "results"), "--ways", "full_high,lora", "--set", "train.max_steps=2"]
    assert forgetting.main(arguments, lambda _text: None) == 0
    assert forgetting.main([*arguments, "--document"], lambda _text: None) == 0
    assert ran == ["forgetting/full_high", "forgetting/lora"]
    assert capsys.readouterr().out.count("| LoRA |") == 4
    assert Results(tmp_path / "results", ("train.max_steps=2",)).missing(list(legs_of(0, ["lora"], hashes_of(files)).values())) == []


@pytest.mark.embedded
def test_what_is_written_can_be_read_and_what_is_rehearsed_is_no_text_that_is_measured(tmp_path):
    seen = dict[str, set[str]]()
    for name, lines in forgetting.written().items():
        file = tmp_path / f"{name}.jsonl"
        file.write_text("\n".join(lines), encoding="utf-8")
        seen[name] = {example.parts[0][0] if name in LEARNED else example.text for example in read(str(file)).examples}
    assert set(seen) == {*LEARNED, *KEPT}
    assert min(len(seen[name]) for name in LEARNED) > 300
    for name in KEPT:
        assert len(seen[name]) > 70
        for learned in LEARNED:  # not even as the beginning of a longer one
            assert not [text for text in seen[learned] if text.startswith(tuple(seen[name]))]
    assert max(len(text.split()) for name in KEPT for text in seen[name]) == 40


def test_a_file_that_one_way_reads_makes_no_other_ways_results_stale():
    files = {"general": ["a"], "like": ["b"], "editorials": ["c"]}
    before, after = hashes_of(files), hashes_of({**files, "like": ["other"]})
    assert [way for way in WAYS if before[way] != after[way]] == ["rehearsal_like"]
    assert before["full"] == hash_of({"general": ["a"], "editorials": ["c"]})


@pytest.mark.parametrize("diverges", [False, True])
def test_a_leg_says_what_its_report_says(diverges, make, tmp_path, monkeypatch):
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    make(tmp_path, "language_model", "full")
    words = "cat dog mat film the a on sat ran good bad".split()
    rows = [{"source": " ".join(words[i % 11] for i in range(n, n + 3 + n % 4)), "target": words[n % 11]} for n in range(44)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    kept = [" ".join(words[(i * n) % 11] for i in range(1, 9)) for n in range(1, 11)]
    (tmp_path / "kept.txt").write_text("\n".join(kept))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"model: {tmp_path / 'model'}\ndata: {tmp_path / 'rows.jsonl'}\nmethod: full\ntrain: {{max_steps: 3}}\n")
    overrides = [f"evaluate.retention={{kept: {tmp_path / 'kept.txt'}}}", "evaluate.generate_limit=0"]
    overrides += ["train.learning_rate=1e30"] if diverges else []
    found = leg.leg({"recipe": str(recipe), "overrides": overrides, "metrics": ["bits_per_byte"], "target": "docstrings"}, tmp_path)
    if diverges:
        assert "Lower train.learning_rate" in found["diverged"]
        return
    nats, num_bytes = (sum(column) for column in zip(*found["rows"]["kept"]["tuned"], strict=True))
    assert found["retention"]["kept"]["tuned"]["value"] == pytest.approx(nats / num_bytes / BITS)
    assert found["target"]["rows"] > 0
    assert found["num_steps"] == 3
