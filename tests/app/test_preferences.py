"""From judged answers to a report: reward models, and language models that learn from them."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tiny_recipes import stop_at

from tunesmith.app.quantize import quantize
from tunesmith.app.run import Run
from tunesmith.app.task import prepare
from tunesmith.app.tune import plan, resume, tune
from tunesmith.core.errors import Interrupted, UsageError
from tunesmith.core.events import silence
from tunesmith.data import read
from tunesmith.data.checks.lengths import measure_lengths
from tunesmith.recipe import Recipe, from_mapping

NOUNS = "cat dog mat film".split()
PROMPTS = [
    f"{first} {noun} {verb} {end}" for first in ("the", "a") for noun in NOUNS for verb in ("is", "was") for end in ("on", "very", "the")
]


def write(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return file


def pairs(file: Path) -> Path:
    return write(file, [{"prompt": prompt, "chosen": "good yes", "rejected": "bad no"} for prompt in PROMPTS])


def judged(file: Path) -> Path:
    return write(file, [{"prompt": p, "completion": "good yes" if i % 2 else "bad no", "label": i % 2 == 1} for i, p in enumerate(PROMPTS)])


def ranked(file: Path) -> Path:
    answers = [{"answer": text, "rank": rank} for text, rank in (("bad no", 3), ("good yes", 1), ("very", 2))]
    return write(file, [{"prompt": prompt, "answers": answers} for prompt in PROMPTS])


def recipe(folder: Path, file: Path, out: Path, **more: Any) -> Recipe:
    made: dict[str, Any] = {
        "model": str(folder),
        "data": {"train": str(file)},
        "method": "full",
        "train": {"epochs": 4, "learning_rate": 5e-3, "examples_per_step": 8},
        "evaluate": {"retention": "none", "max_new_tokens": 3, "generate_limit": 4},
        "engine": {"compile": False},
        "output_dir": str(out),
    }
    return from_mapping({**made, **more}, name="judged")


def test_pairs_make_chosen_answers_likelier_and_the_report_says_so(decoder_folder: Path, tmp_path: Path) -> None:
    run = tune(recipe(decoder_folder, pairs(tmp_path / "a.jsonl"), tmp_path / "out"))
    report = run.report
    assert report["task"] == {"objective": "dpo", "method": "full", "kind": "preference", "base": "as_it_is"}
    found = report["metrics"]["pair_accuracy"]
    assert next(iter(report["metrics"])) == "pair_accuracy"
    assert (found["base"]["value"], found["tuned"]["value"]) == (0.5, 1.0)  # before, the model is its own reference
    assert report["metrics"]["pair_log_loss"]["base"]["value"] == pytest.approx(math.log(2))
    assert report["metrics"]["pair_log_loss"]["tuned"]["value"] < 0.5
    assert set(report["metrics"]) == {"pair_accuracy", "pair_log_loss"}
    steps = [event for event in run.directory.read_steps() if event["event"] == "step"]
    assert steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert steps[0]["metrics"]["reward_chosen"] == pytest.approx(0.0, abs=1e-4)
    assert steps[-1]["metrics"]["reward_margin"] > 0
    assert report["curves"]["train"][-1]["metrics"] == steps[-1]["metrics"]
    assert "reward margin, training" in run.directory.report_html.read_text(encoding="utf-8")
    assert {"prompt", "reference", "base", "tuned"} == set(report["samples"][0])
    assert run.generate(["the cat is on"])
    assert "pair accuracy" in run.directory.report_html.read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="tuned a language model"):
        run.predict(["the cat"])


@pytest.mark.parametrize("method", ["lora", {"name": "prompt", "num_virtual_tokens": 4}])
@pytest.mark.parametrize("objective", ["dpo", "orpo", {"name": "dpo", "loss_type": "ipo"}])
def test_methods_and_objectives_know_nothing_of_each_other(decoder_folder: Path, tmp_path: Path, method: Any, objective: Any) -> None:
    train = {"epochs": 6, "learning_rate": 3e-2, "examples_per_step": 8}
    run = tune(recipe(decoder_folder, pairs(tmp_path / "a.jsonl"), tmp_path / "out", method=method, objective=objective, train=train))
    assert run.report["metrics"]["pair_accuracy"]["tuned"]["value"] > 0.9


def test_single_judgements(decoder_folder: Path, tmp_path: Path) -> None:
    run = tune(recipe(decoder_folder, judged(tmp_path / "a.jsonl"), tmp_path / "out"))
    assert run.report["task"]["objective"] == "kto"
    assert run.report["metrics"]["liked_auc"]["base"]["value"] == 0.5
    assert run.report["metrics"]["liked_auc"]["tuned"]["value"] == 1.0


def test_an_encoder_decoder_learns_from_pairs(seq2seq_folder: Path, tmp_path: Path) -> None:
    run = tune(recipe(seq2seq_folder, pairs(tmp_path / "a.jsonl"), tmp_path / "out"))
    assert run.report["metrics"]["pair_accuracy"]["tuned"]["value"] == 1.0


@pytest.mark.parametrize("kind", ["encoder_folder", "decoder_folder"])
@pytest.mark.parametrize("data", [pairs, ranked])
def test_a_reward_model_tells_answers_apart(request: pytest.FixtureRequest, kind: str, data: Any, tmp_path: Path) -> None:
    folder = request.getfixturevalue(kind)
    run = tune(recipe(folder, data(tmp_path / "a.jsonl"), tmp_path / "out", objective="reward"))
    report = run.report
    assert report["task"]["kind"] == "reward_model"
    assert report["metrics"]["pair_accuracy"]["base"] is None
    assert report["metrics"]["pair_accuracy"]["tuned"]["value"] > 0.95
    assert report["baselines"]["length"]["pair_accuracy"]["value"] <= 1.0
    good, bad = (said["reward"] for said in run.predict([("the cat is on", "good yes"), ("the cat is on", "bad no")]))
    assert good > bad
    out = tmp_path / "out.csv"
    run.predict_file(write(tmp_path / "b.jsonl", [{"prompt": "the dog was very", "answer": "good yes"}]), out)
    assert out.read_text(encoding="utf-8").splitlines()[0] == "prompt,answer,predicted_reward"
    with pytest.raises(UsageError, match=r"texts\[0\]: found a text, expected a pair: \(prompt, answer\)"):
        run.predict(["the cat"])
    with pytest.raises(UsageError, match="tuned a reward model"):
        run.generate(["the cat"])


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_a_run_that_was_stopped_goes_on_with_the_same_reference(decoder_folder: Path, tmp_path: Path, objective: str) -> None:
    file = (pairs if objective == "dpo" else judged)(tmp_path / "a.jsonl")
    whole = tune(recipe(decoder_folder, file, tmp_path / "whole"))
    with pytest.raises(Interrupted):
        tune(recipe(decoder_folder, file, tmp_path / "parts"), progress=stop_at(6))
    parts = resume(tmp_path / "parts")
    losses = [[event["loss"] for event in run.directory.read_steps() if event["event"] == "step"] for run in (whole, parts)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert parts.report["metrics"] == whole.report["metrics"]


def test_a_run_that_goes_on_from_a_tuned_one_has_that_as_its_reference(decoder_folder: Path, tmp_path: Path) -> None:
    file = pairs(tmp_path / "a.jsonl")
    first = tune(recipe(decoder_folder, file, tmp_path / "first", method="lora"))
    second: Run = tune(recipe(Path(f"run:{first.directory.path}"), file, tmp_path / "second", method="lora"))
    steps = [event for event in second.directory.read_steps() if event["event"] == "step"]
    assert steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)


def test_an_answer_without_room_has_no_reward_and_the_others_keep_theirs(decoder_folder: Path, tmp_path: Path) -> None:
    run = tune(recipe(decoder_folder, pairs(tmp_path / "a.jsonl"), tmp_path / "out", objective="reward", train={"max_steps": 1}))
    said = run.predict([("the cat", "good"), ("the " * 80, "good"), ("the dog", "bad")])
    assert [one["reward"] is None for one in said] == [False, True, False]


def test_a_reward_model_of_ranked_answers_reads_dialogues_as_it_learned_them(decoder_folder: Path, tmp_path: Path) -> None:
    rows = [
        {"prompt": f"\n\nHuman: {prompt}\n\nAssistant: ", "answers": [{"answer": "good", "rank": 1}, {"answer": "bad", "rank": 2}]}
        for prompt in PROMPTS
    ]
    run = tune(recipe(decoder_folder, write(tmp_path / "a.jsonl", rows), tmp_path / "out", train={"max_steps": 1}))
    asked = {"prompt": "\n\nHuman: the cat is on\n\nAssistant: ", "answer": "good"}
    run.predict_file(write(tmp_path / "b.jsonl", [asked]), tmp_path / "out.jsonl")
    (line,) = [json.loads(text) for text in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    (plain,) = run.predict([("the cat is on", "good")])
    assert line["predicted_reward"] == pytest.approx(plain["reward"], abs=1e-5)


def test_conversations_as_lists_can_be_gone_on_with(decoder_folder: Path, tmp_path: Path) -> None:
    run = tune(recipe(decoder_folder, pairs(tmp_path / "a.jsonl"), tmp_path / "out", train={"max_steps": 1}))
    asked = {
        "prompt": [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "the dog"}]
    }
    assert run.predict_file(write(tmp_path / "b.jsonl", [asked]), tmp_path / "out.jsonl")["rows"] == 1


def test_a_run_of_judged_answers_is_quantized_merged(decoder_folder: Path, tmp_path: Path) -> None:
    run = tune(recipe(decoder_folder, pairs(tmp_path / "a.jsonl"), tmp_path / "out", method="lora", train={"max_steps": 1}))
    with pytest.raises(UsageError, match=r"judged by what its model said before training.*tunesmith merge"):
        quantize(str(run.directory.path), "int8", output=tmp_path / "small")


def test_the_check_counts_the_longest_answer_with_its_prompt(decoder_folder: Path, tmp_path: Path) -> None:
    rows = [{"prompt": "the cat", "chosen": "good", "rejected": "bad " * 9 + "no"}]
    task = prepare(recipe(decoder_folder, pairs(tmp_path / "a.jsonl"), tmp_path / "out"), silence)
    lengths, _ = measure_lengths("train", read(rows).examples, task.encoder)
    prompt = len(task.encoder.prompt(read(rows).examples[0]))
    assert lengths.max == prompt + 10 + 1  # and the end of the turn


def test_a_plan_trains_nothing(decoder_folder: Path, tmp_path: Path) -> None:
    planned = plan(recipe(decoder_folder, pairs(tmp_path / "a.jsonl"), tmp_path / "out"))
    assert planned.num_rows["train"] > 0  # type: ignore[union-attr]
    assert not (tmp_path / "out").exists()
