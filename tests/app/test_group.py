"""Several runs of one recipe: seeds, and learning curves by data size, on tiny models."""

import json
import shutil
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_recipes import classifier, stop_at, writer

import tunesmith
from tunesmith.app.group import Group, resume_group, tune_curve, tune_seeds
from tunesmith.app.group_document import build_group_document
from tunesmith.core.errors import DataError, Interrupted, RunError, UsageError
from tunesmith.core.events import Event, Notice, Stage, Stepped
from tunesmith.core.run import GroupDirectory, RunDirectory
from tunesmith.recipe import Recipe, load

FEW = {"epochs": 2, "learning_rate": 2e-3, "examples_per_step": 8}  # so few that seeds differ


@pytest.fixture(scope="module")
def seeds(cache: None, encoder_folder: Path, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Group, list[Event]]:
    """Three seeds from 5 on, and what was told meanwhile."""
    events = list[Event]()
    recipe = classifier(encoder_folder, reviews, tmp_path_factory.mktemp("groups") / "seeds", train=FEW, seed=5)
    return tune_seeds(recipe, 3, progress=events.append), events


@pytest.fixture(scope="module")
def curve(cache: None, encoder_folder: Path, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Group:
    recipe = classifier(encoder_folder, reviews, tmp_path_factory.mktemp("groups") / "curve", train={**FEW, "early_stopping_patience": 1})
    return tune_curve(recipe, [1.0, 0.2, 0.5])


def _lines(run: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.directory.predictions.read_text(encoding="utf-8").splitlines()]


def test_every_seed_trains_on_the_same_rows_and_otherwise(seeds: tuple[Group, list[Event]]) -> None:
    runs = seeds[0].runs
    assert [(run.id, load(run.directory.recipe).seed) for run in runs] == [("seed-5", 5), ("seed-6", 6), ("seed-7", 7)]
    assert len({run.directory.data.read_text(encoding="utf-8") for run in runs}) == 1
    assert len({tuple(line["row"] for line in _lines(run)) for run in runs}) == 1
    assert len({run.report["curves"]["train"][0]["loss"] for run in runs}) == 3


def test_the_base_is_asked_once(seeds: tuple[Group, list[Event]], tmp_path: Path) -> None:
    group, events = seeds
    cached = [event for event in events if isinstance(event, Notice) and "answers come from the cache" in event.text]
    assert len(cached) >= 2
    assert len({run.report["metrics"]["accuracy"]["base"]["value"] for run in group.runs}) == 1


def test_mean_and_spread_are_those_of_the_runs(seeds: tuple[Group, list[Event]]) -> None:
    group = seeds[0]
    assert set(group.report["metrics"]) == set(group.runs[0].report["metrics"])
    for name, entry in group.report["metrics"].items():
        values = [run.report["metrics"][name]["tuned"]["value"] for run in group.runs]
        assert entry["values"] == values
        assert (entry["min"], entry["max"]) == (min(values), max(values))
        assert entry["tuned"]["value"] == pytest.approx(np.mean(values))
        assert entry["sd"] == pytest.approx(np.std(values, ddof=1))
        assert entry["difference"]["value"] == pytest.approx(np.mean(values) - entry["base"]["value"])
        assert entry["tuned"]["low"] < entry["tuned"]["value"] < entry["tuned"]["high"]


def test_the_weights_are_chosen_by_validation_alone(seeds: tuple[Group, list[Event]], tmp_path: Path) -> None:
    folder = shutil.copytree(seeds[0].path, tmp_path / "copy")
    directory = GroupDirectory(folder)
    for run, validation, loss, test in zip(directory.members, (0.7, 0.8, 0.8), (0.1, 0.5, 0.4), (1.0, 0.9, 0.1), strict=True):
        report = run.read_json(run.report_json)
        report["curves"]["best"]["value"] = validation
        next(one for one in report["curves"]["validation"] if one["step"] == report["curves"]["best"]["step"])["loss"] = loss
        report["metrics"]["accuracy"]["tuned"]["value"] = test
        run.report_json.write_text(json.dumps(report), encoding="utf-8")
    choice = build_group_document(directory, load(directory.recipe))["choice"]
    assert (choice["run"], choice["metric"], choice["value"], choice["by"]) == ("seed-7", "accuracy", 0.8, "validation")


def test_without_a_validation_split_none_is_chosen(encoder_folder: Path, reviews: Path, tmp_path: Path) -> None:
    recipe = classifier(encoder_folder, reviews, tmp_path / "out", train={"max_steps": 1})
    data = recipe.data.model_copy(update={"split": recipe.data.split.model_copy(update={"validation": 0.0})})
    group = tune_seeds(recipe.model_copy(update={"data": data}), 2)
    assert group.report["choice"] is None


def _interrupted_in(number: int, step: int) -> Callable[[Event], None]:
    """A listener that interrupts the run of that number at a step."""
    begun, stop = list[str](), stop_at(step)

    def listener(event: Event) -> None:
        if isinstance(event, Stage) and event.name == "run":
            begun.append(event.detail)
        if len(begun) == number:
            stop(event)

    return listener


def test_an_interrupted_group_goes_on_by_the_same_call_and_by_resume(
    seeds: tuple[Group, list[Event]], encoder_folder: Path, reviews: Path, tmp_path: Path
) -> None:
    recipe = classifier(encoder_folder, reviews, tmp_path / "out", train=FEW, seed=5)
    with pytest.raises(
        Interrupted, match=rf"interrupted in seed-6; 1 of 3 runs are done.* Go on with: tunesmith runs resume {tmp_path}/out$"
    ):
        tune_seeds(recipe, 3, progress=_interrupted_in(2, 6))
    assert GroupDirectory(tmp_path / "out").status == "interrupted"
    with pytest.raises(RunError, match="did not get that far"):
        _ = Group(GroupDirectory(tmp_path / "out")).report
    first = (tmp_path / "out" / "seed-5" / "report.json").stat().st_mtime_ns
    with pytest.raises(Interrupted, match="interrupted in seed-7; 2 of 3"):
        tune_seeds(recipe, 3, progress=_interrupted_in(2, 2))
    group = resume_group(GroupDirectory(tmp_path / "out"))
    assert (tmp_path / "out" / "seed-5" / "report.json").stat().st_mtime_ns == first
    assert group.report["metrics"] == seeds[0].report["metrics"]
    with pytest.raises(RunError, match="is finished"):
        resume_group(group.directory)


@pytest.mark.slow
def test_without_a_folder_the_same_call_finds_what_was_interrupted(
    encoder_folder: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = classifier(encoder_folder, reviews, tmp_path, train={"max_steps": 2}).model_copy(update={"output_dir": None})
    with pytest.raises(Interrupted):
        tune_seeds(recipe, 2, progress=stop_at(1))
    other = recipe.model_copy(update={"seed": 9})
    begun = {path.name for path in (tmp_path / "runs").iterdir()}
    assert tune_seeds(other, 2).id not in begun  # another recipe
    assert tune_seeds(recipe, 2).id in begun
    assert tune_seeds(recipe, 2).id not in begun  # that one is finished


def test_a_curve_trains_on_nested_parts_and_judges_on_the_same_rows(curve: Group) -> None:
    runs = curve.runs
    assert [run.id for run in runs] == ["part-0.2", "part-0.5", "part-1.0"]
    rows = [run["train_rows"] for run in curve.report["runs"]]
    labels = [run.report["data"]["splits"]["train"]["labels"] for run in runs]
    assert rows[0] < rows[1] < rows[2] == 67
    assert all(abs(of["positive"] - of["negative"]) <= 1 for of in labels)
    assert len({tuple(line["row"] for line in _lines(run)) for run in runs}) == 1
    assert [run["steps"] for run in curve.report["runs"]] <= [-(-2 * n // 8) for n in rows]  # of so many epochs, unless stopped early


def test_the_steps_of_a_curve_are_paired_differences(curve: Group) -> None:
    entry = curve.report["metrics"]["accuracy"]
    values = [run.report["metrics"]["accuracy"]["tuned"] for run in curve.runs]
    assert entry["values"] == values
    assert [step["value"] for step in entry["steps"]] == pytest.approx([b["value"] - a["value"] for a, b in pairwise(values)])
    assert entry["whole"]["value"] == pytest.approx(values[-1]["value"] - values[0]["value"])
    assert entry["steps"][0]["test"] == "mcnemar"
    assert entry["trend"] in ("helps", "helped", "flat", "harms")
    assert all(run["best"]["step"] <= run["steps"] for run in curve.report["runs"])


def test_a_language_model_has_a_curve_of_its_likelihood(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    group = tune_curve(writer(decoder_folder, pairs_csv, tmp_path / "out"), [0.1, 1.0])
    entry = group.report["metrics"]["bits_per_byte"]
    assert entry["trend"] == "helps"
    assert entry["per_doubling"]["high"] < 0
    assert "bits per byte" in group.directory.report_html.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda recipe: tune_seeds(recipe, 0), UsageError, "seeds: found 0, expected a whole number of at least 2"),
        (lambda recipe: tune_seeds(recipe, True), UsageError, "seeds: found True"),
        (lambda recipe: tune_seeds(recipe.model_copy(update={"seed": 2**32 - 1}), 2), UsageError, "go beyond 4294967295"),
        (lambda recipe: tune_curve(recipe, [0.5, 2.0]), UsageError, "curve: found 2.0, expected parts of the training rows, above 0 and at most 1"),
        (lambda recipe: tune_curve(recipe, [1.0]), UsageError, "expected two or more different parts"),
        (lambda recipe: tune_curve(recipe, [0.5, 0.5, 1.0]), UsageError, "expected two or more different parts"),
        (lambda recipe: tune_curve(recipe, [0.001, 1.0]), DataError, "0.001 of 67 training rows holds none of the"),
        (lambda recipe: tune_curve(recipe, [0.5, 0.501]), UsageError, "are the same .* rows. Name parts that lie further apart"),
        (lambda recipe: tune_seeds(recipe.model_copy(update={"data": recipe.data.model_copy(update={"columns": {"text": "nothing"}})}), 2), DataError, "nothing"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_and_leaves_nothing(
    call: Callable[[Recipe], Any], error: type[Exception], message: str, encoder_folder: Path, reviews: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message) as raised:
        call(classifier(encoder_folder, reviews, tmp_path / "out"))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_curve_sets_the_part_itself(encoder_folder: Path, reviews: Path, tmp_path: Path) -> None:
    recipe = classifier(encoder_folder, reviews, tmp_path / "out")
    half = recipe.model_copy(update={"data": recipe.data.model_copy(update={"train_fraction": 0.5})})
    with pytest.raises(UsageError, match="stands beside data.train_fraction"):
        tune_curve(half, [0.1, 1.0])


def test_a_run_that_is_removed_meanwhile_is_said_and_trained_again(encoder_folder: Path, reviews: Path, tmp_path: Path) -> None:
    recipe = classifier(encoder_folder, reviews, tmp_path / "out", train={"max_steps": 2})

    def at_second(event: Event) -> None:
        if isinstance(event, Stage) and event.detail == "seed-1 (2 of 2)":
            shutil.rmtree(tmp_path / "out" / "seed-0")

    with pytest.raises(RunError, match=r"seed-0: was removed, or is not finished. `tunesmith runs resume .*out` trains it"):
        tune_seeds(recipe, 2, progress=at_second)
    assert len(resume_group(GroupDirectory(tmp_path / "out")).report["runs"]) == 2


def test_a_run_that_is_removed_under_way_ends_in_one_line(encoder_folder: Path, reviews: Path, tmp_path: Path) -> None:
    recipe = classifier(encoder_folder, reviews, tmp_path / "out", train=FEW)

    def at_third_step(event: Event) -> None:
        if isinstance(event, Stepped) and event.step.index == 3:
            shutil.rmtree(tmp_path / "out" / "seed-0")

    with pytest.raises(RunError, match="was removed while it was being worked on"):
        tune_seeds(recipe, 2, progress=at_third_step)


def test_another_data_set_under_the_same_name_is_not_mixed_in(encoder_folder: Path, reviews: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(reviews, tmp_path / "mine.csv"))
    recipe = classifier(encoder_folder, file, tmp_path / "out", train={"max_steps": 2})

    def at_second(event: Event) -> None:
        if isinstance(event, Stage) and event.detail == "seed-1 (2 of 2)":
            file.write_text(file.read_text(encoding="utf-8").replace("cat", "film film"), encoding="utf-8")

    with pytest.raises(RunError, match="was judged on other test rows than seed-0: the data changed meanwhile"):
        tune_seeds(recipe, 2, progress=at_second)


def test_python_has_both(encoder_folder: Path, reviews: Path, tmp_path: Path) -> None:
    columns: Any = {"train": str(reviews), "columns": {"text": "review", "label": "sentiment"}}

    def call(**options: Any) -> Group:
        made: Group = tunesmith.tune(model=str(encoder_folder), data=columns, train={"max_steps": 1}, **options)
        return made

    group = call(seeds=2, output_dir=str(tmp_path / "seeds"))
    assert [run.id for run in group.runs] == ["seed-0", "seed-1"]
    assert tunesmith.Group(tmp_path / "seeds").report == group.report
    assert call(curve=(0.5, 1.0), output_dir=str(tmp_path / "curve")).report["schema"] == "tunesmith/curve/1"
    with pytest.raises(UsageError, match="stand beside each other"):
        call(seeds=2, curve=(0.5, 1.0))
    with pytest.raises(RunError, match="is a single run"):
        tunesmith.Group(group.runs[0].path)


def test_a_group_is_no_run_and_its_runs_are(seeds: tuple[Group, list[Event]]) -> None:
    group = seeds[0]
    with pytest.raises(RunError, match=r"is a group of runs. Name one of them: .*seed-5, .*seed-6, .*seed-7"):
        tunesmith.Run(group.path)
    run = tunesmith.Run(group.path / "seed-6")
    assert isinstance(run.directory, RunDirectory)
    answers: Sequence[Any] = run.predict(["the cat is good"])
    assert len(answers) == 1
