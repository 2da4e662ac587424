"""What trainings and probes showed, kept and told again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_recipes import classifier, writer

from tunesmith.app import probe as probing
from tunesmith.app.advise import advise
from tunesmith.app.arms import arm_recipe
from tunesmith.app.chosen_method import chosen_method
from tunesmith.app.compare import compare
from tunesmith.app.predicting import learn_from, observed
from tunesmith.app.probe import _num_tokens
from tunesmith.app.rates import Measured, Observed, keep, kept, known_rates, remember, unknown
from tunesmith.app.task import Task, prepare
from tunesmith.app.training import NO_FIT
from tunesmith.app.tune import plan, tune
from tunesmith.app.ways import NO_WAYS
from tunesmith.app.work import training_work
from tunesmith.comparison.cost_model import Work, peak_memory_bytes, train_seconds
from tunesmith.core.errors import DiskFull, MemoryExhausted
from tunesmith.core.events import Event, Warned, silence
from tunesmith.core.files import cache_folder
from tunesmith.engine.packing import evaluation_batches
from tunesmith.recipe import from_mapping

QUICK = {"epochs": 2, "learning_rate": 1e-2, "examples_per_step": 8}
READ = Measured(1e-3, 1000.0, 2.0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known before."""
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    assert not list(cache_folder("probe").iterdir())


@pytest.fixture
def task(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> Task:
    return prepare(classifier(encoder_folder, reviews_csv, tmp_path / "out", train=QUICK), silence)


def test_a_training_tells_what_the_next_one_of_its_method_takes(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    recipe = classifier(encoder_folder, reviews_csv, tmp_path / "out", train=QUICK)
    plan(recipe, probes=silence)
    run = tune(recipe)
    assert plan(recipe).train_seconds == pytest.approx(run.report["cost"]["train_seconds"])
    other = arm_recipe(recipe, "bitfit", ["method=bitfit"])
    assert plan(other).train_seconds != pytest.approx(run.report["cost"]["train_seconds"])  # by the probe, of the same kind


def test_a_training_beside_a_context_is_known_by_itself(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    alone = writer(decoder_folder, pairs_csv, tmp_path / "out", train=QUICK)
    shown = arm_recipe(alone, "shown", ["context=few_shot", "context.shots=[2]"]).model_copy(update={"output_dir": str(tmp_path / "shown")})
    plan(shown, probes=silence)
    before = plan(alone, probes=silence).train_seconds
    run = tune(shown)
    assert plan(shown).train_seconds == pytest.approx(run.report["cost"]["train_seconds"])
    assert plan(alone).train_seconds == before


def test_what_is_known_of_the_own_method_comes_before_what_stands_for_all(task: Task) -> None:
    lora, wide = task, replace(task, recipe=arm_recipe(task.recipe, "wide", ["method=lora", "method.r=64"]))
    first, second = Measured(2e-3, 100.0, 2.0), Measured(5e-3, 300.0, 2.0)
    keep(wide, "adapter", second)
    assert kept(lora, "adapter") is None
    keep(lora, "adapter", first, for_all=True)
    assert (kept(lora, "adapter"), kept(wide, "adapter")) == (first, second)
    other = replace(task, recipe=arm_recipe(task.recipe, "other", ["method=bitfit"]))
    assert kept(other, "adapter") == first
    assert unknown(other, ["adapter"], own=True) == ["adapter"]
    assert unknown(other, ["adapter"], own=False) == []


def test_what_is_remembered_gives_the_training_back(task: Task) -> None:
    work = training_work(task)
    seen = Observed(work, seconds=12.0, held_bytes=10**9, peak_bytes=2 * 10**9)
    remember(task, seen)
    assert known_rates(task, ["adapter"]) is None  # it is not known what reading takes
    keep(task, "read", READ)
    remember(task, seen)
    rates = known_rates(task, ["read", "adapter"], 10**9)
    assert rates is not None
    assert train_seconds(work, rates) == pytest.approx(12.0)
    assert peak_memory_bytes(work, rates) == pytest.approx(2 * 10**9, rel=1e-6)
    remember(task, replace(seen, seconds=6.0, peak_bytes=None))  # the peak lay before its first step
    again = known_rates(task, ["read", "adapter"], 10**9)
    assert again is not None
    assert train_seconds(work, again) == pytest.approx(6.0)
    assert again.bytes_per_token == rates.bytes_per_token


def test_trainings_of_another_way_and_those_that_stopped_early_are_told_apart(task: Task) -> None:
    work, fit = Work(kind="adapter", num_steps=10, train_tokens=1000), replace(NO_FIT, steps=4, seconds=2.0)
    seen = observed(task, work, fit, NO_WAYS, (5, 0))
    assert seen is not None
    assert (seen.work.num_steps, seen.work.train_tokens, seen.seconds, seen.held_bytes) == (4, 400, 2.0, 5)
    assert seen.peak_bytes
    unmoved = observed(task, work, fit, NO_WAYS, (5, 2**60))
    assert unmoved is not None
    assert unmoved.peak_bytes is None
    assert observed(task, work, replace(fit, max_micro_batch_tokens=64), NO_WAYS, (5, 0)) is None
    assert observed(task, work, fit, replace(NO_WAYS, activation_checkpointing=True), (5, 0)) is None
    assert observed(task, work, fit, replace(NO_WAYS, compile_seconds=3.0), (5, 0)) is None


def test_a_full_disk_costs_a_prediction_and_no_run(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise DiskFull("no space")

    monkeypatch.setattr("tunesmith.app.predicting.remember", full)
    learn_from(task, Observed(Work(kind="adapter"), 1.0, 0, None))


def test_a_head_reads_what_is_kept_though_the_model_drops_out(task: Task) -> None:
    head = replace(task, recipe=arm_recipe(task.recipe, "head", ["method=head"]))
    work = training_work(replace(head, method=chosen_method(head.recipe)))
    assert (work.kind, work.keeps_frozen) == ("head", True)
    keep(head, "read", READ)
    remember(head, Observed(work, 1.0, 10**9, None))  # it holds less than asking the base did: its seconds are known all the same
    assert kept(head, "head") is not None
    plain = replace(head, method=chosen_method(head.recipe), recipe=arm_recipe(head.recipe, "plain", ["engine.exact_reference=true"]))
    assert not training_work(plain).keeps_frozen


def test_a_probe_counts_learned_tokens_as_the_work_does(task: Task) -> None:
    rows = task.splits["train"].rows[:3]
    batch, _ = next(iter(evaluation_batches(rows, task.micro_batch_tokens, task.model.facts)))
    assert _num_tokens(batch) == sum(row.num_tokens for row in rows)
    assert _num_tokens(batch, 20) == sum(row.num_tokens + 20 for row in rows)


def test_a_comparison_after_advice_probes_nothing_that_is_known(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = classifier(encoder_folder, reviews_csv, tmp_path / "out", train=QUICK, arms=["base", "lora"], search="none")
    advise(recipe)
    monkeypatch.setattr(probing, "_probe", lambda *_, **__: pytest.fail("probed again"))
    report = compare(recipe).report
    assert report["arms"]["lora"]["predicted"]["total_seconds"] > 0


@pytest.mark.parametrize("error", [MemoryError, MemoryExhausted])
def test_a_comparison_goes_on_where_its_probe_runs_out_of_memory(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def none_left(*_: Any, **__: Any) -> None:
        raise error("none left")

    monkeypatch.setattr(probing, "_probe", none_left)
    said = list[Event]()
    recipe = classifier(encoder_folder, reviews_csv, tmp_path / "out", train=QUICK, arms=["base", "lora"], search="none")
    report = compare(recipe, progress=said.append).report
    assert report["arms"]["lora"]["predicted"]["total_seconds"] is None
    assert any(isinstance(event, Warned) and "the probe ran out of memory" in event.text for event in said)


def test_an_arm_that_takes_no_context_costs_the_others_nothing(decoder_folder: Path, tmp_path: Path) -> None:
    rows = "\n".join(f'{{"input_ids": [{7 + n % 20}, {8 + n % 30}, 9], "labels": [-100, {8 + n % 30}, 9]}}' for n in range(60))
    (tmp_path / "rows.jsonl").write_text(rows)
    recipe = from_mapping(
        {
            "model": str(decoder_folder),
            "data": {"train": str(tmp_path / "rows.jsonl")},
            "method": "lora",
            "objective": "sft",
            "train": QUICK,
            "evaluate": {"retention": "none"},
            "arms": ["lora", "bitfit", "lora+few_shot"],
            "search": "none",
            "output_dir": str(tmp_path / "out"),
        },
        name="given",
    )
    report = compare(recipe).report
    assert report["arms"].keys() >= {"lora", "bitfit"}
    assert "lora+few_shot" in report["left_out"]


def test_prompts_alone_are_answered_in_a_probe_too(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    evaluate = {"generate_limit": 0, "prompts": ["the cat"], "max_new_tokens": 4, "retention": "none"}
    found = advise(writer(decoder_folder, pairs_csv, tmp_path / "out", train=QUICK, evaluate=evaluate))
    assert found["probe"]["seconds_per_token"]["write"] >= 0
