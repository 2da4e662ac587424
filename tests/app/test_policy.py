"""A language model that learns from its own answers, from prompts to a report: what is rewarded becomes more, and what that costs is told."""

import io
import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from suite_files import byte_model, write_suites
from tiny_policies import PPO, PROMPTS, QUICK, function, lines, policy, same_weights, steps_of

from tunesmith.app.compare_runs import compare_runs
from tunesmith.app.evaluate import evaluate
from tunesmith.app.run import Run
from tunesmith.app.tune import plan, tune
from tunesmith.cli.main import run as command
from tunesmith.core.errors import RecipeError, UsageError
from tunesmith.core.events import Event, Stage, Stepped, Warned
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Preference
from tunesmith.data import read
from tunesmith.recipe import dump

SHORT = "words = answer.split()\n    return sum(len(word) == 3 for word in words) / max(1, len(words))"
"""The share of words of three letters, which a random model writes often."""
LONG = {
    "max_steps": 40,
    "learning_rate": 1e-2,
    "examples_per_step": 8,
    "schedule": "constant",
    "warmup_ratio": 0,
    "evaluations_per_epoch": 1,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the prompts and the rewards of both policies."""
    return tmp_path_factory.mktemp("policies")


@pytest.fixture(scope="module")
def grpo_run(decoder_folder: Path, cache: None, folder: Path) -> Run:
    """Rewarded for a word, and judged by one that likes variety."""
    judges = [function(folder, "words = answer.split()\n    return len(set(words)) / max(1, len(words))", name="variety")]
    return tune(policy(decoder_folder, folder, folder / "grpo", evaluate={"rewards": judges}, train=LONG))  # fmt: skip


@pytest.fixture(scope="module")
def ppo_run(decoder_folder: Path, cache: None, folder: Path) -> Run:
    return tune(policy(decoder_folder, folder, folder / "ppo", objective=PPO, train=LONG))


@pytest.fixture(scope="module")
def best_run(decoder_folder: Path, cache: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("best")
    objective = {"name": "best_of_n", "num_tried": 8, "max_new_tokens": 4, "writes_pairs": True}
    rewards = [function(folder, SHORT)]
    return tune(policy(decoder_folder, folder, folder / "out", method="none", objective=objective, rewards=rewards))


def test_grpo_raises_the_reward_and_the_report_says_at_what_price(grpo_run: Run) -> None:
    report = grpo_run.report
    assert report["task"] == {"objective": "grpo", "method": "full", "kind": "policy", "base": "as_it_is"}
    assert report["curves"]["overfitting"] == {"found": False, "text": ""}  # its validation is of rewards
    metrics = report["metrics"]
    assert next(iter(metrics)) == "reward"
    assert set(metrics) == {"reward", "held_out_reward", "kl", "answer_tokens", "distinct_2"}
    assert metrics["reward"]["base"]["value"] < 0.3
    assert metrics["reward"]["tuned"]["value"] > 0.7
    assert metrics["kl"]["base"]["value"] == 0.0  # exactly: the distance is measured from it
    assert metrics["kl"]["tuned"]["value"] > 1
    assert metrics["distinct_2"]["tuned"]["value"] < metrics["distinct_2"]["base"]["value"]
    assert 1 <= metrics["answer_tokens"]["tuned"]["value"] <= 4
    page = grpo_run.directory.report_html.read_text(encoding="utf-8")
    assert "prompts, ties counted half" in page
    assert "By the held-out judges, its answer is better than the base" in page.replace("&#39;", "'")


def test_a_reward_that_the_held_out_judges_do_not_share_is_told(grpo_run: Run) -> None:
    """The answers say one word again and again: the reward rises, and the judge that likes variety is less content."""
    held = grpo_run.report["metrics"]["held_out_reward"]
    assert held["tuned"]["value"] < held["base"]["value"]
    found = grpo_run.report["rewards"]
    assert found["by"] == "held_out_reward"
    assert found["win_rate"]["value"] < 0.5
    assert found["win_rate"]["rows"] == 10
    (sign,) = [one for one in found["signs"] if "held-out judges fell" in one]
    assert sign in grpo_run.report["warnings"]


def test_every_step_tells_reward_distance_entropy_and_length(grpo_run: Run, ppo_run: Run) -> None:
    for run, more in ((grpo_run, set()), (ppo_run, {"value loss", "clipped share"})):
        steps = steps_of(run)
        assert set(steps[0]["metrics"]) == {"reward", "kl", "entropy", "answer_tokens", "ended"} | more
        assert steps[0]["metrics"]["kl"] == 0.0
        assert steps[0]["metrics"]["entropy"] == pytest.approx(math.log(64), abs=0.1)  # a random model of 64 words
        first, last = (sum(step["metrics"]["reward"] for step in part) / 5 for part in (steps[:5], steps[-5:]))
        assert last > first + 0.2
        assert run.report["curves"]["train"][-1]["metrics"] == steps[-1]["metrics"]
    validations = [event for event in grpo_run.directory.read_steps() if event["event"] == "validation"]
    assert all({"reward", "kl", "held_out_reward", "answer_tokens", "ended"} <= set(one) for one in validations)
    assert all(one["loss"] == pytest.approx(0.04 * one["kl"] - one["reward"]) for one in validations)


def test_an_answer_of_each_rollout_is_kept(grpo_run: Run, ppo_run: Run) -> None:
    for run, num in ((grpo_run, 40), (ppo_run, 10)):  # a rollout of PPO is four steps
        shown = [json.loads(line) for line in run.directory.rollouts.read_text(encoding="utf-8").splitlines()]
        assert [one["rollout"] for one in shown] == list(range(num))
        assert all(set(one) == {"rollout", "prompt", "answer", "reward"} and one["prompt"] in PROMPTS for one in shown)
        assert all(
            one["reward"] == pytest.approx(one["answer"].split().count("good") / max(1, len(one["answer"].split()))) for one in shown
        )


def test_ppo_raises_the_reward_too_and_its_first_step_is_of_the_policy_that_wrote(ppo_run: Run) -> None:
    metrics = ppo_run.report["metrics"]
    assert metrics["reward"]["tuned"]["value"] > metrics["reward"]["base"]["value"] + 0.2
    assert metrics["kl"]["base"]["value"] == 0.0
    assert steps_of(ppo_run)[0]["metrics"]["clipped share"] == 0.0


def test_a_model_with_dropout_learns_without_it(seq2seq_folder: Path, tmp_path: Path) -> None:
    """Else what a policy says while it learns would differ from what it said when it wrote. T5's own dropout is 0.1."""
    run = tune(policy(seq2seq_folder, tmp_path, tmp_path / "out", objective=PPO))
    assert steps_of(run)[0]["metrics"]["clipped share"] == 0.0
    metrics = run.report["metrics"]
    assert metrics["reward"]["tuned"]["value"] > metrics["reward"]["base"]["value"] + 0.2
    assert metrics["kl"]["base"]["value"] == 0.0


@pytest.mark.parametrize("objective", [PPO, {"name": "grpo", "num_answers": 4, "max_new_tokens": 4, "beta": 0.0, "loss_type": "dr_grpo"}])
def test_soft_prompts_learn_from_rewards_too(decoder_folder: Path, tmp_path: Path, objective: Any) -> None:
    method = {"name": "prompt", "num_virtual_tokens": 4}
    run = tune(
        policy(decoder_folder, tmp_path, tmp_path / "out", method=method, objective=objective, train={**QUICK, "learning_rate": 0.1})
    )
    assert run.report["metrics"]["kl"]["base"]["value"] == 0.0
    assert run.report["metrics"]["kl"]["tuned"]["value"] != 0.0
    assert math.isfinite(run.report["metrics"]["reward"]["tuned"]["value"])


def test_best_of_n_keeps_the_best_and_trains_nothing(best_run: Run) -> None:
    metrics = best_run.report["metrics"]
    assert best_run.report["task"]["method"] == "none"
    assert metrics["reward"]["tuned"]["value"] > metrics["reward"]["base"]["value"]
    assert metrics["kl"]["base"]["value"] == 0.0
    assert metrics["kl"]["tuned"]["value"] == pytest.approx(math.log(8) - 7 / 8)
    assert not list(best_run.directory.path.glob("adapter")) + list(best_run.directory.path.glob("model"))


def test_pairs_of_best_of_n_are_data_of_a_run_that_learns_from_judged_answers(best_run: Run, decoder_folder: Path, tmp_path: Path) -> None:
    pairs = [json.loads(line) for line in best_run.directory.pairs.read_text(encoding="utf-8").splitlines()]
    assert len({one["prompt"][0]["content"] for one in pairs}) == len(pairs) > 15

    def worth(text: str) -> float:
        return sum(len(word) == 3 for word in text.split()) / len(text.split())

    assert all(one["margin"] == pytest.approx(worth(one["chosen"]) - worth(one["rejected"])) for one in pairs)
    assert all(one["margin"] > 0 for one in pairs)
    read_back = read(str(best_run.directory.pairs))
    assert [example.chosen[0].content for example in read_back.examples if isinstance(example, Preference)] == [
        one["chosen"] for one in pairs
    ]
    data = {"train": str(best_run.directory.pairs), "test": str(best_run.directory.test_pairs)}
    train = {"epochs": 4, "learning_rate": 5e-3, "examples_per_step": 8}
    run = tune(policy(decoder_folder, tmp_path, tmp_path / "dpo", data=data, objective="dpo", train=train))
    metrics = run.report["metrics"]
    assert {"pair_accuracy", "pair_log_loss", "reward", "kl", "answer_tokens"} <= set(metrics)
    assert metrics["kl"]["base"]["value"] == 0.0
    assert metrics["kl"]["tuned"]["value"] != 0.0
    assert run.report["rewards"]["by"] == "reward"
    test_prompts = {
        json.loads(line)["prompt"][0]["content"] for line in best_run.directory.test_pairs.read_text(encoding="utf-8").splitlines()
    }
    assert test_prompts
    assert not test_prompts & {one["prompt"][0]["content"] for one in pairs}


def test_answers_that_are_rewarded_alike_give_no_pair(decoder_folder: Path, tmp_path: Path) -> None:
    told = list[str]()
    objective = {"name": "best_of_n", "num_tried": 2, "max_new_tokens": 2, "writes_pairs": True}
    recipe = policy(
        decoder_folder, tmp_path, tmp_path / "out", method="none", objective=objective, rewards=[function(tmp_path, "return 1")]
    )
    run = tune(recipe, progress=lambda event: told.append(str(event)))
    assert run.directory.pairs.read_text(encoding="utf-8") == ""
    assert any("0 pairs in" in line and "prompts gave none, as all of their answers were rewarded the same" in line for line in told)
    assert run.report["rewards"]["win_rate"]["value"] == 0.5


@pytest.fixture(scope="module")
def classifier_run(decoder_folder: Path, cache: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("classifier")
    rows = [{"text": f"{prompt} {word}", "label": word} for prompt in PROMPTS for word in ("good", "bad")]
    data = str(lines(folder / "labels.jsonl", rows))
    train = {"epochs": 8, "learning_rate": 1e-2, "examples_per_step": 8}
    return tune(policy(decoder_folder, folder, folder / "out", data=data, objective="classify", rewards=[], train=train))


def test_a_run_that_learned_something_else_is_refused_by_what_it_learned(
    decoder_folder: Path, classifier_run: Run, ppo_run: Run, tmp_path: Path
) -> None:
    for reward, text in (
        ({"name": "model", "run": str(classifier_run.path)}, r"tuned a classifier, expected a reward model \(objective: reward\)"),
        (
            {"name": "classifier", "run": str(ppo_run.path), "label": "x"},
            r"tuned a language model, expected a classifier \(objective: classify\)",
        ),
        (
            {"name": "classifier", "run": str(classifier_run.path), "label": "god"},
            r'has no class god\. Did you mean "good"\? Known: bad, good\.',
        ),
    ):
        with pytest.raises(RecipeError, match=r"^policy: rewards\[0\]: .*" + text):
            tune(policy(decoder_folder, tmp_path, tmp_path / "out", rewards=[reward]))
        assert not (tmp_path / "out").exists()


def test_a_classifier_rewards_and_another_one_judges(decoder_folder: Path, classifier_run: Run, tmp_path: Path) -> None:
    told = list[Event]()
    name = f"run:{classifier_run.path}"
    rewards = [{"name": "classifier", "run": name, "label": "good"}, {"name": "length", "longest": 3, "weight": 0.1}]
    judges = [{"name": "classifier", "run": name, "label": "bad", "weight": -1.0}]
    recipe = policy(decoder_folder, tmp_path, tmp_path / "out", rewards=rewards, evaluate={"rewards": judges}, train=QUICK)
    run = tune(recipe, progress=told.append)
    assert [event.detail for event in told if isinstance(event, Stage) and event.name == "rewards"] == [name]  # it is loaded once
    metrics, step = run.report["metrics"], steps_of(run)[0]["metrics"]
    assert 0 < metrics["reward"]["base"]["value"] < 1
    assert -1 < metrics["held_out_reward"]["base"]["value"] < 0
    # each reward by itself, before it is weighed
    assert step["reward"] == pytest.approx(step["reward, classifier"] + 0.1 * step["reward, length"], abs=1e-6)


@pytest.mark.parametrize("objective", ["sft", "orpo"])
def test_others_are_measured_by_rewards_and_learn_nothing_from_them(decoder_folder: Path, tmp_path: Path, objective: str) -> None:
    rows = [
        {"prompt": p, "completion": "good yes"} if objective == "sft" else {"prompt": p, "chosen": "good yes", "rejected": "no"}
        for p in PROMPTS
    ]
    data = str(lines(tmp_path / "a.jsonl", rows))
    train = {"max_steps": 20, "learning_rate": 1e-2, "examples_per_step": 8}
    rewarded, plain = (
        tune(policy(decoder_folder, tmp_path, tmp_path / name, data=data, objective=objective, train=train, rewards=rewards))
        for name, rewards in (("rewarded", [function(tmp_path)]), ("plain", []))
    )
    same_weights(rewarded.path, plain.path)
    metrics = rewarded.report["metrics"]
    assert {"reward", "kl", "answer_tokens"} <= set(metrics)
    assert metrics["reward"]["tuned"]["value"] > metrics["reward"]["base"]["value"]
    assert metrics["kl"]["base"]["value"] == 0.0 < metrics["kl"]["tuned"]["value"]
    assert rewarded.report["rewards"]["win_rate"]["value"] > 0.5
    assert not set(plain.report["metrics"]) & {"reward", "kl"}


def test_a_finished_run_with_a_value_head_is_a_language_model(ppo_run: Run, decoder_folder: Path, tmp_path: Path) -> None:
    assert ppo_run.directory.heads.is_file()
    (answer,) = ppo_run.generate(["the cat is on"])
    assert answer
    with pytest.raises(UsageError, match="tuned a language model: ask it with generate"):
        ppo_run.predict(["the cat"])
    out = tmp_path / "said.jsonl"
    ppo_run.predict_file(lines(tmp_path / "asked.jsonl", [{"prompt": "the cat is on"}]), out)
    assert json.loads(out.read_text(encoding="utf-8")) == {"prompt": "the cat is on", "completion": answer}
    assert command(["merge", str(ppo_run.path), "--output", str(tmp_path / "merged")]) == 0
    rows = [{"prompt": prompt, "completion": "yes"} for prompt in PROMPTS]
    for number, model in enumerate((tmp_path / "merged", Path(f"run:{ppo_run.path}"))):
        train = {"max_steps": 1, "learning_rate": 1e-9}
        data = str(lines(tmp_path / "rows.jsonl", rows))
        on = tune(policy(model, tmp_path, tmp_path / f"on-{number}", data=data, objective="sft", rewards=[], train=train))
        assert on.generate(["the cat is on"]) == [answer]
    again = tune(policy(Path(f"run:{ppo_run.path}"), tmp_path, tmp_path / "again", method="lora", objective=PPO, train=QUICK))
    assert again.report["metrics"]["kl"]["base"]["value"] == 0.0
    assert again.report["metrics"]["reward"]["base"]["value"] == pytest.approx(
        ppo_run.report["metrics"]["reward"]["tuned"]["value"], abs=0.2
    )


def test_a_policy_is_quantized_merged(ppo_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["quantize", str(ppo_run.path), "--to", "int8", "--output", str(tmp_path / "small")]) == 2
    assert "is judged by what its model said before training" in capsys.readouterr().err
    assert not (tmp_path / "small").exists()


def test_policies_are_compared_as_runs_and_not_as_arms(
    grpo_run: Run, ppo_run: Run, decoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(dump(policy(decoder_folder, tmp_path, tmp_path / "out", arms=["lora", "full"])), encoding="utf-8")
    assert command(["compare", str(file)]) == 2
    assert "grpo is of answers that the model writes itself" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert command(["advise", str(file)]) == 2
    assert "policy: objective: grpo learns from answers that the model writes itself" in capsys.readouterr().err
    assert command(["runs", "compare", str(grpo_run.path), str(ppo_run.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    found = {one["metric"]: one for one in told["comparisons"]}
    assert {"reward", "kl", "answer_tokens"} <= set(found)
    assert found["reward"]["differences"][0] is not None  # the same prompts: they are paired


def test_a_plan_trains_and_writes_nothing(decoder_folder: Path, tmp_path: Path) -> None:
    planned = plan(policy(decoder_folder, tmp_path, tmp_path / "out", objective=PPO))
    told = planned.to_dict()
    assert told["num_rows"]["train"] == 33
    assert told["num_steps"] == 20
    assert told["peak_memory_bytes"] > 0
    assert told["num_training_tokens"] > 20 / told["steps_per_epoch"] * 33 * 4 * 4  # four answers to each prompt, as long as they may be
    assert told["total_seconds"] is None  # how long they will be, nobody knows
    assert not (tmp_path / "out").exists()


def test_a_step_is_told_as_it_is_done(decoder_folder: Path, tmp_path: Path) -> None:
    told = list[Event]()
    tune(policy(decoder_folder, tmp_path, tmp_path / "out", train=QUICK), progress=told.append)
    assert [event.step.index for event in told if isinstance(event, Stepped)] == [1, 2]


def test_a_policy_is_evaluated_and_talked_to_as_any_language_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, data = byte_model(tmp_path / "bytes"), write_suites(tmp_path / "suites")
    run = tune(policy(folder, tmp_path, tmp_path / "out", objective=PPO, train=QUICK))
    document = evaluate(str(run.path), ["lambada"], data=data, limit=3, out=tmp_path / "told")
    assert document["base"]["model"] == str(folder)
    assert document["suites"]["lambada"]["lambada_standard"]["acc"]["rows"] == 3
    monkeypatch.setattr(sys, "stdin", io.StringIO("the cat is\n"))
    assert command(["chat", str(run.path)]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("objective", [{"name": "grpo", "num_answers": 4, "max_new_tokens": 4, "passes": 2}, PPO])
def test_a_policy_is_not_compiled_nor_are_its_lower_layers_kept(objective: Any, decoder_folder: Path, tmp_path: Path) -> None:
    said = list[Event]()
    train = {"max_steps": 3, "examples_per_step": 4}
    engine, method = {"compile": True}, {"name": "layers", "last": 1}
    tune(
        policy(decoder_folder, tmp_path, tmp_path / "out", objective=objective, train=train, engine=engine, method=method),
        progress=said.append,
    )
    warned = [event.text for event in said if isinstance(event, Warned)]
    assert "engine.compile: the layers run uncompiled (a policy has no answers to try them on before it writes some)." in warned


def test_two_policies_are_held_against_each_other_as_any_runs_are(grpo_run: Run, ppo_run: Run, tmp_path: Path) -> None:
    found = compare_runs([RunDirectory(grpo_run.path), RunDirectory(ppo_run.path)])
    reward = next(one for one in found["comparisons"] if one["metric"] == "reward")
    values = [run.report["metrics"]["reward"]["tuned"]["value"] for run in (grpo_run, ppo_run)]
    assert [one["value"] for one in reward["values"]] == values
    assert reward["differences"][-1]["value"] == pytest.approx(values[1] - values[0])
    other = RunDirectory(Path(shutil.copytree(ppo_run.path, tmp_path / "other")))
    report = json.loads(other.report_json.read_text(encoding="utf-8"))
    report["data"]["splits"]["test"]["tokens"] += 3  # as if a tokenizer had cut the prompts otherwise
    other.report_json.write_text(json.dumps(report), encoding="utf-8")
    for run, is_compared in ((RunDirectory(ppo_run.path), True), (other, False)):
        found = compare_runs([RunDirectory(grpo_run.path), run])
        paired = {one["metric"]: one["differences"][0] is not None for one in found["comparisons"]}
        assert (paired["reward"], paired["answer_tokens"]) == (True, is_compared)
        assert any(text.endswith("answer_tokens is per token: not compared.") for text in found["remarks"]) != is_compared
