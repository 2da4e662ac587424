"""A language model that learns from its own answers: what is wrong is told in one line, and a run that stopped goes on."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tiny_policies import PPO, PROMPTS, QUICK, function, lines, policy, prompts, same_weights, steps_of
from tiny_recipes import stop_at

from tunesmith.app.run import Run
from tunesmith.app.tune import resume, tune
from tunesmith.cli.main import run as command
from tunesmith.core.errors import DataError, Diverged, Interrupted, MethodError, RecipeError, RewardError
from tunesmith.core.events import Event, Progress
from tunesmith.core.run import RunDirectory
from tunesmith.recipe import dump


@pytest.mark.parametrize("stop", [4, 6])
@pytest.mark.parametrize("case", ["ppo", "grpo"])
def test_a_run_that_was_interrupted_ends_with_the_weights_of_one_that_was_not(
    decoder_folder: Path, tmp_path: Path, case: str, stop: int
) -> None:
    """Between two rollouts, and in the midst of one; PPO with a pull that adapts."""
    objective = (
        {**PPO, "target_kl": 0.05}
        if case == "ppo"
        else {"name": "grpo", "num_answers": 4, "max_new_tokens": 4, "passes": 2, "minibatches": 2}
    )
    more: dict[str, Any] = {
        "objective": objective,
        "method": "lora",
        "train": {"max_steps": 10, "learning_rate": 3e-2, "examples_per_step": 4},
    }
    whole = tune(policy(decoder_folder, tmp_path, tmp_path / "whole", **more))
    with pytest.raises(Interrupted, match="tunesmith runs resume"):
        tune(policy(decoder_folder, tmp_path, tmp_path / "parts", **more), progress=stop_at(stop))
    assert command(["runs", "resume", str(tmp_path / "parts")]) == 0
    parts = Run(RunDirectory(tmp_path / "parts"))
    same_weights(whole.path, parts.path)
    assert [step["loss"] for step in steps_of(parts)] == [step["loss"] for step in steps_of(whole)]
    assert parts.report["metrics"] == whole.report["metrics"]
    assert parts.directory.rollouts.read_text() == whole.directory.rollouts.read_text()


def test_a_run_that_was_interrupted_while_it_wrote_a_rollout_ends_the_same(decoder_folder: Path, tmp_path: Path) -> None:
    more: dict[str, Any] = {"objective": {**PPO, "target_kl": 0.05}, "train": {**QUICK, "max_steps": 10, "learning_rate": 1e-2}}
    whole = tune(policy(decoder_folder, tmp_path, tmp_path / "whole", **more))
    seen = [0]

    def in_the_second(event: Event) -> None:
        seen[0] += isinstance(event, Progress) and event.stage == "rollout" and event.done == 20
        if seen[0] == 2:
            seen[0] = 3
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="interrupted after step 4 of 10"):
        tune(policy(decoder_folder, tmp_path, tmp_path / "parts", **more), progress=in_the_second)
    parts = resume(tmp_path / "parts")
    same_weights(whole.path, parts.path)
    assert parts.report["metrics"] == whole.report["metrics"]


def test_a_reward_that_raises_stops_the_run_which_goes_on_when_it_is_mended(decoder_folder: Path, tmp_path: Path) -> None:
    """From a checkpoint of several rollouts before."""
    train = {"max_steps": 12, "learning_rate": 1e-2, "examples_per_step": 4, "checkpoint_every_steps": 5}
    whole = tune(policy(decoder_folder, tmp_path, tmp_path / "whole", train=train))
    recipe = policy(decoder_folder, tmp_path, tmp_path / "out", train=train)
    mended = (tmp_path / "reward.py").read_text(encoding="utf-8")
    counted = (tmp_path / "calls").as_posix()
    # answers of the base: 10; of each rollout 16, and of each validation 5
    before = f"import pathlib\ncalls = pathlib.Path({counted!r})"
    body = "calls.write_text(calls.read_text() + '.' if calls.exists() else '.')\n    if len(calls.read_text()) > 150: raise ZeroDivisionError('late')\n    "
    function(tmp_path, body + mended.partition("):\n    ")[2].rstrip(), before=before)
    with pytest.raises(RewardError) as error:
        tune(recipe)
    text = str(error.value)
    assert "\n" not in text
    assert "reward.py:reward: raised ZeroDivisionError: late (reward.py:" in text
    assert f"Mend it, or set on_failure to what such an answer is to get. Then go on with: tunesmith runs resume {tmp_path / 'out'}" in text
    assert error.value.exit_code == 1
    directory = RunDirectory(tmp_path / "out")
    assert directory.status == "failed"
    num = len([event for event in directory.read_steps() if event["event"] == "step"])
    assert [path.name for path in directory.checkpoints.glob("step-*")] == ["step-000005"]
    assert num > 7  # two rollouts and more behind it
    (tmp_path / "reward.py").write_text(mended, encoding="utf-8")
    run = resume(tmp_path / "out")
    same_weights(whole.path, run.path)
    assert run.directory.rollouts.read_text() == whole.directory.rollouts.read_text()
    assert [step["index"] for step in steps_of(run)] == list(range(1, 13))


def test_a_policy_that_leaves_its_reference_stops_with_4_and_names_the_last_good_checkpoint(
    decoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objective = {"name": "grpo", "num_answers": 4, "max_new_tokens": 4, "max_kl": 0.5}
    train = {"max_steps": 40, "learning_rate": 1e-2, "examples_per_step": 8, "checkpoint_every_steps": 1}
    recipe = policy(decoder_folder, tmp_path, tmp_path / "out", objective=objective, train=train)
    with pytest.raises(Diverged) as error:
        tune(recipe)
    directory = RunDirectory(tmp_path / "out")
    last = sorted(directory.checkpoints.glob("step-*"))[-1]
    assert str(error.value).startswith("the policy is 0.")
    assert f"objective.max_kl is 0.5. Raise objective.beta, or lower train.learning_rate. The last good checkpoint is {last}." in str(
        error.value
    )
    assert directory.status == "failed"
    assert not directory.report_json.exists()
    file = tmp_path / "recipe.yaml"
    file.write_text(dump(recipe.model_copy(update={"output_dir": str(tmp_path / "again")})), encoding="utf-8")
    assert command(["tune", str(file)]) == 4
    assert "The last good checkpoint is" in capsys.readouterr().err


def test_a_run_that_diverged_before_its_first_checkpoint_names_none(decoder_folder: Path, tmp_path: Path) -> None:
    objective = {"name": "grpo", "num_answers": 4, "max_new_tokens": 4, "max_kl": 1e-6}
    train = {"max_steps": 40, "learning_rate": 1e-2, "examples_per_step": 8, "checkpoint_every_steps": 30, "evaluations_per_epoch": 1}
    with pytest.raises(Diverged, match=r"train\.learning_rate\.$"):
        tune(policy(decoder_folder, tmp_path, tmp_path / "out", objective=objective, train=train))


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no rewards": ({"rewards": []}, r"^policy: rewards: missing: grpo needs what answers are rewarded\. Set rewards, as \["),
    "a run that is not there": ({"rewards": [{"name": "model", "run": "nowhere"}]}, r"^policy: rewards\[0\]: nowhere: no such run"),
    "a judge that is not there": (
        {"evaluate": {"rewards": [{"name": "ended"}, {"name": "classifier", "run": "nowhere", "label": "x"}]}},
        r"^policy: evaluate\.rewards\[1\]: nowhere: no such run",
    ),
    "a function that is not there": (
        {"rewards": [{"name": "ended"}, {"name": "function", "function": "nowhere.py:f"}]},
        r"^policy: rewards\[1\]: reward function: function: nowhere\.py: no such file|^policy: rewards\[1\]: function: nowhere\.py: no such file",
    ),
    "a pattern that is none": ({"rewards": [{"name": "regex", "pattern": "("}]}, r"^policy: rewards\[0\]: reward regex: pattern: '\('"),
    "a metric of labels": ({"rewards": [{"name": "metric", "metric": "accuracy"}]}, r"^policy: rewards\[0\]: metric: accuracy reads label"),
    "best of n that trains": (
        {"objective": {"name": "best_of_n"}},
        r"^policy: objective: best_of_n trains nothing\. Set method=none, or use grpo or ppo\.",
    ),
    "a head to be fitted first": (
        {"objective": PPO, "train": {**QUICK, "head_first": True}},
        r"^policy: train\.head_first: the head of ppo learns from answers that are not written yet\. Leave it out\.",
    ),
    "a policy that does not": ({"method": "none"}, r"^policy: method: none trains nothing"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_told_in_one_line_before_anything_is_written(decoder_folder: Path, tmp_path: Path, case: str) -> None:
    changes, text = BAD[case]
    with pytest.raises(RecipeError, match=text) as error:
        tune(policy(decoder_folder, tmp_path, tmp_path / "out", **changes))
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_rewards_of_a_model_that_writes_nothing_are_refused(decoder_folder: Path, tmp_path: Path) -> None:
    data = str(lines(tmp_path / "labels.jsonl", [{"text": prompt, "label": prompt.split()[-1]} for prompt in PROMPTS]))
    for key, changes in (("rewards", {}), ("evaluate.rewards", {"rewards": [], "evaluate": {"rewards": [{"name": "ended"}]}})):
        with pytest.raises(
            RecipeError, match=rf"^policy: {key}: a model of classify writes no answers that could be rewarded\. Leave it out\."
        ):
            tune(policy(decoder_folder, tmp_path, tmp_path / "out", data=data, objective="classify", **changes))
    assert not (tmp_path / "out").exists()


def test_a_reward_that_is_no_number_stops_the_run(decoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = policy(decoder_folder, tmp_path, tmp_path / "out", rewards=[function(tmp_path, "return float('nan')")])
    file = tmp_path / "recipe.yaml"
    file.write_text(dump(recipe), encoding="utf-8")
    assert command(["tune", str(file)]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert "returned nan, expected a finite number, for the answer" in line
    assert "prompts.jsonl:" in line


def test_prompts_that_fill_the_model_are_left_out_and_counted(decoder_folder: Path, tmp_path: Path) -> None:
    rows = [{"prompt": prompt + " very" * (80 if number % 6 == 0 else 0)} for number, prompt in enumerate(PROMPTS)]
    run = tune(policy(decoder_folder, tmp_path, tmp_path / "out", data=str(lines(tmp_path / "long.jsonl", rows)), train=QUICK))
    left_out = [line for line in run.report["warnings"] if "had nothing left to learn in 64 tokens and were left out" in line]
    assert sum(int(line.split(": ")[1].split()[0]) for line in left_out) == 8


def test_answers_that_never_end_are_counted(decoder_folder: Path, tmp_path: Path) -> None:
    run = tune(policy(decoder_folder, tmp_path, tmp_path / "out", rewards=[function(tmp_path), {"name": "ended"}], train=QUICK))
    (line,) = [line for line in run.report["warnings"] if "had not ended after 4 tokens" in line]
    assert line.startswith("Of 10 answers, ")
    assert line.endswith("Raise objective.max_new_tokens.")
    assert steps_of(run)[0]["metrics"]["reward, ended"] == pytest.approx(steps_of(run)[0]["metrics"]["ended"] - 1)


def test_pairs_of_what_is_no_conversation_are_refused_before_anything_is_written(decoder_folder: Path, tmp_path: Path) -> None:
    rows = [{"segments": [{"label": False, "text": f"{prompt} "}, {"label": True, "text": "good"}]} for prompt in PROMPTS]
    objective = {"name": "best_of_n", "num_tried": 2, "max_new_tokens": 2, "writes_pairs": True}
    recipe = policy(
        decoder_folder, tmp_path, tmp_path / "out", method="none", objective=objective, data=str(lines(tmp_path / "a.jsonl", rows))
    )
    with pytest.raises(DataError, match=r"objective\.writes_pairs: pairs are of conversations, and the data gives Marked examples"):
        tune(recipe)
    assert not (tmp_path / "out").exists()


def test_a_run_goes_on_from_another_folder(decoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's file, and that of a metric of a reward, are kept under their whole paths."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schema.json").write_text('{"type": "object"}', encoding="utf-8")
    function(tmp_path)
    rewards = [{"name": "function", "function": "reward.py:reward"}, {"name": "metric", "metric": "json_schema", "schema": "schema.json"}]
    with pytest.raises(Interrupted):
        tune(policy(decoder_folder, tmp_path, Path("out"), rewards=rewards, train=QUICK), progress=stop_at(1))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert resume(tmp_path / "out").report["metrics"]["reward"]["tuned"] is not None


@pytest.mark.parametrize("objective", [PPO, {"name": "grpo", "num_answers": 2}])
def test_a_method_that_leaves_the_policy_as_it_is_is_refused(decoder_folder: Path, tmp_path: Path, objective: Any) -> None:
    with pytest.raises(MethodError, match=r"method: head trains nothing of the trunk.*Use lora or full\."):
        tune(policy(decoder_folder, tmp_path, tmp_path / "out", method="head", objective=objective))
    assert not (tmp_path / "out").exists()


def test_a_mixture_of_prompts_is_rewarded_set_by_set(decoder_folder: Path, tmp_path: Path) -> None:
    rows = lines(tmp_path / "rows.jsonl", [{"prompt": f"very {prompt}", "completion": "good"} for prompt in PROMPTS])
    data = {"mix": {"asked": {"source": str(prompts(tmp_path))}, "taught": {"source": str(rows)}}}
    run = tune(policy(decoder_folder, tmp_path, tmp_path / "out", data=data, train=QUICK, evaluate={"generate_limit": 4}))
    told = {"reward", "kl", "answer_tokens", "distinct_2"}
    assert set(run.report["metrics"]) == told
    for name in ("asked", "taught"):
        assert set(run.report["tasks"][name]["metrics"]) == told
    assert run.report["rewards"]["win_rate"]["rows"] == 8  # so many of each set


def test_without_a_test_or_a_validation_split_it_learns_all_the_same(decoder_folder: Path, tmp_path: Path) -> None:
    data = {"train": str(prompts(tmp_path)), "split": {"validation": 0, "test": 0}}
    run = tune(policy(decoder_folder, tmp_path, tmp_path / "out", data=data, train=QUICK))
    assert run.report["metrics"] == {}
    assert len(steps_of(run)) == 2


def test_where_no_answers_are_asked_for_that_is_told(decoder_folder: Path, tmp_path: Path) -> None:
    run = tune(policy(decoder_folder, tmp_path, tmp_path / "out", train=QUICK, evaluate={"generate_limit": 0}))
    assert any("evaluate.generate_limit is 0: no answers were written" in line for line in run.report["warnings"])
