"""A run that is stopped, from inside or outside: what is kept, and how it goes on."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_recipes import classifier, stop_at

from tunesmith.app.tune import resume, tune
from tunesmith.core.errors import Interrupted, RunError
from tunesmith.core.events import Event, Stage
from tunesmith.core.run import RunDirectory


def test_an_interrupted_run_resumes_to_the_report_of_a_whole_one(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    whole = tune(classifier(encoder_folder, reviews_csv, tmp_path / "whole"))
    with pytest.raises(Interrupted, match="tunesmith runs resume") as error:
        tune(classifier(encoder_folder, reviews_csv, tmp_path / "cut"), progress=stop_at(20))
    assert error.value.exit_code == 130
    directory = RunDirectory(tmp_path / "cut")
    assert directory.status == "interrupted"
    first_sitting = directory.seconds
    resumed = resume(tmp_path / "cut")
    assert first_sitting > 0
    assert resumed.report["cost"]["total_seconds"] > first_sitting + resumed.report["curves"]["train"][-1]["seconds"]
    assert resumed.directory.status == "done"
    for part in ("metrics", "confusion", "changed"):
        assert resumed.report[part] == whole.report[part], part
    assert [e["loss"] for e in resumed.report["curves"]["train"]] == [e["loss"] for e in whole.report["curves"]["train"]]


def test_a_run_interrupted_before_its_first_step_resumes_too(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    def at_base(event: Event) -> None:
        if isinstance(event, Stage) and event.name == "base":
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        tune(classifier(encoder_folder, reviews_csv, tmp_path / "cut"), progress=at_base)
    assert resume(tmp_path / "cut").report["metrics"]["accuracy"]["tuned"]["value"] > 0.9


def test_a_run_whose_data_changed_is_not_resumed(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        tune(classifier(encoder_folder, reviews_csv, tmp_path / "cut"), progress=stop_at(3))
    reviews_csv.write_text(reviews_csv.read_text() + "the film is film film film good,positive\n")
    with pytest.raises(RunError, match="changed since it was begun"):
        resume(tmp_path / "cut")


def test_a_finished_run_is_not_resumed(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"max_steps": 1}))
    with pytest.raises(RunError, match="is finished"):
        resume(run.path)


def test_a_signal_to_the_command_saves_and_exits_with_130(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    """The command as a person runs it, stopped from outside."""
    recipe = tmp_path / "r.yaml"
    from tunesmith.recipe import dump

    recipe.write_text(dump(classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"epochs": 4000, "learning_rate": 1e-4})))
    process = subprocess.Popen([sys.executable, "-m", "tunesmith", "tune", str(recipe)], stderr=subprocess.PIPE, text=True)
    steps = tmp_path / "out" / "steps.jsonl"
    import time

    for _ in range(600):
        if steps.exists() and steps.stat().st_size > 2000:
            break
        time.sleep(0.1)
    started = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert time.perf_counter() - started < 10
    assert process.returncode == 130
    assert "everything so far is saved. Go on with: tunesmith runs resume" in errors
    assert "Traceback" not in errors
    assert any((tmp_path / "out" / "checkpoints").glob("step-*"))


def test_a_run_can_be_used_from_another_folder(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    shutil.copytree(encoder_folder, here / "model")
    shutil.copy(reviews_csv, here / "data.csv")
    monkeypatch.chdir(here)
    recipe = classifier(Path("model"), Path("data.csv"), Path("out"), train={"epochs": 2, "learning_rate": 5e-3, "examples_per_step": 8})
    with pytest.raises(Interrupted):
        tune(recipe, progress=stop_at(3))
    monkeypatch.chdir(there)
    run = resume(here / "out")
    assert len(run.predict(["the cat is good"])) == 1


def test_other_weights_under_the_same_name_are_not_resumed(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    import shutil

    import transformers

    shutil.copytree(encoder_folder, tmp_path / "model")
    with pytest.raises(Interrupted):
        tune(classifier(tmp_path / "model", reviews_csv, tmp_path / "cut"), progress=stop_at(3))
    torch.manual_seed(99)
    transformers.BertModel(transformers.AutoConfig.from_pretrained(encoder_folder)).save_pretrained(tmp_path / "model")
    with pytest.raises(RunError, match="its data or its model changed"):
        resume(tmp_path / "cut")


def test_a_signal_inside_a_librarys_own_except_still_stops_the_run(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunesmith.app import placing as module

    probe = module.probe

    def swallowing(*args: Any) -> Any:
        with contextlib.suppress(Exception):  # as libraries do
            os.kill(os.getpid(), signal.SIGINT)
        return probe(*args)

    monkeypatch.setattr(module, "probe", swallowing)
    with pytest.raises(Interrupted):
        tune(classifier(encoder_folder, reviews_csv, tmp_path / "out"))
