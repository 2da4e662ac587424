"""The table of every method: what is in it, how a folder of results goes on, and its numbers, worked by hand."""

import json
import math
from dataclasses import replace

import pytest

from benchmarks.__main__ import main
from benchmarks.methods import command, stored
from benchmarks.methods.named import LEFT_OUT, METHODS, WORKLOADS
from benchmarks.methods.page import page
from benchmarks.methods.plans import RANKS, SCALES, SEEDS, chosen_leg, first_leg, grid_legs, longer_leg, method_leg, prompt_legs, timed_leg
from benchmarks.methods.stored import Results, next_rates, rate_of, run_missing, tries, with_rate
from benchmarks.methods.table import answers, rows_of
from benchmarks.running import ROOT
from benchmarks.workload import BenchmarkError
from tunesmith.core import registry
from tunesmith.recipe import load

REVIEWS = WORKLOADS["reviews"]
ABOUT = {
    "versions": {"python": "3.11", "torch": "2.13"},
    "machine": {"device": "cpu", "processor": "Chip", "num_cores": 2, "num_threads": 2, "memory_bytes": 2**34},
    "model": {"name": "minilm-l6", "sha256": "abc"},
    "recipe": {"train": {"examples_per_step": 32, "epochs": 2}},
    "num_steps": 250,
}


def measured(tuned, base=(1, 1, 0, 0), *, seconds=10.0, share=0.01, rate=2e-4, kept=0.5, linear_weights=None, metric="accuracy"):
    """What a leg with four test rows says; `tuned` and `base`: 1 where a row was right."""
    rows = {"row": [f"a:{number}" for number in range(len(tuned))], "base": [[x] for x in base], "tuned": [[x] for x in tuned]}
    return {
        "learning_rate": rate,
        "rows": {metric: rows},
        "trained_parameters": int(share * 1000),
        "total_parameters": 1000,
        "peak_memory_bytes": 100 * 2**20,
        "train_seconds": seconds,
        "saved_bytes": 2_500_000,
        "losses": {"train": 0.25, "validation": 0.75, "kept_validation": kept},
        "linear_weights": linear_weights,
        "slow_down": {"ratio": 1.5},
        **ABOUT,
    }


NF4 = {"before_bytes": 1000, "after_bytes": 129}
FOUND = {
    "lora": {0: measured([1, 1, 1, 0]), 1: measured([1, 1, 1, 1], seconds=20.0)},
    "full": {0: measured([1, 1, 1, 1], seconds=30.0, share=1.0), 1: measured([1, 1, 1, 1], seconds=20.0, share=1.0)},
    "head": {0: measured([1, 0, 1, 0]), 1: measured([1, 0, 1, 0])},
    "qlora": {0: measured([1, 1, 0, 0], base=(0, 0, 0, 0), linear_weights=NF4)},
}


# what is in it


def test_every_registered_method_has_a_row_or_a_reason():
    rows = {load("reviews", named.overrides).method.name for named in METHODS.values()}
    assert rows | set(LEFT_OUT) == set(registry.names("method"))
    assert not rows & set(LEFT_OUT)


@pytest.mark.parametrize("workload", list(WORKLOADS))
def test_every_row_is_a_recipe_with_the_methods_own_learning_rate(workload):
    for method, named in METHODS.items():
        if workload in named.workloads:
            leg = method_leg(workload, method, 1)
            recipe = load(leg.recipe, leg.asked(())["overrides"])
            assert (recipe.train.learning_rate, recipe.seed) == ("auto", 1)


@pytest.mark.parametrize("workload", list(WORKLOADS))
def test_the_leg_that_is_timed_is_a_recipe_with_one_slow_down_a_method(workload):
    timed = timed_leg(workload, "lora")
    assert load(timed.recipe, timed.asked(())["overrides"]).train.learning_rate == "auto"
    assert timed.num_asked == WORKLOADS[workload].num_asked > 0
    others = [leg for seed in (0, 1) if (leg := method_leg(workload, "lora", seed)) != timed]
    assert {leg.num_asked for leg in others} == {0}
    assert with_rate(timed, "third", 2e-4).num_asked == 0


def test_rows_that_differ_in_their_options_say_so():
    made = {name: load("reviews", named.overrides) for name, named in METHODS.items()}
    assert len({(str(recipe.method), recipe.model.quantization) for recipe in made.values()}) == len(METHODS)
    assert (made["qlora"].model.quantization, made["lora_int8"].model.quantization) == ("nf4", "int8")
    assert made["lora"].method.options["r"] == 16  # the recipe's own


def test_the_grid_has_each_rank_with_each_scale():
    recipes = {key: load(leg.recipe, leg.overrides).method.options for key, leg in grid_legs([0]).items()}
    assert len(recipes) == len(RANKS) * len(SCALES)
    assert all(options["lora_alpha"] / options["r"] == scale and options["r"] == r for (r, scale, _), options in recipes.items())


# resuming


def test_a_half_filled_folder_goes_on(tmp_path):
    results = Results(tmp_path)
    legs = [method_leg("reviews", "lora", seed) for seed in (0, 1, 2)]
    results.put(legs[1], measured([1, 1, 1, 1]))
    ran, before = [], (tmp_path / legs[1].file).read_bytes()

    def run(leg, _results):
        ran.append(leg.seed)
        if leg.seed == 2 and len(ran) == 2:
            raise KeyboardInterrupt
        return measured([1, 1, 0, 0])

    with pytest.raises(KeyboardInterrupt):
        run_missing(legs, results, lambda _text: None, run)
    assert ran == [0, 2]
    assert run_missing(legs, results, lambda _text: None, run) == []
    assert ran == [0, 2, 2]
    assert (tmp_path / legs[1].file).read_bytes() == before
    assert results.missing(legs) == []


def test_a_leg_that_fails_leaves_no_result_and_the_others_go_on(tmp_path):
    results, legs = Results(tmp_path), [method_leg("reviews", name, 0) for name in ("head", "lora")]

    def run(leg, _results):
        if "head" in leg.folder:
            raise BenchmarkError("no memory")
        return measured([1, 1, 0, 0])

    failed = run_missing(legs, results, lambda _text: None, run)
    assert failed == ["methods/reviews/head, seed 0: no memory"]
    assert results.missing(legs) == [legs[0]]


def test_a_result_of_other_settings_is_refused(tmp_path):
    leg = method_leg("reviews", "lora", 0)
    Results(tmp_path, ("train.max_steps=2",)).put(leg, measured([1, 1, 0, 0]))
    with pytest.raises(BenchmarkError, match="other settings"):
        Results(tmp_path).get(leg)
    (tmp_path / leg.file).write_text("{", encoding="utf-8")
    with pytest.raises(BenchmarkError, match="not the result of a leg"):
        Results(tmp_path).get(leg)


def test_what_the_rows_contributed_is_kept_as_it_was_and_shared_columns_once(tmp_path):
    results, legs = Results(tmp_path), [method_leg("reviews", "lora", seed) for seed in (0, 1)]
    of_texts = {"row": ["a:0", "a:1"], "base": [[0.25, 8.0], [None, 3.0]], "tuned": [[0.125, 8.0], [7.5, 3.0]]}
    for leg, tuned in zip(legs, ([1, 0, 1, 0], [1, 1, 1, 1]), strict=True):
        results.put(leg, {**measured(tuned), "rows": {**measured(tuned)["rows"], "rougeL": of_texts}})
    for leg, tuned in zip(legs, ([1, 0, 1, 0], [1, 1, 1, 1]), strict=True):
        assert results.get(leg)["rows"] == {**measured(tuned)["rows"], "rougeL": of_texts}
    columns = list((tmp_path / "columns").iterdir())
    assert len(columns) == 4  # of each metric the rows and the base
    columns[0].write_text("[1]", encoding="utf-8")
    with pytest.raises(BenchmarkError, match="not the result of a leg"):
        results.get(legs[0])


def test_a_result_of_a_recipe_that_has_changed_since_is_refused(tmp_path, monkeypatch):
    leg, results = method_leg("reviews", "lora", 0), Results(tmp_path / "results")
    results.put(leg, measured([1, 1, 0, 0]))
    (tmp_path / "reviews.yaml").write_text("model: minilm-l6\ndata: movie-reviews\n", encoding="utf-8")
    monkeypatch.setattr(stored, "RECIPES", tmp_path)
    with pytest.raises(BenchmarkError, match="other settings"):
        results.get(leg)


# learning rates


def test_the_validation_loss_chooses_the_learning_rate_and_only_between_two_that_are_worse(tmp_path):
    results, first = Results(tmp_path), first_leg("reviews", "lora")
    results.put(first, measured([1, 1, 1, 1], kept=0.5, rate=3e-4))
    third, triple, ninefold = (with_rate(first, rate, 3e-4) for rate in ("third", "triple", "ninefold"))
    assert third.rate_override == ("train.learning_rate=0.0001",)
    assert triple.rate_override == ("train.learning_rate=0.0009",)
    results.put(third, measured([1, 1, 1, 1], kept=0.6, rate=1e-4))
    assert rate_of(first, results) == "own"
    results.put(triple, measured([0, 0, 0, 0], kept=0.4, rate=9e-4))  # worst on the test rows
    assert (rate_of(first, results), next_rates(tries(first, results))) == ("own", ["ninefold"])
    results.put(ninefold, measured([1, 1, 1, 1], kept=0.45, rate=2.7e-3))
    assert (rate_of(first, results), next_rates(tries(first, results))) == ("triple", [])
    assert chosen_leg(results, "reviews", "lora", 2) == replace(triple, seed=2)
    assert "| lora | – | 0.6000 at 0.0001 | 0.5000 at 0.0003 | 0.4000 at 0.0009 | 0.4500 at 0.0027 | – | 0.0009 |" in page(results, [0])


def test_a_rate_that_diverged_is_not_chosen(tmp_path):
    results, first = Results(tmp_path), first_leg("reviews", "lora")
    results.put(first, measured([1, 1, 1, 1], kept=0.5))
    results.put(with_rate(first, "third", 2e-4), measured([1, 1, 1, 1], kept=0.6))
    results.put(with_rate(first, "triple", 2e-4), {"learning_rate": 6e-4, "diverged": "the loss is nan"})
    assert rate_of(first, results) == "own"
    assert "diverged" in page(results, [0])


# numbers


def test_the_table_is_the_one_worked_by_hand():
    timed = {name: legs[0] for name, legs in FOUND.items()}
    rows = {row.name: row for row in rows_of(REVIEWS, FOUND, timed)}
    assert list(rows) == ["full", "lora", "head", "qlora", "zero-shot"]
    assert {name: row.metrics["accuracy"].value for name, row in rows.items()} == {
        "full": 1.0, "lora": (0.75 + 1) / 2, "head": 0.5, "qlora": 0.5, "zero-shot": 0.5,
    }  # fmt: skip
    assert rows["lora"].gain.value == pytest.approx(0.375)
    assert rows["qlora"].gain.value == 0.0  # against the base as it is, not against the quantized one
    assert (rows["full"].train_seconds, rows["full"].train_seconds_ratio) == (30.0, 3.0)  # 30 / 10: the other seed is not timed
    untimed = rows_of(REVIEWS, FOUND, {})[0]
    assert (untimed.train_seconds, untimed.train_seconds_ratio) == (None, None)
    assert (rows["lora"].share, rows["lora"].slow_down, rows["lora"].saved_bytes) == (0.01, 1.5, 2_500_000)
    assert rows["qlora"].seeds == (0,)


def test_questions_are_answered_whichever_way_they_fall():
    said = {answer.question: answer for answer in answers(REVIEWS, FOUND)}
    lora, head, qlora, base = said.values()
    assert lora.difference.value == pytest.approx((0.75 - 1 + 1 - 1) / 2)
    assert lora.note == "LoRA: 1.00% of the parameters"
    assert head.difference.value == 0.0
    assert qlora.difference.value == pytest.approx(0.5 - 0.75)  # seed 0 alone: the other was not measured
    assert qlora.note == "the base's linear weights take 12.9% of what they take in fp32"
    assert base.difference.value == -0.5  # in NF4 it has none right
    large = {**FOUND, "lora": {0: measured([1, 1, 1, 1], share=0.03)}}
    assert answers(REVIEWS, large)[0].difference is None


# the page and the command


def test_the_page_says_what_there_is_and_what_is_missing(tmp_path):
    results = Results(tmp_path, commit="abc123")
    for method, legs in FOUND.items():
        for seed, one in legs.items():
            results.put(method_leg("reviews", method, seed), one)
    text = page(results, [0, 1])
    assert "| LoRA (`lora`) | 0.8750 (" in text
    assert "| 10 | 1.00% | 100 MiB | 10.0 s | 1.00 | 2.5 MB | 1.50 | 0.250 → 0.750 | 0.0002 | 0, 1 |" in text
    for part in ("Chip, 2 cores, 2 threads, 16 GiB", "torch 2.13", "abc123", "250 steps of 32 rows, 2 epochs", "accuracy 4"):
        assert part in text
    assert "qlora (seeds 1)" in text
    assert "lora (times)" in text.partition("## `docstrings`")[2]
    assert "(times)" not in text.partition("## `docstrings`")[0]  # seed 0's leg is the one that is timed
    assert "bitfit (seeds 0, 1)" in text
    assert "; lora (seeds" not in text.partition("## `docstrings`")[0]
    assert "LoRA's rank" not in text
    assert text.index("## `reviews`") < text.index("## `docstrings`")


def test_the_page_in_the_docs_is_what_the_command_makes_of_the_kept_results():
    assert command.FILE.read_text(encoding="utf-8") == page(Results(ROOT / "benchmarks" / "results"), SEEDS)


def test_sections_of_their_own_stand_below(tmp_path):
    results = Results(tmp_path)
    for key, leg in grid_legs([0]).items():
        if key[0] == 8:
            results.put(leg, measured([1, 1, 1, 0], kept=0.25 * key[1]))
    legs = prompt_legs([0])
    by_bytes = {
        name: {"row": ["a:0", "a:1"], "tuned": tuned}
        for name, tuned in (("bits_per_byte", [[math.log(2) * 8, 8.0]] * 2), ("rougeL", [[0.5], [0.25]]))
    }
    results.put(legs["templates"][0], {"tried": {"bare": 2.0, "a role": 1.5}, "best": "a role", "rows": by_bytes, **ABOUT})
    learned = {**by_bytes, "bits_per_byte": {"row": ["a:0", "a:1"], "tuned": [[math.log(2) * 4, 8.0]] * 2}}
    results.put(legs["prompt"][0], {**measured([1]), "rows": {metric: {**rows, "base": rows["tuned"]} for metric, rows in learned.items()}})
    results.put(method_leg("reviews", "bitfit", 0), measured([1, 0, 0, 0]))
    results.put(longer_leg(results, "bitfit", 0), measured([1, 1, 1, 0]))
    results.put(longer_leg(results, "full", 0), measured([1, 1, 1, 0]))  # nothing to compare it with yet
    text = page(results, [0])
    assert "| BitFit | 0.2500 (" in text
    assert "| +0.5000 (" in text
    assert "| full | 0." not in text.partition("## More steps")[2].partition("\n## ")[0]
    assert "| 8 | 0.1250 | 0.2500 | 0.5000 | 1.0000 |" in text
    assert "20 of 24" in text
    assert "a role 1.5000; bare 2.0000. Chosen: a role." in text
    assert "| the best template | 1.0000" in text  # 8 bits for 8 bytes
    assert "| prompt tuning | 0.5000" in text
    assert "-0.5000" in text
    assert "prompts/prompt_from_text, seed 0" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "lroa"], "--methods: lroa: not known. Known: head, bitfit"),
        (["--workload", "films"], "--workload: films: not known. Known: reviews, docstrings"),
        (["--workload", "docstrings", "--methods", "head"], "none of these has a row"),
        (["--seeds", "one"], "--seeds: one: expected whole numbers"),
    ],
)
def test_what_is_not_known_is_a_line(arguments, said, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "FILE", tmp_path / "page.md")
    assert main(["methods", "--results", str(tmp_path / "results"), *arguments]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()


def test_a_trial_is_printed_and_a_run_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "FILE", tmp_path / "page.md")
    for changes, written in ((["--set", "train.max_steps=2"], False), ([], True)):
        assert main(["methods", "--document", "--results", str(tmp_path / "results"), *changes]) == 0
        assert (tmp_path / "page.md").exists() == written
    assert "mean nothing: train.max_steps=2" in capsys.readouterr().out
    assert "Nothing measured yet" in (tmp_path / "page.md").read_text(encoding="utf-8")


def test_the_command_tries_rates_with_the_first_seed_and_runs_the_others_with_the_best(tmp_path, monkeypatch):
    ran = []

    def run(leg, _results):
        ran.append((leg.seed, leg.rate))
        return measured([1, 1, 1, 1], kept={"own": 0.5, "third": 0.4, "ninth": 0.45, "triple": 0.6}[leg.rate])

    monkeypatch.setattr(command, "run_missing", lambda legs, results, say: run_missing(legs, results, say, run))
    results = Results(tmp_path)
    assert command.run_methods(results, [0, 1], command.pairs_of(["reviews"], ["lora"]), True, lambda _text: None) == []
    assert ran == [(0, "own"), (0, "third"), (0, "triple"), (0, "ninth"), (1, "third")]
    assert (
        json.loads((tmp_path / "methods/reviews/lora/seed-1-third.json").read_text())["asked"]["overrides"][1]
        == "train.learning_rate=6.66667e-05"
    )
