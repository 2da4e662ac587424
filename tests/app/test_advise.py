"""Advice before anything runs, on tiny models: what applies, what it would take, where a reason comes from, and a recipe that runs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_recipes import classifier, writer

from tunesmith.app import advise as advising
from tunesmith.app import probe as probing
from tunesmith.app.advise import advise, recommended, short
from tunesmith.app.compare import compare
from tunesmith.app.predicting import predicted_seconds
from tunesmith.app.tune import plan, tune
from tunesmith.app.work import _largest_step
from tunesmith.core.errors import UsageError
from tunesmith.recipe import dump, from_mapping, load, parse, shipped_recipes

QUICK = {"epochs": 1, "learning_rate": 1e-2, "examples_per_step": 8}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without earlier runs."""
    monkeypatch.chdir(tmp_path)


def test_every_arm_has_predictions_and_each_reason_a_source(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    found = advise(classifier(encoder_folder, reviews_csv, tmp_path / "out", train=QUICK), want="behaviour")
    assert (found["schema"], found["want"], found["assumed"]) == ("tunesmith/advise/1", "behaviour", False)
    assert {"majority", "base", "head", "bitfit", "lora", "full", "qlora"} <= found["arms"].keys()
    for name, arm in found["arms"].items():
        assert arm["total_seconds"] >= arm["train_seconds"] >= 0, name
        assert arm["fits"] is True, name
        assert all(reason["source"] and reason["address"] and reason["weight"] in (-1, 0, 1) for reason in arm["reasons"]), name
    full, lora, head = (found["arms"][name] for name in ("full", "lora", "head"))
    assert full["disk_bytes"] > lora["disk_bytes"] > head["disk_bytes"] > 0
    assert "does not go on with a text" in found["left_out"]["few_shot"]
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "out").exists()


def test_the_recipe_that_is_printed_runs_as_it_is_and_its_predictions_are_shown(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    found = advise(classifier(encoder_folder, reviews_csv, tmp_path / "out", train=QUICK), want="behaviour")
    assert found["recommended"][:2] == ["majority", "base"]
    made = parse(found["recipe"], name="printed")
    assert list(made.arms or {}) == found["recommended"]
    assert (made.train.epochs, made.train.examples_per_step, made.method.name) == (1, 8, "lora")
    two = made.model_copy(update={"arms": {"base": None, "head": None, "lora": None}, "output_dir": str(tmp_path / "compared")})
    group = compare(two)
    for name in ("head", "lora"):
        predicted = group.report["arms"][name]["predicted"]
        assert predicted["total_seconds"] > predicted["train_seconds"] > 0
        assert predicted["peak_memory_bytes"] > 10**8  # this process alone
    page = group.directory.report_html.read_text(encoding="utf-8")
    assert page.count('id="predicted"') == 1
    assert page.count("<td>peak memory</td>") == 2


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_without_what_is_so_anyway_says_the_same(name: str) -> None:
    recipe = load(name)
    assert parse(short(recipe), name=recipe.name) == recipe
    assert len(short(recipe)) < len(dump(recipe))


def test_what_an_earlier_comparison_measured_stands_beside_the_rules(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    recipe = classifier(encoder_folder, reviews_csv, tmp_path / "out", train=QUICK)
    arms = {"base": None, "head": None}
    group = compare(recipe.model_copy(update={"arms": arms, "output_dir": str(tmp_path / "runs" / "earlier")}))
    reasons = advise(recipe)["arms"]["head"]["reasons"]
    (measured,) = [reason for reason in reasons if reason["source"] == "measured: earlier"]
    assert measured["address"] == str(Path("runs") / "earlier")
    best = "head" in group.report["verdict"]["best"]
    assert measured["weight"] == (1 if best else -1)
    assert ("could not be told from the best arm" if best else "was certainly worse than base") in measured["text"]
    (tmp_path / "runs" / "earlier" / "group.json").write_text("{", encoding="utf-8")
    assert not any(reason["source"].startswith("measured") for reason in advise(recipe)["arms"]["head"]["reasons"])


def test_what_was_probed_once_is_not_probed_again(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = classifier(encoder_folder, reviews_csv, tmp_path / "out", train=QUICK)
    first = advise(recipe)
    assert first["assumed"] is True
    monkeypatch.setattr(probing, "_probe", lambda *_, **__: pytest.fail("probed again"))
    again = advise(recipe)
    assert again["probe"]["seconds_per_token"] == first["probe"]["seconds_per_token"]
    assert all(again["arms"][name]["total_seconds"] == arm["total_seconds"] for name, arm in first["arms"].items())
    other = recipe.model_copy(update={"engine": recipe.engine.model_copy(update={"micro_batch_tokens": 512})})
    found = advise(other, probes=False)
    assert found["probe"] is None
    assert {arm["total_seconds"] for name, arm in found["arms"].items() if name != "majority"} == {None}
    assert {arm["fits"] for name, arm in found["arms"].items() if name != "majority"} == {None}
    with pytest.raises(pytest.fail.Exception, match="probed again"):
        plan(other, probes=lambda event: None)


def test_a_writer_is_shown_examples_and_its_answers_take_time(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    found = advise(writer(decoder_folder, pairs_csv, tmp_path / "out", train=QUICK), want="changing-facts")
    assert {"few_shot", "zero_shot", "full", "lora", "prompt"} <= found["arms"].keys()
    assert found["probe"]["seconds_per_token"].keys() == {"read", "write", "full", "adapter"}
    assert "trains only a new head" in found["left_out"]["head"]
    assert "context.documents" in found["left_out"]["retrieval"]
    assert "majority" not in found["arms"]
    assert not {"lora", "full"} & set(found["recommended"])
    assert len(found["recommended"]) == 2  # nothing is worth trying without an index: the quickest that fits beside the base
    few, zero = found["arms"]["few_shot"], found["arms"]["zero_shot"]
    assert few["total_seconds"] > zero["total_seconds"] > 0


def test_a_prediction_is_corrected_by_what_arms_before_took() -> None:
    planned: Any = SimpleNamespace(total_seconds=10.0, train_seconds=7.0)
    assert predicted_seconds(planned, []) == 10.0
    slow = {"cost": {"total_seconds": 30.0, "train_seconds": 6.0}, "predicted": {"total_seconds": 10.0, "train_seconds": 3.0}}
    unknown = {"cost": {"total_seconds": 5.0, "train_seconds": 0.0}, "predicted": {"total_seconds": None, "train_seconds": 0.0}}
    assert predicted_seconds(planned, [slow, unknown]) == 30.0


def test_where_no_probe_knows_the_model_the_plan_is_corrected_and_the_rest_is_what_it_took_at_most() -> None:
    planned: Any = SimpleNamespace(total_seconds=None, train_seconds=7.0)
    assert predicted_seconds(planned, []) == 7.0
    twice = {"cost": {"train_seconds": 6.0, "total_seconds": 10.0}, "predicted": {"train_seconds": 3.0}}
    shown = {"cost": {"train_seconds": 0.0, "total_seconds": 5.0}, "predicted": {"train_seconds": 0.0}}
    assert predicted_seconds(planned, [twice, shown]) == 2 * 7.0 + 5.0


def _arm(seconds: float | None, *, fits: bool | None = True, worth: bool = True) -> dict[str, Any]:
    return {"fits": fits, "worth_trying": worth, "total_seconds": seconds}


def test_the_comparison_holds_what_is_worth_trying_fits_and_has_room() -> None:
    arms = {"base": _arm(5), "lora": _arm(40), "head": _arm(10), "full": _arm(60), "ia3": _arm(1, worth=False), "huge": _arm(2, fits=False)}
    assert recommended(arms, None) == ["base", "head", "lora", "full"]
    assert recommended(arms, 60.0) == ["base", "head", "lora"]
    with pytest.raises(UsageError, match="budget: 12 s hold no arm: head, the quickest that is worth trying, is predicted to take 10 s"):
        recommended(arms, 12.0)
    assert recommended({"base": _arm(5), "ia3": _arm(1, worth=False)}, None) == ["base", "ia3"]
    assert recommended({"base": _arm(None), "lora": _arm(None, fits=None)}, 60.0) == ["base", "lora"]


def test_where_the_system_does_not_say_how_much_memory_there_is_that_is_said(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advising, "available_memory_bytes", lambda _device: 0)
    said = list[str]()
    recipe = classifier(encoder_folder, reviews_csv, tmp_path / "out", train=QUICK)
    found = advise(recipe, progress=lambda event: said.append(getattr(event, "text", "")))
    assert found["arms"]["lora"]["fits"] is None
    assert any("does not say how much memory" in text for text in said)


def test_an_arm_that_is_larger_than_the_machine_does_not_fit(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advising, "available_memory_bytes", lambda _device: 1)
    monkeypatch.setattr(probing, "_probe", lambda *_, **__: pytest.fail("trained what does not fit"))
    engine = {"micro_batch_tokens": 768}
    found = advise(classifier(encoder_folder, reviews_csv, tmp_path / "out", train=QUICK, engine=engine))
    assert {name for name, arm in found["arms"].items() if arm["fits"]} == {"majority"}
    assert found["recommended"] == ["majority", "base"]
    assert {arm["fits"] for name, arm in found["arms"].items() if name not in ("majority", "base")} == {False}


def test_something_else_cannot_be_wanted(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="want: fame: expected one of knowledge, behaviour, changing-facts"):
        advise(classifier(encoder_folder, reviews_csv, tmp_path / "out"), want="fame")  # type: ignore[arg-type]


def test_a_run_before_a_probe_is_predicted_by_its_plan_alone(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    engine = {"micro_batch_tokens": 1024}
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", train=QUICK, engine=engine))
    assert run.report["predicted"]["total_seconds"] is None
    assert run.report["predicted"]["train_seconds"] > 0


def test_a_model_behind_an_endpoint_is_refused(reviews_csv: Path) -> None:
    recipe = from_mapping(
        {"model": "openai:far@http://127.0.0.1:9/v1", "data": str(reviews_csv), "method": "none", "context": "zero_shot"}, name="far"
    )
    with pytest.raises(UsageError, match="far: model: openai:far@.* is behind an endpoint: none of its weights are here"):
        advise(recipe)


def test_the_largest_step_lies_above_the_mean_and_within_the_longest_rows() -> None:
    assert _largest_step([10, 30], 100, 0) == 100 * 20 + 3 * 10 * 10
    assert _largest_step([10, 30], 2, 5) == 2 * 30 + 2 * 5
