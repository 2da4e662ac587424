"""`evaluate`: suites asked of a model, or of a run and its base; what is wrong is said before a model is loaded."""

import json
import re
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from suite_files import byte_model, write_suites
from tiny_recipes import writer

from tunesmith.app import tuned
from tunesmith.app.evaluate import evaluate
from tunesmith.app.suites import choosing
from tunesmith.app.suites.choosing import choose
from tunesmith.app.suites.tasks import LoadedSuite, allotted, load, sampled
from tunesmith.app.tune import tune
from tunesmith.core.errors import DataError, FetchError, Interrupted, ModelError, UsageError
from tunesmith.core.events import Event, Notice, Progress, Warned
from tunesmith.core.statistics import holm


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return byte_model(tmp_path_factory.mktemp("models") / "bytes")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_suites(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_task_has_values_with_intervals_and_every_answer_is_kept(folder: Path, data: Path, tmp_path: Path) -> None:
    told = list[Event]()
    document = evaluate(str(folder), ["mmlu", "lambada"], data=data, out=tmp_path / "made", progress=told.append)
    assert list(document["suites"]) == ["mmlu", "lambada"]
    assert document["suites"]["mmlu"].keys() == {"mmlu_anatomy", "mmlu_astronomy", "mmlu_philosophy", "mmlu_sociology"}
    anatomy = document["suites"]["mmlu"]["mmlu_anatomy"]["acc"]
    assert anatomy["rows"] == 6
    assert anatomy["low"] < anatomy["value"] < anatomy["high"] or anatomy["value"] in (0, 1)
    assert document["suites"]["lambada"]["lambada_standard"].keys() == {"perplexity", "acc"}
    average = document["averages"]["mmlu"]
    right = sum(round(task["acc"]["value"] * task["acc"]["rows"]) for task in document["suites"]["mmlu"].values())
    assert average["value"] == pytest.approx(right / 18)
    assert (average["rows"], average["tasks"]) == (18, 4)
    assert average["categories"]["STEM"]["rows"] == 10
    assert "lambada" not in document["averages"]
    assert json.loads((tmp_path / "made/evaluate.json").read_text())["suites"] == document["suites"]
    lines = [json.loads(line) for line in (tmp_path / "made/examples.jsonl").read_text().splitlines()]
    assert len(lines) == 18 + 6
    assert lines[0].keys() >= {"model", "suite", "task", "row", "target", "said", "acc"}
    assert any(isinstance(event, Warned) and "mmlu_abstract_algebra" in event.text and "left out" in event.text for event in told)
    assert any(isinstance(event, Progress) and event.stage == "score" for event in told)


def test_of_a_run_the_differences_to_its_base_are_on_the_same_rows(folder: Path, data: Path, pairs_csv: Path, tmp_path: Path) -> None:
    run = tune(writer(folder, pairs_csv, tmp_path / "run", train={"max_steps": 3, "learning_rate": 1e-2}))
    document = evaluate(str(run.path), ["mmlu", "lambada"], data=data, limit=6)
    assert document["model"] == "run"
    assert document["base"]["model"] == str(folder)
    for suite, tasks in document["differences"]["suites"].items():
        for task, metrics in tasks.items():
            for metric, gap in metrics.items():
                mine, other = (part["suites"][suite][task][metric] for part in (document, document["base"]))
                assert gap["value"] == pytest.approx(mine["value"] - other["value"])
                assert mine["rows"] == other["rows"]
    mine, other = (part["averages"]["mmlu"]["value"] for part in (document, document["base"]))
    assert document["differences"]["averages"]["mmlu"]["value"] == pytest.approx(mine - other)
    tests = [gap for task in document["differences"]["suites"]["mmlu"].values() for gap in task.values()]
    assert [gap["p_holm"] for gap in tests] == pytest.approx(holm([gap["p"] for gap in tests]), nan_ok=True)
    assert document["differences"]["averages"]["mmlu"]["p_holm"] == document["differences"]["averages"]["mmlu"]["p"]  # one test alone
    assert {gap["detectable"] for gap in tests} == {None}  # six rows are the fewest that can show a difference of shares
    perplexity = document["differences"]["suites"]["lambada"]["lambada_standard"]["perplexity"]
    assert not perplexity["higher_is_better"]
    assert perplexity["value"] != 0
    assert perplexity["detectable"] > 0
    rows = [json.loads(line) for line in (Path(document["out"]) / "examples.jsonl").read_text().splitlines()]
    asked = {model: [(row["task"], row["row"]) for row in rows if row["model"] == model] for model in ("run", str(folder))}
    assert asked["run"] == asked[str(folder)]
    assert Path(document["out"]).parent == Path("runs/evaluations")
    alone = evaluate(str(run.path), ["lambada"], data=data, limit=2, base=False)
    assert "base" not in alone
    assert "differences" not in alone


def test_an_answer_that_never_ends_is_cut_and_counted(folder: Path, data: Path) -> None:
    told = list[Event]()
    document = evaluate(str(folder), ["gsm8k"], data=data, limit=2, progress=told.append)
    assert 0 < document["cut"][str(folder)]["answers"]["gsm8k"] <= 2
    assert any(isinstance(event, Notice) and "had not ended" in event.text for event in told)


def test_a_task_of_a_suite_and_a_file_go_by_their_names(folder: Path, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "sums.json"
    examples = [{"input": f"{i}+1?", "target_scores": {str(i): 0, str(i + 1): 1}} for i in range(4)]
    path.write_text(json.dumps({"name": "sums", "examples": examples}))
    document = evaluate(str(folder), ["mmlu_anatomy", str(path)], data=data)
    assert list(document["suites"]) == ["mmlu_anatomy", "sums"]
    assert document["suites"]["sums"]["sums"]["acc"]["rows"] == 4
    assert not document["averages"]


def test_num_fewshot_changes_the_prompts_and_too_many_are_an_error(folder: Path, data: Path) -> None:
    zero = evaluate(str(folder), ["mmlu_anatomy"], data=data, num_fewshot=0)
    five = evaluate(str(folder), ["mmlu_anatomy"], data=data)
    said = [[json.loads(line)["said"] for line in (Path(one["out"]) / "examples.jsonl").read_text().splitlines()] for one in (zero, five)]
    assert said[0] != said[1]
    with pytest.raises(UsageError, match=r"mmlu_anatomy: no prompt can be made with 6 examples before a question .*Change --num-fewshot"):
        evaluate(str(folder), ["mmlu_anatomy"], data=data, num_fewshot=6)


def loaded(data: Path, name: str = "mmlu") -> LoadedSuite:
    return load(choose([name])[0], data, None)


def test_a_limit_is_spread_over_tasks_and_categories(data: Path) -> None:
    suite = loaded(data)
    counts = [allotted(suite, limit) for limit in (3, 4, 9, 100)]
    assert [sum(one.values()) for one in counts] == [3, 4, 9, 18]
    assert counts[0] == {"mmlu_anatomy": 1, "mmlu_philosophy": 1, "mmlu_sociology": 1, "mmlu_astronomy": 0}
    assert set(counts[1].values()) == {1}
    assert counts[2]["mmlu_anatomy"] == 3
    assert counts[3] == suite.sizes == allotted(suite, None)


def test_the_rows_of_a_task_are_the_same_every_time_and_more_hold_fewer() -> None:
    few, more = sampled("mmlu_anatomy", 100, 5), sampled("mmlu_anatomy", 100, 20)
    assert few == sampled("mmlu_anatomy", 100, 5) == sorted(few)
    assert set(few) < set(more)
    assert sampled("mmlu_virology", 100, 5) != few


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["mmlx"], r"--suite mmlx: no suite, and no task of lm-eval\. Did you mean .*mmlu"),
        (["mmlux"], r"Did you mean mmlu, (?!mmlu[,?])"),  # a suite that lm-eval has too is named once
        (["gsm8k", "arc_chalenge"], r"arc_chalenge: no suite.*arc_challenge"),
        ([" "], r"--suite: names nothing\. Suites: arc, bbh"),
        (["bigbench"], r"is a format\. Name a task's file"),
        (["nowhere.json"], r"nowhere.json: no such file"),
    ],
)
def test_an_unknown_suite_names_the_nearest(names: list[str], said: str, folder: Path) -> None:
    with pytest.raises(UsageError, match=said):
        evaluate(str(folder), names)


def test_without_lm_eval_the_line_to_install_it_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=re.escape('pip install "lm-eval')):
        evaluate(str(folder), ["mmlu"])


def test_a_folder_without_the_suites_files_names_what_to_bring(folder: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--data .*/nothing: no such folder"):
        evaluate(str(folder), ["mmlu"], data=tmp_path / "nothing")
    with pytest.raises(DataError, match=r"hellaswag: no such folder; the suite hellaswag is read from there\. Bring hellaswag_val\.jsonl"):
        evaluate(str(folder), ["hellaswag"], data=data)
    with pytest.raises(DataError, match=r"mmlu: holds no file of mmlu_virology\. Bring test/SUBJECT_test\.csv"):
        evaluate(str(folder), ["mmlu_virology"], data=data)


def test_a_hub_that_cannot_be_reached_names_the_files_to_bring(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(self: huggingface_hub.HfApi, name: str, timeout: int) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", unreachable)
    with pytest.raises(
        FetchError, match=r"--suite hellaswag: .*model hub.*no route.*Bring hellaswag_val\.jsonl .*DATA/hellaswag, and add --data DATA"
    ):
        evaluate(str(folder), ["hellaswag"])


def test_a_task_that_only_lm_eval_knows_is_read_from_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(self: huggingface_hub.HfApi, name: str, timeout: int) -> None:
        raise ConnectionError(f"no route to {name}")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", unreachable)
    with pytest.raises(
        FetchError, match=r"--suite winogrande: .*no route to \S*winogrande.*No reader of its files is known here: --data does not help"
    ):
        evaluate(str(folder), ["winogrande"])


def test_data_that_is_not_read_is_said(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.app.suites.tasks._made", lambda chosen, rows, *, has_shots: {})
    said = "winogrande: --data is not read, as no reader of its files is known here; its rows come from the hub."
    assert [load(choose(["winogrande"])[0], given, None).notes for given in (data, None)] == [[said], []]
    with pytest.raises(UsageError, match=r"--data .*/nothing: no such folder"):
        load(choose(["winogrande"])[0], tmp_path / "nothing", None)


def test_an_encoder_is_refused(encoder_folder: Path, data: Path) -> None:
    with pytest.raises(ModelError, match="is an encoder"):
        evaluate(str(encoder_folder), ["mmlu"], data=data)


def test_an_encoder_decoder_is_refused(seq2seq_folder: Path, data: Path) -> None:
    with pytest.raises(ModelError, match="no decoder-only language model"):
        evaluate(str(seq2seq_folder), ["mmlu"], data=data)


def test_a_model_without_chat_template_is_refused_where_one_is_asked_for(folder: Path, data: Path) -> None:
    with pytest.raises(ModelError, match="has no chat template"):
        evaluate(str(folder), ["mmlu"], data=data, chat_template=True)


@pytest.mark.parametrize("options", [{"limit": 0}, {"num_fewshot": -1}, {"out": Path()}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any], folder: Path, data: Path) -> None:
    with pytest.raises(UsageError):
        evaluate(str(folder), ["mmlu"], data=data, **options)


def test_an_interruption_leaves_nothing_behind(folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(recipe: Any, saved: Any = None) -> None:
        raise Interrupted("interrupted.")

    monkeypatch.setattr(tuned, "load_base", interrupted)
    with pytest.raises(Interrupted, match="nothing was written"):
        evaluate(str(folder), ["mmlu"], data=data)
    assert not Path("runs").exists()
