"""Arms compared, on tiny models: what is run, what is said of it, and what becomes of a budget and of an interruption."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import transformers
from tiny_recipes import classifier, stop_at, writer

import tunesmith
from tunesmith.app.arms import arm_recipe, arms_of, known_arms
from tunesmith.app.compare import compare, resume_comparison
from tunesmith.app.compare_document import is_renewed
from tunesmith.app.group import Group
from tunesmith.app.machine import begin_peak_memory, peak_memory_bytes
from tunesmith.cli.main import run
from tunesmith.comparison.preference import PREFERENCES
from tunesmith.core import registry
from tunesmith.core.errors import Interrupted, RecipeError, TunesmithError, UsageError
from tunesmith.core.run import GroupDirectory
from tunesmith.recipe import dump, from_mapping
from tunesmith.recipe.arms import Prefer
from tunesmith.report.comparison import WHY, comparison_reason, comparison_verdict, read_comparison

ARMS = ["majority", "base", "head", "full"]
QUICK = {"epochs": 3, "learning_rate": 1e-2, "examples_per_step": 8}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, cache: None, encoder_folder: Path, reviews: Path) -> Group:
    """Labels that a word decides: training wins."""
    folder = tmp_path_factory.mktemp("compared") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunesmith.app.retention_sets.GENERAL", ())
        return compare(classifier(encoder_folder, reviews, folder, arms=ARMS, train=QUICK))


def test_every_arm_has_its_run_and_the_same_test_rows(done: Group) -> None:
    assert [one.id for one in done.runs] == ["arm-head", "arm-full"]
    report = done.report
    assert list(report["arms"]) == ARMS
    rows = [[line.split('"row": ')[1][:40] for line in one.directory.predictions.read_text().splitlines()] for one in done.runs]
    assert rows[0] == rows[1]
    for one in done.runs:
        name = one.id.removeprefix("arm-")
        assert report["arms"][name]["metrics"]["accuracy"] == one.report["metrics"]["accuracy"]["tuned"]
        assert report["arms"]["base"]["metrics"]["accuracy"] == one.report["metrics"]["accuracy"]["base"]
        assert report["arms"][name]["train_seconds"] == one.report["cost"]["train_seconds"] > 0
    majority = report["arms"]["majority"]
    assert majority["metrics"]["accuracy"] == done.runs[0].report["baselines"]["majority"]["accuracy"]
    assert (majority["train_seconds"], majority["saved_bytes"], report["arms"]["base"]["train_seconds"]) == (0, 0, 0)


def test_the_verdict_is_the_word_that_decides(done: Group) -> None:
    verdict, arms = done.report["verdict"], done.report["arms"]
    assert "full" in verdict["best"]
    assert "majority" not in verdict["best"]
    assert arms["majority"]["beaten"]["by"] in verdict["best"]
    assert arms["majority"]["beaten"]["p_holm"] < 0.05
    # what the arms that may be the best cost decides
    costs = {name: arms[name]["train_seconds"] for name in verdict["best"]}
    assert verdict["choice"] == min(costs, key=lambda name: costs[name])
    assert verdict["reason"] == comparison_reason(done.report)
    assert f"method={arms[verdict['choice']]['method']}" in verdict["command"]
    assert arms[verdict["choice"]]["against_choice"] is None
    against = arms["majority"]["against_choice"]
    assert against["value"] == pytest.approx(
        arms["majority"]["metrics"]["accuracy"]["value"] - arms[verdict["choice"]]["metrics"]["accuracy"]["value"]
    )
    assert against["low"] <= against["value"] <= against["high"] < 0


def test_it_can_be_listed_and_shown_and_its_page_has_every_arm(
    done: Group, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["runs", "show", str(done.path)]) == 0
    said = capsys.readouterr().out
    assert done.report["verdict"]["reason"][:60] in said
    assert all(name in said for name in ARMS)
    page = done.directory.report_html.read_text(encoding="utf-8")
    assert all(f'<th scope="row">{name}<span' in page for name in ARMS)
    assert page.count("<svg") >= 2
    monkeypatch.setenv("COLUMNS", "60")
    assert run(["runs", "show", str(done.path)]) == 0
    assert max(map(len, capsys.readouterr().out.split("  tunesmith tune")[0].splitlines())) <= 60
    monkeypatch.chdir(done.path.parent.parent)
    (done.path.parent.parent / "runs").symlink_to(done.path.parent)
    assert run(["runs", "list", "--json"]) == 0
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    assert (group["kind"], group["verdict"]["choice"]) == ("arms", done.report["verdict"]["choice"])
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["runs", "list"]) == 0
    assert f"{done.report['verdict']['choice']} · 4 arms" in capsys.readouterr().out


def test_labels_that_the_text_says_nothing_of_are_left_alone(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    lines = reviews_csv.read_text().splitlines()
    mixed = [line.rsplit(",", 1)[0] + ("," + ("positive" if n * 7919 % 13 < 7 else "negative")) for n, line in enumerate(lines[1:])]
    reviews_csv.write_text("\n".join([lines[0], *mixed]) + "\n")
    found = compare(classifier(encoder_folder, reviews_csv, tmp_path / "out", arms=["majority", "base", "head"], train=QUICK)).report
    assert found["verdict"]["choice"] == "majority"
    assert comparison_verdict(found)[1] == "Nothing beats the most frequent label"
    assert f"always answering “{found['arms']['majority']['label']}”" in found["verdict"]["reason"]
    assert found["verdict"]["command"] is None


def test_a_writers_arms_in_context_and_trained(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    arms = {"base": None, "few_shot": ["method=none", "context=few_shot", "context.shots=[2]"], "full": None}
    found = compare(writer(decoder_folder, pairs_csv, tmp_path / "out", arms=arms, train=QUICK, evaluate={"max_new_tokens": 4})).report
    assert found["arms"]["few_shot"]["method"] == "few_shot"
    assert found["arms"]["few_shot"]["train_seconds"] == 0
    assert found["arms"]["few_shot"]["prompt_tokens"] > 7
    assert found["arms"]["full"]["trainable_parameters"] > 0
    assert read_comparison(found).rows[0].name in found["verdict"]["best"]


def test_other_data_stands_beside_the_test_rows_of_every_arm(
    encoder_folder: Path,
    reviews: Path,
    reviews_csv: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    domains = {"others": {"source": str(reviews_csv), "columns": {"text": "review", "label": "sentiment"}}}
    evaluate = {"domains": domains, "metrics": ["accuracy"]}
    group = compare(
        classifier(encoder_folder, reviews, tmp_path / "out", arms=["majority", "base", "head"], train=QUICK, evaluate=evaluate)
    )
    measured = group.runs[0].report["domains"]["others"]["metrics"]["accuracy"]
    arms = group.report["arms"]
    assert (arms["head"]["domains"], arms["base"]["domains"]) == ({"others": measured["tuned"]}, {"others": measured["base"]})
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["runs", "show", str(group.path)]) == 0
    said = capsys.readouterr().out
    assert "accuracy on" in said
    assert "others" in said.split("accuracy on")[1].splitlines()[0]
    assert '<th scope="col" class="n">others</th>' in group.directory.report_html.read_text(encoding="utf-8")


def test_what_an_index_took_to_make_stands_where_a_training_would(done: Group) -> None:
    document = json.loads(json.dumps(done.report))
    document["arms"]["base"] |= {"index_seconds": 12.0}
    training = {row.name: row.training for row in read_comparison(document).rows}
    assert training["base"] == "12\u202fs (index)"
    assert "index" not in training["full"]


def test_the_least_preferred_of_equals_is_not_taken(done: Group) -> None:
    document = json.loads(json.dumps(done.report))
    document["verdict"] |= {"best": list(ARMS), "choice": "base"}
    for arm in document["arms"].values():
        arm["beaten"] = None
    said = comparison_reason(document)
    assert "Do not fine-tune, as far as these rows show. head and full may be as good, and cost a training." in said
    assert "no arm can be ruled out" in said
    assert comparison_verdict(document)[1].startswith("Do not fine-tune")


def test_why_nothing_is_to_be_trained_is_said(done: Group) -> None:
    document = json.loads(json.dumps(done.report))
    document["verdict"] |= {"best": ["base"], "choice": "base"}
    for name, arm in document["arms"].items():
        arm["beaten"] = None if name == "base" else {"by": "base", "p_holm": 0.001}
    said = comparison_reason(document)
    assert (
        "Do not fine-tune, as far as these rows show. Every training is certainly worse: 67 training rows taught it less than the model brings."
        in said
    )
    assert "They are too few to try settings on parts of them, so that each arm was trained at its own." in said
    assert "too few to try" not in comparison_reason(document | {"is_searched": False})
    for name in ("head", "full"):
        del document["arms"][name]
    assert "No training was tried." in comparison_reason(document)


def test_what_was_interrupted_goes_on_and_ends_as_it_would_have(done: Group, encoder_folder: Path, reviews: Path, tmp_path: Path) -> None:
    recipe = classifier(encoder_folder, reviews, tmp_path / "out", arms=ARMS, train=QUICK)
    with pytest.raises(Interrupted, match="interrupted in arm-head; 0 of 2 runs are done"):
        compare(recipe, progress=stop_at(3))
    again = compare(recipe)
    assert {name: arm["metrics"] for name, arm in again.report["arms"].items()} == {
        name: arm["metrics"] for name, arm in done.report["arms"].items()
    }
    with pytest.raises(Exception, match="this comparison is finished"):
        resume_comparison(GroupDirectory(again.path))


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        (["lora"], "needs two arms or more, found lora"),
        (["lora", "lroa"], "arms: lroa is not known. Did you mean"),
        (["base", "majority"], "train nothing and show nothing"),
        ({"base": ["data.system=hello"], "lora": None}, "base is never run, so that nothing can be changed of it"),
        (
            {"lora": None, "b": ["method=lora", "evaluate.metrics=[macro_f1]"]},
            "b: the metric that decides would be another than that of lora",
        ),
        ({"lora": None, "b": ["method=lora", "seed=1"], "c": ["method=lora", "data.limit.test=5"]}, "c: the test rows would be another"),
        (
            {"majority": None, "b": ["evaluate.metrics=[brier]"], "c": ["evaluate.metrics=[brier]"]},
            "majority: brier asks for more than a label",
        ),
        ({"base": None, "b": ["model.max_length=16"]}, "every arm changes the model or the data"),
        ({"a": ["method=lora"], "b": ["method.q=1"]}, "arms.b: method.q: unknown option"),
    ],
)
def test_arms_that_are_none_are_one_line(arms: Any, said: str, encoder_folder: Path, reviews: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=said):
        compare(classifier(encoder_folder, reviews, tmp_path / "out", arms=arms))
    assert not (tmp_path / "out").exists()


def test_a_majority_needs_labels(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="majority: answers are open"):
        compare(writer(decoder_folder, pairs_csv, tmp_path / "out", arms=["majority", "lora"]))


def test_the_usual_arms_go_by_data_and_model(
    encoder_folder: Path, decoder_folder: Path, reviews: Path, pairs_csv: Path, tmp_path: Path
) -> None:
    labels, text = classifier(encoder_folder, reviews, tmp_path / "out"), writer(decoder_folder, pairs_csv, tmp_path / "out")
    raw = tmp_path / "raw.txt"
    raw.write_text("\n\n".join(f"the cat sat on the mat {'very ' * n}" for n in range(40)))
    rated = tmp_path / "rated.csv"
    rated.write_text("text,value\n" + "".join(f"the cat is {'very ' * (n % 9)}{'on ' * (n // 9)}good,{n % 5}\n" for n in range(60)))
    numbers = {"train": str(rated), "format": "rated"}
    for recipe, is_causal, usual in (
        (labels, False, ["majority", "base", "head", "bitfit", "lora", "full"]),
        (labels, True, ["majority", "base", "few_shot", "head", "lora", "full"]),
        (text, True, ["base", "few_shot", "prompt", "lora", "full"]),
        (text, False, ["base", "lora", "full"]),
        (writer(decoder_folder, raw, tmp_path / "out"), True, ["base", "lora", "full"]),
        (
            from_mapping({"model": str(encoder_folder), "data": numbers, "objective": "regress"}, name="rated"),
            False,
            ["head", "lora", "full"],
        ),
    ):
        assert arms_of(recipe, is_causal=is_causal).run == [name for name in usual if name not in ("base", "majority")]
        assert list(arms_of(recipe, is_causal=is_causal).changes) == usual
    methods, strategies = [*registry.names("method"), "qlora"], registry.names("strategy")
    both = {f"{method}+{strategy}" for method in methods for strategy in strategies}
    assert {*methods, *strategies, *both, "base", "majority", "scratch"} == set(known_arms())


def test_an_arms_recipe_is_the_recipe_with_its_changes(encoder_folder: Path, reviews: Path, tmp_path: Path) -> None:
    recipe = classifier(encoder_folder, reviews, tmp_path / "out", arms=["lora", "full"], budget="1h")
    lora, full = (arm_recipe(recipe, name, known_arms()[name]) for name in ("lora", "full"))
    assert dump(lora.model_copy(update={"arms": recipe.arms, "budget": recipe.budget})) == dump(
        recipe
    )  # its own method, whose options stay
    assert full.method.name == "full"
    assert full.train.learning_rate == "auto"  # the recipe's rate is its own method's


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system keeps a process's peak from its start")
def test_the_memory_of_an_arm_is_not_that_of_the_arms_before() -> None:
    cpu = torch.device("cpu")
    taken = torch.ones(2**26)  # 256 MB
    before = peak_memory_bytes(cpu)
    del taken
    begin_peak_memory(cpu)
    assert peak_memory_bytes(cpu) < before - 2**27


def test_from_python_with_rows_in_memory(encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"text": f"the cat is {'very ' * (n % 7)}{'on ' * (n // 14)}{word}", "label": word} for n in range(40) for word in ("good", "bad")
    ]
    given: dict[str, Any] = {"model": str(encoder_folder), "data": rows, "evaluate": {"retention": "none"}, "train": QUICK}
    group = tunesmith.compare(**given, arms=["majority", "head"], prefer="accuracy", progress=lambda event: None)
    assert group.report["verdict"]["prefer"] == "accuracy"
    assert group.report["data"]["train_rows"] + group.report["data"]["validation_rows"] + group.report["data"]["test_rows"] == 80
    assert group.path.parent == tmp_path / "runs"
    with pytest.raises(UsageError, match=r"compare\(\) needs a recipe, or model=... and data=..."):
        tunesmith.compare(model=str(encoder_folder))


def test_an_arm_that_fails_is_left_out_by_its_name_and_the_others_stay(encoder_folder: Path, reviews: Path, tmp_path: Path) -> None:
    arms = {"head": None, "packed": ["method=full", "model.quantization=int4"], "base": None}
    found = compare(classifier(encoder_folder, reviews, tmp_path / "out", arms=arms, train=QUICK)).report
    assert list(found["arms"]) == ["head", "base"]
    assert found["left_out"]["packed"].startswith("it failed: method: full trains the weights")
    only = {"a": arms["packed"], "b": ["method=full", "model.quantization=nf4"]}
    with pytest.raises(TunesmithError, match=r"no arm could be run. a: it failed: method: full trains the weights"):
        compare(classifier(encoder_folder, reviews, tmp_path / "none", arms=only, train=QUICK))
    assert not (tmp_path / "none").exists()


def test_the_majority_is_the_baseline_of_the_runs_by_a_metric_of_one_class(encoder_folder: Path, reviews: Path, tmp_path: Path) -> None:
    evaluate = {"metrics": ["f1"]}
    group = compare(classifier(encoder_folder, reviews, tmp_path / "out", arms=["majority", "head"], train=QUICK, evaluate=evaluate))
    assert group.report["arms"]["majority"]["metrics"]["f1"] == group.runs[0].report["baselines"]["majority"]["f1"]


def test_what_the_base_costs_is_known_though_its_answers_were_kept(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    arms = {"base": None, "asked": ["method=none", "context=zero_shot"]}
    chosen = dict[str, str]()
    for place, prefer in enumerate(("cost", "memory")):
        recipe = writer(decoder_folder, pairs_csv, tmp_path / str(place), arms=arms, prefer=prefer, evaluate={"max_new_tokens": 4})
        report = compare(recipe).report
        base, asked = report["arms"]["base"], report["arms"]["asked"]
        assert base["metrics"] == asked["metrics"]  # the same model, asked in the same words
        assert base["seconds_per_answer"] > 0
        assert base["memory_bytes"] == asked["memory_bytes"]
        chosen[prefer] = report["verdict"]["choice"]
        assert report["verdict"]["best"] == ["base", "asked"]
        if prefer in (
            "memory",
            "freshness",
        ):  # asking is no way to bring anything up to date; equal ones are decided by time, and base is first
            expected = min(report["arms"], key=lambda name: report["arms"][name]["seconds_per_answer"])
            assert chosen[prefer] == expected


def test_base_is_the_recipes_own_model_whichever_arm_comes_first(encoder_folder: Path, reviews: Path, tmp_path: Path) -> None:
    other = tmp_path / "other-bert"
    shutil.copytree(encoder_folder, other)
    config = transformers.AutoConfig.from_pretrained(other)
    torch.manual_seed(1)
    transformers.AutoModel.from_config(config).save_pretrained(other)
    arms = {"base": None, "other": ["method=head", f"model.source={other}"], "own": ["method=head"]}
    group = compare(classifier(encoder_folder, reviews, tmp_path / "out", arms=arms, train=QUICK))
    by_name = {one.id: one.report["metrics"]["accuracy"]["base"] for one in group.runs}
    assert group.report["arms"]["base"]["metrics"]["accuracy"] == by_name["arm-own"]
    assert group.report["model"] == str(encoder_folder)


def test_the_command_that_it_shows_makes_the_chosen_arm(done: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(shlex.split(done.report["verdict"]["command"])[1:]) == 0
    made = Path(f"{done.path}-{done.report['verdict']['choice']}")
    metrics = json.loads((made / "report.json").read_text())["metrics"]["accuracy"]["tuned"]
    assert metrics == done.report["arms"][done.report["verdict"]["choice"]]["metrics"]["accuracy"]


def test_a_recipe_of_a_context_can_be_held_against_trained_arms(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    recipe = writer(decoder_folder, pairs_csv, tmp_path / "out", method="none", context="few_shot", arms=["base", "few_shot", "lora"])
    assert arms_of(recipe, is_causal=True).run == ["few_shot", "lora"]
    assert arm_recipe(recipe, "lora", known_arms()["lora"]).context is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["method=lora", "objective=grpo", "rewards=[{name: length}]"], r"tiny: arms.other: grpo is of answers that the model writes .* tunesmith runs compare RUN RUN\.$"),
        (["method=none", "objective=best_of_n", "rewards=[{name: length}]"], r"tiny: arms.other: best_of_n is of answers that the model writes"),
        (["method=lora", "objective=dpo"], r"tiny: arms.other: objective: dpo learns from Preference examples; the data gives Completion"),
    ],
)  # fmt: skip
def test_an_arm_of_answers_of_its_own_or_of_other_data_is_refused_by_its_name(
    changes: list[str], message: str, decoder_folder: Path, pairs_csv: Path, tmp_path: Path
) -> None:
    arms = {"sft": ["method=lora"], "other": changes}
    with pytest.raises(TunesmithError, match=message):
        arms_of(writer(decoder_folder, pairs_csv, tmp_path / "out", arms=arms), is_causal=True)


def test_models_with_other_tokens_are_not_compared_by_the_token(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw.txt"
    raw.write_text("\n\n".join(f"the cat sat on the mat {'very ' * n}" for n in range(40)))
    arms = {"own": ["method=lora"], "other": ["method=lora", "model.source=another"]}
    with pytest.raises(RecipeError, match="perplexity is per token. Set evaluate.metrics="):
        arms_of(writer(decoder_folder, raw, tmp_path / "out", arms=arms), is_causal=True)


def test_a_path_of_an_arm_is_made_whole(decoder_folder: Path, pairs_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept.index").mkdir()
    arms = {"base": None, "found": ["method=none", "context=retrieval", "context.index=kept.index"]}
    assert (
        arms_of(writer(decoder_folder, pairs_csv, tmp_path / "out", arms=arms), is_causal=True).changes["found"][-1]
        == f"context.index={tmp_path / 'kept.index'}"
    )


def test_wording_alone_brings_nothing_up_to_date_and_examples_and_passages_do() -> None:
    shown = [(0, 0), (2, 0), (0, 1)]
    contexts = [{"chosen": {"num_shots": shots, "num_passages": passages}} for shots, passages in shown]
    assert list(map(is_renewed, contexts)) == [False, True, True]
    assert not is_renewed(None)


def test_what_may_be_preferred_is_the_same_in_the_recipe_the_choice_and_the_report() -> None:
    assert list(get_args(Prefer)) == list(PREFERENCES) == list(WHY)
