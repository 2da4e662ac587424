"""The recipes of GLUE's and SuperGLUE's tasks: each resolves, reports the official metrics first, and runs on the authors' files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.sources.test_superglue import SHIPPED
from tests.data.sources.test_superglue import shipped as superglue_file
from tests.real_data import real_data
from tunesmith.app.compare_runs import compare_runs
from tunesmith.app.group import tune_seeds
from tunesmith.app.predictions import read_predictions, stats_of
from tunesmith.app.scoring import score_runs
from tunesmith.app.tune import tune
from tunesmith.core import registry
from tunesmith.core.errors import RecipeError
from tunesmith.evaluation.benchmarks import BENCHMARKS
from tunesmith.recipe import Recipe, from_mapping, load

RECIPES = [(f"{benchmark}-{task}", benchmark, task) for benchmark, found in BENCHMARKS.items() for task in found.tasks]


@pytest.mark.parametrize(("recipe", "benchmark", "task"), RECIPES)
def test_it_measures_the_official_metrics_on_the_labelled_part_and_selects_by_one(recipe: str, benchmark: str, task: str) -> None:
    loaded, official = load(recipe), BENCHMARKS[benchmark].tasks[task]
    assert loaded.data.train == {benchmark: task, "folder": None}
    assert loaded.data.test == {benchmark: f"{task}:validation", "folder": None}
    assert [spec.name for spec in loaded.evaluate.metrics or ()] == list(official.metrics)
    assert loaded.train.select_by in official.metrics
    mismatched = {"mismatched": {benchmark: f"{task}:validation_mismatched", "folder": None}} if official.mismatched else {}
    assert {name: domain.source for name, domain in loaded.evaluate.domains.items()} == mismatched


@pytest.mark.parametrize(("recipe", "benchmark", "task"), RECIPES)
def test_one_key_names_the_folder_of_every_source(recipe: str, benchmark: str, task: str) -> None:
    loaded = load(recipe, ["data.folder=here"])
    sources: list[Any] = [loaded.data.train, loaded.data.test, *(domain.source for domain in loaded.evaluate.domains.values())]
    assert {source["folder"] for source in sources} == {"here"}
    assert loaded.data.folder is None


def test_a_folder_that_no_source_takes_is_refused() -> None:
    with pytest.raises(
        RecipeError, match=r"command line: data\.folder: is for the files of a benchmark, and no source here is a task of one"
    ):
        load("reviews", ["data.folder=here"])


def test_a_metric_of_one_of_two_classes_is_refused_where_there_are_more(encoder_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("text,label\n" + "".join(f"the cat {n},{'abc'[n % 3]}\n" for n in range(60)))
    for section in ({"evaluate": {"metrics": ["f1"]}}, {"train": {"select_by": "f1"}}):
        recipe = from_mapping({"model": str(encoder_folder), "data": str(file), **section}, name="a")
        with pytest.raises(RecipeError, match=r"f1 is of two classes; the data has 3: a, b, c\. Use macro_f1"):
            tune(recipe)


def rows_of(task: str, count: int) -> list[dict[str, Any]]:
    """Rows laid out as the authors', of texts that differ, some of each class."""
    _, row = SHIPPED[task]
    made = []
    for number in range(count):
        one: dict[str, Any] = {**row, "idx": number}
        if task == "multirc":
            one["passage"] = {**row["passage"], "text": f"the cat {number}"}
        else:
            one |= {"premise": f"the cat {number}", "label": number % 2}
        made.append(one)
    return made


@pytest.mark.parametrize(("task", "metrics"), [("multirc", ["f1", "question_exact_match"]), ("copa", ["choice_accuracy"])])
def test_questions_whose_answers_are_rows_are_measured_as_questions(
    task: str, metrics: list[str], encoder_folder: Path, tmp_path: Path
) -> None:
    for part, count in (("train", 30), ("val", 10)):
        superglue_file(tmp_path, task, *rows_of(task, count), part=part)
    run = tune(
        load(
            f"superglue-{task}",
            [f"data.folder={tmp_path}", f"model={encoder_folder}", "train.max_steps=2", f"output_dir={tmp_path / 'out'}"],
        )
    )
    report = run.report
    assert list(report["metrics"]) == metrics
    num_rows, num_questions = report["data"]["splits"]["test"]["rows"], report["metrics"][metrics[-1]]["rows"]
    assert (num_rows, num_questions) == ((30, 20) if task == "multirc" else (20, 10))
    assert report["metrics"][metrics[-1]]["difference"]["test"] == ("paired bootstrap" if task == "multirc" else "mcnemar")
    assert set(metrics) <= set(report["curves"]["validation"][0])
    lines = read_predictions(run.directory)
    for name in metrics:
        kept = stats_of(lines, name)
        value = registry.create("metric", name).value(np.array(kept["tuned"]))
        assert (len(kept["row"]), value) == (report["metrics"][name]["rows"], pytest.approx(report["metrics"][name]["tuned"]["value"]))


@pytest.fixture
def choices(encoder_folder: Path, tmp_path: Path) -> Recipe:
    for part, count in (("train", 30), ("val", 10)):
        superglue_file(tmp_path, "copa", *rows_of("copa", count), part=part)
    options = (f"data.folder={tmp_path}", f"model={encoder_folder}", "train.max_steps=2", f"output_dir={tmp_path / 'out'}")
    return load("superglue-copa", options)


def test_questions_are_the_units_of_several_seeds(choices: Recipe) -> None:
    entry = tune_seeds(choices, 2).report["metrics"]["choice_accuracy"]
    assert entry["rows"] == 10
    assert entry["tuned"]["value"] == pytest.approx(sum(entry["values"]) / 2)


def test_questions_are_the_units_of_two_runs_side_by_side(choices: Recipe, tmp_path: Path) -> None:
    runs = [tune(choices.model_copy(update={"seed": seed, "output_dir": str(tmp_path / f"{seed}")})) for seed in (0, 1)]
    found = compare_runs([run.directory for run in runs], num_rows=100)
    (entry,) = found["comparisons"]
    values = [run.report["metrics"]["choice_accuracy"]["tuned"]["value"] for run in runs]
    assert (entry["rows"], entry["differences"][0]["test"]) == ([10, 10], "mcnemar")
    assert entry["differences"][0]["value"] == pytest.approx(values[1] - values[0])
    said = [[line["tuned"]["label"] for line in read_predictions(run.directory)] for run in runs]
    assert found["num_differing"] == sum(one != other for one, other in zip(*said, strict=True))


def test_record_is_answered_by_a_piece_of_its_passage(encoder_folder: Path, tmp_path: Path) -> None:
    _, row = SHIPPED["record"]
    for part, count in (("train", 30), ("val", 10)):
        rows = [
            {
                **row,
                "idx": number,
                "passage": {"text": f"the cat is good {part} {number}", "entities": []},
                "qas": [{"query": "@placeholder is", "answers": [{"start": 4, "end": 6, "text": "cat"}], "idx": number}],
            }
            for number in range(count)
        ]
        superglue_file(tmp_path, "record", *rows, part=part)
    report = tune(
        load(
            "superglue-record",
            [f"data.folder={tmp_path}", f"model={encoder_folder}", "train.max_steps=2", f"output_dir={tmp_path / 'out'}"],
        )
    ).report
    assert {name: entry["rows"] for name, entry in report["metrics"].items()} == {"squad_f1": 10, "squad_exact_match": 10}


def test_mnli_is_measured_on_both_parts_and_scored_by_their_mean(encoder_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "MNLI"
    folder.mkdir()
    for part, count in (("train", 60), ("dev_matched", 12), ("dev_mismatched", 9)):
        rows = [f"the cat {part} {n}\tthe dog {n}\t{('entailment', 'neutral', 'contradiction')[n % 3]}" for n in range(count)]
        (folder / f"{part}.tsv").write_text("\n".join(["sentence1\tsentence2\tgold_label", *rows]) + "\n")
    run = tune(
        load("glue-mnli", [f"data.folder={tmp_path}", f"model={encoder_folder}", "train.max_steps=2", f"output_dir={tmp_path / 'out'}"])
    )
    found = score_runs([str(run.path)])["tasks"]["mnli"]
    assert {name: entry["rows"] for name, entry in found["metrics"].items()} == {"accuracy": 12, "mismatched accuracy": 9}
    assert found["score"]["tuned"]["value"] == pytest.approx(
        (run.report["metrics"]["accuracy"]["tuned"]["value"] + run.report["domains"]["mismatched"]["metrics"]["accuracy"]["tuned"]["value"])
        / 2
    )


@pytest.mark.slow
@pytest.mark.embedded
@pytest.mark.parametrize(
    ("recipe", "folder", "least"),
    [("glue-sst2", "sst2_glue", 0.83), ("glue-mrpc", "glue_mrpc", 0.74), ("glue-rte", "glue_rte", 0.51), ("glue-stsb", "glue_stsb", 0.79)],
)
def test_minilm_learns_the_task_from_the_published_files(recipe: str, folder: str, least: float, tmp_path: Path) -> None:
    _, _, task = recipe.partition("-")
    files = real_data(folder)
    report = tune(load(recipe, [f"data.folder={files}", f"data.test.glue={task}:test", f"output_dir={tmp_path / 'out'}"])).report
    first = next(iter(report["metrics"]))
    assert first == BENCHMARKS["glue"].tasks[task].metrics[0]
    assert registry.create("metric", first).higher_is_better
    assert report["metrics"][first]["tuned"]["value"] > least
