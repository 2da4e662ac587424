"""Recipes that are run one after the other: what a stage takes from an earlier one, how a chain goes on, and what it says."""

import json
import os
import re
import signal
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tiny_policies import PPO, PROMPTS, function, lines, prompts

from tunesmith.app.chain import resume_chain, tune_chain
from tunesmith.app.group import Group
from tunesmith.app.run import Run
from tunesmith.cli.main import run as command
from tunesmith.core.errors import DataError, Interrupted, RewardError, RunError
from tunesmith.core.events import Event, Notice, Stage, Stepped
from tunesmith.core.run import GroupDirectory, find, find_run
from tunesmith.recipe import Chain, load, load_chain
from tunesmith.recipe.text import write_yaml
from tunesmith.report.chain_page import chain_stages

TRAIN = {"max_steps": 3, "learning_rate": 1e-2, "examples_per_step": 8, "evaluations_per_epoch": 1}
COMMON = {
    "method": "full",
    "train": TRAIN,
    "evaluate": {"retention": "none", "max_new_tokens": 3, "generate_limit": 5},
    "engine": {"compile": False},
}


def write(file: Path, **recipe: Any) -> str:
    file.write_text(write_yaml(recipe), encoding="utf-8")
    return str(file)


def two_stages(model: Path, folder: Path) -> str:
    """Fine-tuning, and GRPO from what it made."""
    rows = lines(folder / "rows.jsonl", [{"prompt": prompt, "completion": "good yes"} for prompt in PROMPTS])
    sft = write(folder / "sft.yaml", model=str(model), data=str(rows), objective="sft", **COMMON)
    grpo = {"model": "stage:sft", "data": str(prompts(folder)), "objective": {"name": "grpo", "num_answers": 2, "max_new_tokens": 3}, "rewards": [function(folder)], **COMMON}  # fmt: skip
    return write(folder / "two.yaml", description="Two.", stages={"sft": sft, "grpo": grpo}, output_dir=str(folder / "out"))


def six_stages(model: Path, folder: Path) -> str:
    """Every way in which a stage can take what an earlier one made: as a model, as a reward, as a judge, as data."""
    labels = lines(folder / "labels.jsonl", [{"text": f"{p} {word}", "label": word} for p in PROMPTS for word in ("good", "bad")])
    asked, answers = str(prompts(folder)), {"max_new_tokens": 3}
    rewards = [{"name": "classifier", "run": "stage:reward", "label": "good"}]
    judged = {**COMMON, "evaluate": {**COMMON["evaluate"], "rewards": [{"name": "classifier", "run": "stage:judge", "label": "good"}]}}  # type: ignore[dict-item]
    best = {"name": "best_of_n", "num_tried": 4, "writes_pairs": True, **answers}
    pairs = {"train": "stage:best/pairs.jsonl", "test": "stage:best/pairs-test.jsonl"}
    reward = write(folder / "reward.yaml", model=str(model), data=str(labels), objective="classify", **COMMON)
    return write(
        folder / "six.yaml",
        description="Everything.",
        seed=7,
        output_dir=str(folder / "out"),
        stages={
            "reward": reward,
            "judge": {"recipe": reward, "seed": 70},
            "best": {"model": str(model), "data": asked, "rewards": rewards, **judged, "method": "none", "objective": best},
            "dpo": {"model": str(model), "data": pairs, "objective": "dpo", **COMMON, "rewards": rewards},
            "ppo": {"model": "stage:dpo", "data": asked, "rewards": rewards, **judged, "objective": {**PPO, **answers}, "method": "lora"},
            "more": {"model": "stage:ppo", "data": asked, "rewards": rewards, **judged, "objective": {**PPO, **answers}, "method": "lora"},
        },
    )


@pytest.fixture(scope="module")
def six(decoder_folder: Path, cache: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Group, list[Event]]:
    folder, told = tmp_path_factory.mktemp("six"), list[Event]()
    group = tune_chain(load_chain(six_stages(decoder_folder, folder), ["dpo.train.max_steps=2", "ppo.seed=9"]), progress=told.append)
    return group, told


STAGES = ["reward", "judge", "best", "dpo", "ppo", "more"]


def test_stages_run_in_their_order_each_a_run_of_its_own(six: tuple[Group, list[Event]]) -> None:
    group, told = six
    assert [event.detail for event in told if isinstance(event, Stage) and event.name == "run"] == [
        f"{stage} ({number} of 6)" for number, stage in enumerate(STAGES, 1)
    ]
    assert [run.id for run in group.runs] == STAGES
    assert group.directory.status == "done"
    assert all(run.directory.status == "done" for run in group.runs)
    assert [run.report["task"]["objective"] for run in group.runs] == ["classify", "classify", "best_of_n", "dpo", "ppo", "ppo"]


def test_a_stage_takes_what_an_earlier_one_made(six: tuple[Group, list[Event]]) -> None:
    runs = {run.id: run for run in six[0].runs}
    recipes = {name: load(run.directory.recipe) for name, run in runs.items()}
    whole = runs["reward"].path.resolve().parent
    assert recipes["ppo"].model.source == f"run:{whole / 'dpo'}"
    assert recipes["ppo"].rewards[0].options["run"] == f"run:{whole / 'reward'}"
    assert recipes["ppo"].evaluate.rewards[0].options["run"] == f"run:{whole / 'judge'}"
    assert recipes["dpo"].data.train == str(whole / "best" / "pairs.jsonl")
    assert runs["dpo"].report["metrics"]["reward"]["tuned"] is not None
    # what the stage before made is the model that the next one is measured from
    assert runs["more"].report["metrics"]["kl"]["base"]["value"] == 0.0
    assert runs["more"].report["metrics"]["reward"]["base"]["value"] == pytest.approx(
        runs["ppo"].report["metrics"]["reward"]["tuned"]["value"], abs=0.1
    )


def test_changes_reach_their_stage(six: tuple[Group, list[Event]]) -> None:
    recipes = {run.id: load(run.directory.recipe) for run in six[0].runs}
    assert {name: recipe.seed for name, recipe in recipes.items()} == {
        "reward": 7, "judge": 70, "best": 7, "dpo": 7, "ppo": 9, "more": 7,
    }  # fmt: skip
    assert [recipes[name].train.max_steps for name in ("dpo", "ppo")] == [2, 3]


def test_the_document_has_of_each_stage_what_it_did_and_measured(six: tuple[Group, list[Event]]) -> None:
    document = six[0].report
    assert document["schema"] == "tunesmith/chain/1"
    assert (document["name"], document["description"], document["group"]) == ("six", "Everything.", "out")
    assert list(document["stages"]) == STAGES
    for run in six[0].runs:
        one = document["stages"][run.id]
        assert one["metrics"] == run.report["metrics"]
        assert (one["run"], one["model"], one["task"]) == (run.id, run.report["model"]["name"], run.report["task"])
        assert Path(one["directory"]).resolve() == run.path.resolve()
    assert document["cost"]["total_seconds"] == pytest.approx(sum(run.report["cost"]["total_seconds"] for run in six[0].runs))


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links, self.rows = list[str](), 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]
        self.rows += tag == "tr"


def test_the_page_leads_to_the_reports_of_the_stages(six: tuple[Group, list[Event]]) -> None:
    page = Page(six[0].directory.report_html.read_text(encoding="utf-8"))
    assert page.links == [f"{stage}/report.html" for stage in STAGES]
    assert page.rows == len(STAGES) + 1
    for link in page.links:
        assert (six[0].path / link).is_file()


def test_a_stages_difference_has_its_sign(six: tuple[Group, list[Event]]) -> None:
    stage = six[0].report["stages"]["more"]
    metric, entry = next(iter(stage["metrics"].items()))
    better = {**entry, "difference": {"value": 0.125, "low": 0.0625, "high": 0.1875}}
    document = {**six[0].report, "stages": {"more": {**stage, "metrics": {metric: better}}}}
    assert chain_stages(document)[0].difference.startswith("+0.1")


def test_a_stage_can_be_named_as_any_run_is(six: tuple[Group, list[Event]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(six[0].path.parent)
    assert find_run("out/ppo").path == Path("out/ppo")
    assert Run("out/ppo").generate(["the cat is on"])
    with pytest.raises(RunError, match="is a group of runs"):
        find_run("out")


def test_a_finished_chain_is_shown_and_not_run_again(six: tuple[Group, list[Event]], capsys: pytest.CaptureFixture[str]) -> None:
    path = six[0].path
    assert command(["runs", "show", str(path)]) == 0
    out = capsys.readouterr().out
    assert all(stage in out for stage in STAGES)
    assert command(["runs", "show", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == six[0].report
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file()}
    assert command(["runs", "resume", str(path)]) == 2
    assert f"this chain is finished. `tunesmith runs show {path}` shows it." in capsys.readouterr().err
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file()} == before


def stop_in(stage: str, step: int) -> Callable[[Event], None]:
    """As Ctrl-C does, after so many steps of a stage."""
    here = [False]

    def listener(event: Event) -> None:
        if isinstance(event, Stage) and event.name == "run":
            here[0] = event.detail.startswith(f"{stage} ")
        if here[0] and isinstance(event, Stepped) and event.step.index == step:
            os.kill(os.getpid(), signal.SIGINT)

    return listener


@pytest.fixture(scope="module")
def whole(decoder_folder: Path, cache: None, tmp_path_factory: pytest.TempPathFactory) -> Group:
    """Of two stages, without a stop."""
    return tune_chain(load_chain(two_stages(decoder_folder, tmp_path_factory.mktemp("whole"))))


def losses(group: Group) -> list[list[float]]:
    return [[event["loss"] for event in run.directory.read_steps() if event["event"] == "step"] for run in group.runs]


@pytest.mark.parametrize("by", ["the same command", "runs resume"])
def test_a_chain_that_was_interrupted_goes_on_where_it_was(
    decoder_folder: Path, tmp_path: Path, whole: Group, by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = two_stages(decoder_folder, tmp_path)
    with pytest.raises(Interrupted, match=r"interrupted in grpo; 1 of 2 runs are done.*Go on with: tunesmith runs resume .*out$") as error:
        tune_chain(load_chain(file), progress=stop_in("grpo", 2))
    assert "\n" not in str(error.value)
    directory = GroupDirectory(tmp_path / "out")
    assert directory.status == "interrupted"
    assert [run.status for run in directory.runs] == ["done", "interrupted"]
    done = (tmp_path / "out" / "sft" / "report.json").stat().st_mtime_ns
    if by == "runs resume":
        assert command(["runs", "resume", str(tmp_path / "out")]) == 0
    else:
        assert command(["tune", file]) == 0
    told = capsys.readouterr()
    assert "grpo" in told.out
    assert "sft is done already" in told.err
    assert (tmp_path / "out" / "sft" / "report.json").stat().st_mtime_ns == done
    assert directory.status == "done"
    assert losses(Group(directory)) == losses(whole)
    assert Group(directory).report["stages"]["grpo"]["metrics"] == whole.report["stages"]["grpo"]["metrics"]


def test_a_reward_that_fails_in_a_stage_says_how_the_chain_goes_on(decoder_folder: Path, tmp_path: Path) -> None:
    file = two_stages(decoder_folder, tmp_path)
    function(tmp_path, "return None")
    with pytest.raises(RewardError) as error:
        tune_chain(load_chain(file))
    text = str(error.value)
    assert text.startswith("grpo: rewards: function: ")
    assert text.count("go on with") == 1
    assert text.endswith(f"Then go on with: tunesmith runs resume {tmp_path / 'out'}")
    function(tmp_path)
    told = list[Event]()
    group = resume_chain(GroupDirectory(tmp_path / "out"), progress=told.append)
    assert any(isinstance(event, Notice) and "sft is done already" in str(event) for event in told)
    assert group.directory.status == "done"


def test_a_change_begins_another_chain(decoder_folder: Path, tmp_path: Path) -> None:
    file = two_stages(decoder_folder, tmp_path)
    with pytest.raises(Interrupted):
        tune_chain(load_chain(file), progress=stop_in("sft", 1))
    with pytest.raises(RunError, match="output_dir holds a run already"):
        tune_chain(load_chain(file, ["grpo.train.max_steps=2"]))


def test_a_chain_without_a_folder_of_its_own_lies_in_runs_and_is_listed(
    decoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the same command goes on with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    file = two_stages(decoder_folder, tmp_path)
    Path(file).write_text(re.sub(r"(?m)^output_dir: .*\n", "", Path(file).read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(Interrupted):
        tune_chain(load_chain(file), progress=stop_in("grpo", 1))
    assert command(["runs", "list"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "two-stages-" in line]
    assert all(part in line for part in ("interrupted", "2 stages"))
    assert command(["tune", file, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["stages"]) == ["sft", "grpo"]
    (found,) = (tmp_path / "runs").iterdir()
    assert document["group"] == found.name
    assert command(["runs", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(one["group"], one["kind"], one["status"], one["runs"]) for one in listed["groups"]] == [
        (found.name, "stages", "done", ["sft", "grpo"])
    ]
    assert listed["runs"] == []
    assert isinstance(find(found.name), GroupDirectory)


@pytest.mark.parametrize("option", [["--dry-run"], ["--seeds", "2"], ["--curve", "0.5,1.0"]])
def test_options_of_single_recipes_are_refused(
    decoder_folder: Path, tmp_path: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["tune", two_stages(decoder_folder, tmp_path), *option]) == 2
    assert f"{option[0]}: is for a single recipe, and {tmp_path / 'two.yaml'} is a chain of them." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_is_wrong_with_a_later_stage_is_told_before_the_first_begins(
    decoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = two_stages(decoder_folder, tmp_path)
    for change, text in (
        ("grpo.objective.num_anwers=3", r'two: stages\.grpo: objective\.num_anwers: unknown option\. Did you mean "num_answers"\?'),
        ("grpo.model=stage:stf", r'stages\.grpo: stage:stf: stf is no stage\. Did you mean "sft"\?'),
        ("sft.model=stage:grpo", r"stages\.sft: stage:grpo: grpo comes no earlier\."),
    ):
        assert command(["tune", file, change]) == 2
        assert re.search(text, capsys.readouterr().err), change
        assert not (tmp_path / "out").exists()


def test_a_stage_that_cannot_begin_is_named_and_the_earlier_ones_stay(decoder_folder: Path, tmp_path: Path) -> None:
    chain: Chain = load_chain(two_stages(decoder_folder, tmp_path), ["grpo.data.train=stage:sft/rollouts.jsonl"])
    with pytest.raises(DataError, match=r"^grpo: .*sft/rollouts\.jsonl: no such file") as error:
        tune_chain(chain)
    assert "\n" not in str(error.value)
    directory = GroupDirectory(tmp_path / "out")
    assert directory.status == "failed"
    assert [run.status for run in directory.runs] == ["done"]


def test_a_first_stage_that_cannot_begin_leaves_nothing_behind(decoder_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^two: stages\.sft: .*nowhere\.jsonl"):
        tune_chain(load_chain(two_stages(decoder_folder, tmp_path), ["sft.data.train=nowhere.jsonl"]))
    assert not (tmp_path / "out").exists()
