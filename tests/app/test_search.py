"""The settings of arms searched by successive halving, on tiny models, and what the comparison says of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_recipes import classifier, stop_at, writer

from tunesmith.app import search as searching
from tunesmith.app.compare import compare
from tunesmith.app.group import Group
from tunesmith.app.outlook import cannot_win, outlook
from tunesmith.app.search import load_search, num_rounds, settings_of
from tunesmith.app.validated import Validated, load_validated, value_of
from tunesmith.core.errors import Diverged, Interrupted, RecipeError
from tunesmith.recipe import Recipe, dump, from_mapping, load
from tunesmith.recipe.text import parse_yaml
from tunesmith.report.comparison import comparison_reason
from tunesmith.report.comparison_page import comparison_page
from tunesmith.report.searched import outlook_sentences, read_tried

QUICK = {"epochs": 2, "learning_rate": 1e-2, "examples_per_step": 4}
LORA = ["method=lora"]
WITH_A_RATE = ["method=lora", "train.learning_rate=1e-3"]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 reviews that a word decides."""
    file = tmp_path_factory.mktemp("many") / "reviews.csv"
    lines = [
        f"the cat is {'very ' * (n % 20)}{'on ' * (n // 20)}{word},{label}"
        for n in range(120)
        for word, label in (("good", "positive"), ("bad", "negative"))
    ]
    file.write_text("review,sentiment\n" + "\n".join(lines) + "\n")
    return file


def searched(model: Path, data: Path, out: Path, **changes: Any) -> Recipe:
    recipe = classifier(model, data, out, **{"arms": ["majority", "base", "head", "full"], "train": QUICK, **changes})
    return from_mapping(parse_yaml(dump(recipe), "tiny"), name="tiny", overrides=["data.split.validation=30", "data.split.test=30"])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, cache: None, encoder_folder: Path, many: Path) -> Group:
    folder = tmp_path_factory.mktemp("searched") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunesmith.app.retention_sets.GENERAL", ())
        return compare(searched(encoder_folder, many, folder))


def test_a_third_once_and_three_times_the_arms_own_rate_are_tried(encoder_folder: Path, many: Path, tmp_path: Path) -> None:
    recipe = searched(encoder_folder, many, tmp_path / "out")
    assert settings_of(recipe, "lora", LORA) == [(f"train.learning_rate={rate}",) for rate in ("0.00333", "0.01", "0.03")]
    assert settings_of(recipe, "lora", WITH_A_RATE) == []  # what the arm names stays
    assert num_rounds(recipe, "lora", LORA) == 1
    off = recipe.model_copy(update={"search": "none"})
    assert (settings_of(off, "lora", LORA), num_rounds(off, "lora", LORA)) == ([], 0)


def test_named_settings_are_tried_each_with_each_for_the_arms_that_have_them(encoder_folder: Path, many: Path, tmp_path: Path) -> None:
    recipe = searched(encoder_folder, many, tmp_path / "out", search={"train.learning_rate": [0.001, 0.01], "method.r": [2, 4]})
    assert settings_of(recipe, "lora", LORA) == [(f"train.learning_rate={rate}", f"method.r={r}") for rate in (0.001, 0.01) for r in (2, 4)]
    assert settings_of(recipe, "head", ["method=head"]) == [("train.learning_rate=0.001",), ("train.learning_rate=0.01",)]
    assert settings_of(recipe, "lora", [*LORA, "method.r=2"]) == [("train.learning_rate=0.001",), ("train.learning_rate=0.01",)]
    wrong = searched(encoder_folder, many, tmp_path / "out", search={"train.learning_rate": [0.1, -1]})
    with pytest.raises(RecipeError, match=r"arms.lora: train.learning_rate: "):
        settings_of(wrong, "lora", LORA)
    with pytest.raises(RecipeError, match="expected values to try, found none of method.r"):
        searched(encoder_folder, many, tmp_path / "out", search={"method.r": []})


def test_nothing_is_searched_with_too_few_rows_or_where_nothing_is_trained(
    encoder_folder: Path, decoder_folder: Path, many: Path, reviews: Path, pairs_csv: Path, tmp_path: Path
) -> None:
    assert num_rounds(searched(encoder_folder, reviews, tmp_path / "out"), "lora", LORA) == 0
    short = searched(encoder_folder, many, tmp_path / "out", train={**QUICK, "max_steps": 20})
    assert num_rounds(short, "lora", LORA) == 0
    assert settings_of(writer(decoder_folder, pairs_csv, tmp_path / "out"), "few_shot", ["method=none", "context=few_shot"]) == []


def test_every_setting_is_tried_on_a_third_and_the_best_on_all_rows(done: Group) -> None:
    found, train_rows = done.report["search"], done.report["data"]["train_rows"]
    assert list(found) == ["head", "full"]
    for name, arm in found.items():
        on_a_third = [one for one in arm["tried"] if one["fraction"] == 0.3333]
        assert len(on_a_third) == 3
        assert all(abs(one["train_rows"] - train_rows / 3) <= 2 for one in on_a_third)
        best = min(on_a_third, key=lambda one: (-one["value"], one["loss"]))
        assert arm["changes"] == best["changes"]
        assert done.report["arms"][name]["changes"][-1:] == best["changes"]
        run = next(one for one in done.runs if one.id == f"arm-{name}")
        assert load(run.directory.recipe).train.learning_rate == float(best["changes"][0].partition("=")[2])
        assert arm["train_seconds"] > 0


def test_what_validation_said_is_kept_and_is_what_the_run_reports(done: Group) -> None:
    for one in done.runs:
        told = load_validated(one.directory.validation)
        assert told.value == one.report["curves"]["best"]["value"]
        assert value_of(load(one.directory.recipe), told.select_by)(told.units_nk) == told.value
        assert told.train_rows == one.report["data"]["splits"]["train"]["rows"]


def test_a_trial_leaves_what_it_was_told_and_nothing_else(done: Group) -> None:
    trials = sorted((done.path / "search" / "full").glob("*-*"))
    assert [[file.name for file in folder.iterdir()] for folder in trials] == [["validation.json"]] * len(trials)
    assert len(list((done.path / "search").rglob("predictions.jsonl"))) == 0  # no test row was asked


def test_a_search_that_was_interrupted_goes_on_with_its_trial(
    done: Group, encoder_folder: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = searched(encoder_folder, many, tmp_path / "out", arms=["base", "head"])
    with pytest.raises(Interrupted, match="interrupted in arm-head; 0 of 1 runs are done"):
        compare(recipe, progress=stop_at(5))
    assert not list((tmp_path / "out").rglob("validation.json"))
    tried, true_trial = list[str](), searching.trial

    def counted(*given: Any, **options: Any) -> Path:
        tried.append(str(given[1]))
        return true_trial(*given, **options)

    monkeypatch.setattr(searching, "trial", counted)
    again = compare(recipe)
    assert len(tried) == len(set(tried)) == sum(len(arm["tried"]) for arm in again.report["search"].values())
    assert again.report["search"]["head"]["changes"] == done.report["search"]["head"]["changes"]
    assert again.report["arms"]["head"]["metrics"] == done.report["arms"]["head"]["metrics"]


def test_a_setting_that_diverges_is_not_taken_and_all_that_do_fail_the_arm(
    encoder_folder: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_trial = searching.trial

    def diverging(recipe: Recipe, folder: Path, **options: Any) -> Path:
        if recipe.method.name == "full" or float(recipe.train.learning_rate) > 0.02:
            raise Diverged("the loss is nan")
        return true_trial(recipe, folder, **options)

    monkeypatch.setattr(searching, "trial", diverging)
    found = compare(searched(encoder_folder, many, tmp_path / "out")).report
    assert [one["loss"] for one in found["search"]["head"]["tried"] if one["changes"] == ["train.learning_rate=0.03"]] == [None]
    assert found["search"]["head"]["changes"] != ["train.learning_rate=0.03"]
    assert "every setting that was tried diverged: train.learning_rate=" in found["left_out"]["full"]
    assert any(one.values[-1] == "diverged" for one in read_tried(found)[1])


def told(right: int, rows: int, train_rows: int) -> Validated:
    return Validated("accuracy", right / rows, 1 - right / rows, [[1.0]] * right + [[0.0]] * (rows - right), train_rows, 1.0)


def test_only_a_budget_stops_an_arm_and_only_one_that_cannot_win(
    encoder_folder: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "cannot_win", lambda recipe, curve, name, leader: f"it can no longer win against {name}.")
    found = compare(searched(encoder_folder, many, tmp_path / "out", budget="1h")).report
    assert found["search"]["head"]["is_stopped"] is False  # the quickest comes first, and leads
    assert found["left_out"] == {"full": "it can no longer win against head."}
    assert found["search"]["full"]["is_stopped"] is True
    assert "full" not in found["arms"]
    assert "Left out: full (it can no longer win against head)." in found["verdict"]["reason"]
    kept = load_search(tmp_path / "out" / "search" / "full")
    assert kept is not None
    assert kept.cannot_win


def test_whether_an_arm_can_win_goes_by_its_gains_and_the_leader(encoder_folder: Path, many: Path, tmp_path: Path) -> None:
    recipe = searched(encoder_folder, many, tmp_path / "out")
    leader = told(180, 200, 900)
    said = cannot_win(recipe, [told(100, 200, 100), told(104, 200, 300)], "lora", leader)
    assert said.startswith(
        "it can no longer win: validation accuracy is 0.520 on 300 training rows, after 0.500 on 100, and that of lora is 0.900 on 900"
    )
    assert cannot_win(recipe, [told(100, 200, 100), told(160, 200, 300)], "lora", leader) == ""
    assert cannot_win(recipe, [told(50, 100, 100), told(52, 100, 300)], "lora", leader) == ""  # other rows: nothing can be said


def test_three_sizes_are_drawn_out_and_the_order_told(encoder_folder: Path, many: Path, tmp_path: Path) -> None:
    recipe = searched(encoder_folder, many, tmp_path / "out")
    slow, quick = (
        [told(right, 400, rows) for right, rows in zip(rights, (100, 300, 900), strict=True)]
        for rights in ((330, 336, 338), (240, 300, 336))
    )
    found = outlook(recipe, {"slow": slow, "quick": quick, "short": slow[1:]})
    assert found is not None
    assert list(found["arms"]) == ["slow", "quick"]
    assert found["arms"]["slow"]["at_rows"] == 2700
    assert found["arms"]["quick"]["expected"]["value"] > found["arms"]["slow"]["expected"]["value"]
    assert found["arms"]["quick"]["leads"] + found["arms"]["slow"]["leads"] == pytest.approx(1)
    [first, second] = outlook_sentences({"outlook": found})
    assert first.startswith("By the learning curves of the validation rows, 2,700 training rows would give accuracy quick ")
    assert "slow leads now, and quick would then." in second or "not certain (quick does in" in second
    assert outlook(recipe, {"short": slow[1:]}) is None
    few = [told(right, 19, rows) for right, rows in zip((10, 14, 16), (100, 300, 900), strict=True)]
    assert outlook(recipe, {"few": few}) is None
    assert list(outlook_sentences({"outlook": None})) == []


def test_losses_of_other_batches_are_not_held_against_each_other(encoder_folder: Path, many: Path, tmp_path: Path) -> None:
    recipe = searched(encoder_folder, many, tmp_path / "out")

    def of(sums: list[float], counts: list[float]) -> Validated:
        return Validated("loss", sum(sums) / sum(counts), 0.0, [list(pair) for pair in zip(sums, counts, strict=True)], 900, 1.0)

    leader = of([1.0] * 40, [4.0] * 40)
    assert value_of(recipe, "loss")(leader.units_nk) == 0.25
    far = [of([9.0] * 40, [4.0] * 40), of([8.9] * 40, [4.0] * 40)]
    assert "validation loss is 2.225" in cannot_win(recipe, far, "lora", leader)
    assert cannot_win(recipe, [of([9.0] * 40, [5.0] * 40)] * 2, "lora", leader) == ""


def test_validation_rows_of_a_few_batches_stop_nothing(encoder_folder: Path, many: Path, tmp_path: Path) -> None:
    recipe = searched(encoder_folder, many, tmp_path / "out")

    def of(loss: float, batches: int) -> Validated:
        return Validated("loss", loss, loss, [[loss, 1.0]] * batches, 900, 1.0)

    assert cannot_win(recipe, [of(3.0, 20), of(2.9, 20)], "lora", of(1.0, 20))
    for batches in (1, 2, 19):  # of one batch every resample is the same, which is no certainty
        assert cannot_win(recipe, [of(3.0, batches), of(2.9, batches)], "lora", of(1.0, batches)) == ""


def test_the_report_shows_what_was_tried_and_what_more_rows_would_give(done: Group) -> None:
    document = json.loads(json.dumps(done.report))
    curve = {
        "rows": [30, 90, 270],
        "values": [0.5, 0.6, 0.7],
        "at_rows": 810,
        "expected": {"value": 0.8, "low": 0.7, "high": 0.9},
        "leads": 1.0,
    }
    document["outlook"] = {"metric": "accuracy", "higher_is_better": True, "arms": {"full": curve}}
    assert "810 training rows would give accuracy full 0.80" in comparison_reason(document)
    page = comparison_page(document)
    assert "Settings that were tried" in page
    assert "validation accuracy by training rows" in page
    assert page.count("taken</span>") == 2
