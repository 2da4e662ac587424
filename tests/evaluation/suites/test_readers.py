"""The suites' readers: rows as lm-eval's definitions read them, and what is broken is said with file and row."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_data import real_data
from suite_files import write_suites

from tunesmith.core import registry
from tunesmith.core.errors import DataError
from tunesmith.core.suite import Suite

ROWS = {
    "mmlu": 14_042,
    "bbh": 6_511,
    "bbh_fewshot": 6_511,
    "gsm8k": 1_319,
    "gsm8k_cot": 1_319,
    "lambada": 5_153,
    "truthfulqa": 2 * 817,
    "superglue": 3_270 + 56 + 277 + 500 + 104,
    "ifeval": 541,
}
_JUDGED = ("test", "validation", "train")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_suites(tmp_path)


def made(name: str) -> Suite:
    suite: Suite = registry.create("suite", name)
    return suite


@pytest.mark.parametrize("name", sorted(set(registry.names("suite")) - {"bigbench"}))
def test_every_suite_keeps_the_contract(name: str) -> None:
    suite = made(name)
    assert isinstance(suite, Suite)
    assert suite.tasks
    assert suite.folder
    assert suite.files
    for task in suite.tasks:
        assert suite.headline(task)
        assert suite.weight(task, 7) > 0
        assert suite.read(Path("/nowhere"), task) is None


@pytest.mark.parametrize("name", ROWS)
def test_real_files_are_read_whole(name: str) -> None:
    suite = made(name)
    folder = real_data(suite.folder)
    found = [rows for task in suite.tasks if (rows := suite.read(folder, task)) is not None]
    assert sum(len(rows[next(split for split in _JUDGED if split in rows)]) for rows in found) == ROWS[name]


def test_mmlu_has_its_57_subjects_in_four_categories() -> None:
    tasks = made("mmlu").tasks
    sizes = {category: list(tasks.values()).count(category) for category in set(tasks.values())}
    assert sizes == {"STEM": 19, "humanities": 13, "social sciences": 12, "other": 13}


def test_bbh_weighs_23_tasks_alike() -> None:
    suite = made("bbh")
    assert len(suite.tasks) == 27
    assert sum(suite.weight(task, 250) for task in suite.tasks) == pytest.approx(23)
    algorithmic = [task for task, category in suite.tasks.items() if category == "algorithmic"]
    assert sum(suite.weight(task, 250) for task in algorithmic) == pytest.approx(11)


def test_an_mmlu_row_is_a_question_with_choices_and_the_place_of_its_answer(data: Path) -> None:
    rows = made("mmlu").read(data / "mmlu", "mmlu_anatomy")
    assert rows is not None
    choices = ["the first one", "the second one", "the third one", "the last one"]
    assert rows["test"][2] == {"question": "Of anatomy in test, which is 2?", "choices": choices, "answer": 2}
    assert len(rows["dev"]) == 5


def test_glue_weighs_nine_tasks_alike() -> None:
    suite = made("glue")
    assert len(suite.tasks) == 10
    assert sum(suite.weight(task, 400) for task in suite.tasks) == 9


def test_glue_rows_have_the_hubs_columns_with_classes_by_number(data: Path) -> None:
    suite = made("glue")
    found = {task: suite.read(data / "glue", task) for task in suite.tasks}
    assert {task for task, rows in found.items() if rows is None} == {"sst2", "mrpc", "qnli", "wnli"}

    def second(task: str) -> Any:
        rows = found[task]
        assert rows is not None
        return next(rows[split][1] for split in rows if split != "train")

    pair = {"sentence1": "It is 1.", "sentence2": 'It is "1'}
    assert second("cola") == {"sentence": "They is 1.", "label": 1}
    assert second("rte") == {**pair, "label": 1}
    assert second("qqp") == {"question1": pair["sentence1"], "question2": pair["sentence2"], "label": 1}
    assert second("mnli") == second("mnli_mismatch") == {"premise": pair["sentence1"], "hypothesis": pair["sentence2"], "label": 0}
    assert second("stsb") == {**pair, "label": 1.3}
    assert {task for task, rows in found.items() if rows is not None and "train" in rows} == {"rte"}


@pytest.mark.slow
def test_real_glue_files_are_read_whole() -> None:
    suite, folder = made("glue"), real_data("glue_rte").parent
    sizes = {task: rows for task in ("sst2", "mrpc", "rte", "stsb") if (rows := suite.read(folder, task)) is not None}
    counts = {"sst2": (6_735, 60_614), "mrpc": (1_500, 2_576), "rte": (139, 1_244), "stsb": (1_500, 5_749)}
    assert {task: (len(rows["validation"]), len(rows["train"])) for task, rows in sizes.items()} == counts


def test_truthfulqa_asks_the_best_answer_in_mc1_and_all_in_mc2(data: Path) -> None:
    rows = made("truthfulqa").read(data / "truthfulqa", "truthfulqa_mc2")
    assert rows is not None
    assert rows["validation"][1]["mc1_targets"] == {"choices": ["It may be", "No", "Never", "It is even"], "labels": [1, 0, 0, 0]}
    assert rows["validation"][1]["mc2_targets"] == {
        "choices": ["It may be", "Perhaps", "No", "Never", "It is even"],
        "labels": [1, 1, 0, 0, 0],
    }


def test_arc_and_hellaswag_and_nested_superglue_are_read_as_they_are_shipped(tmp_path: Path) -> None:
    def write(name: str, row: dict[str, Any]) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(row) + "\n")

    choices = [{"text": "ice", "label": "A"}, {"text": "fire", "label": "B"}]
    write("ARC-Easy/ARC-Easy-Test.jsonl", {"id": "1", "question": {"stem": "What is hot?", "choices": choices}, "answerKey": "B"})
    expected = {"question": "What is hot?", "choices": {"text": ["ice", "fire"], "label": ["A", "B"]}, "answerKey": "B"}
    assert made("arc").read(tmp_path, "arc_easy") == {"test": [expected]}
    scene = {"activity_label": "Baking", "ctx_a": "She bakes.", "ctx_b": "", "endings": ["a", "b"]}
    write("hellaswag_val.jsonl", {**scene, "label": 1, "ind": 4})
    assert made("hellaswag").read(tmp_path, "hellaswag") == {"validation": [{**scene, "label": "1"}]}
    answers = [{"text": "yes it is", "label": 1, "idx": 0}, {"text": "no", "label": 0, "idx": 1}]
    write("MultiRC/val.jsonl", {"idx": 0, "passage": {"text": "A text.", "questions": [{"question": "Is it?", "answers": answers}]}})
    read = made("superglue").read(tmp_path, "multirc")
    assert read is not None
    first = {
        "paragraph": "A text.",
        "question": "Is it?",
        "answer": "yes it is",
        "label": 1,
        "idx": {"paragraph": 0, "question": 0, "answer": 0},
    }
    assert read["validation"] == [first, first | {"answer": "no", "label": 0, "idx": {"paragraph": 0, "question": 0, "answer": 1}}]
    entities = [{"start": 0, "end": 2}, {"start": 10, "end": 12}]
    asked = [{"query": "@placeholder ran", "answers": [{"start": 0, "end": 2, "text": "Ann"}]}]
    write("ReCoRD/val.jsonl", {"idx": 0, "passage": {"text": "Ann likes Bob.", "entities": entities}, "qas": asked})
    read = made("superglue").read(tmp_path, "record")
    assert read == {
        "validation": [{"passage": "Ann likes Bob.", "query": "@placeholder ran", "entities": ["Ann", "Bob"], "answers": ["Ann"]}]
    }


@pytest.mark.parametrize(
    ("name", "task", "num_rows", "num_groups"),
    [
        ("mmlu", "mmlu_high_school_us_history", 204, 66),
        ("mmlu", "mmlu_anatomy", 0, 0),
        ("superglue", "boolq", 3_270, 2_939),
        ("superglue", "wsc", 104, 41),
        ("superglue", "wic", 0, 0),
    ],
)
def test_rows_about_one_passage_are_of_one_group(name: str, task: str, num_rows: int, num_groups: int) -> None:
    suite = made(name)
    rows = suite.read(real_data(suite.folder), task)
    assert rows is not None
    groups = [key for row in rows["test" if name == "mmlu" else "validation"] if (key := suite.group(task, row)) is not None]
    assert (len(groups), len(set(groups))) == (num_rows, num_groups)


BROKEN: list[tuple[str, str, str, Callable[[str], str], str]] = [
    (
        "mmlu",
        "mmlu_anatomy",
        "mmlu/test/anatomy_test.csv",
        lambda text: text.replace(",C", ",E", 1),
        r"anatomy_test.csv:3: answer: found 'E', expected A, B, C or D",
    ),
    (
        "mmlu",
        "mmlu_anatomy",
        "mmlu/dev/anatomy_dev.csv",
        lambda text: text.replace("the last one,", "", 1),
        r"anatomy_dev.csv:1: found 5 fields, expected 6",
    ),
    ("gsm8k", "gsm8k", "gsm8k/train.jsonl", lambda text: text.replace("#### 4", "4", 1), r"train.jsonl:3: answer: found no ####"),
    ("gsm8k", "gsm8k", "gsm8k/test.jsonl", lambda text: text.replace("}", "", 1), r"test.jsonl:1: broken JSON"),
    (
        "bbh",
        "bbh_cot_fewshot_snarks",
        "bbh/snarks.json",
        lambda text: text.replace("target", "goal", 1),
        r"snarks.json: example 1: target: found nothing, expected a text",
    ),
    (
        "lambada",
        "lambada_standard",
        "lambada/lambada_test.json",
        lambda text: text.replace("continuation", "word", 1),
        r"lambada_test.json:1: continuation: found nothing",
    ),
    (
        "truthfulqa",
        "truthfulqa_mc1",
        "truthfulqa/TruthfulQA.csv",
        lambda text: text.replace("No; Never; It is even", ";", 1),
        r"TruthfulQA.csv:2: Incorrect Answers: found no answer",
    ),
    (
        "superglue",
        "cb",
        "superglue/CB__val.jsonl",
        lambda text: text.replace("neutral", "maybe", 1),
        r"CB__val.jsonl:1: label: found 'maybe', expected one of entailment",
    ),
    (
        "glue",
        "rte",
        "glue/RTE/dev.tsv",
        lambda text: text.replace("not_entailment", "perhaps", 1),
        r"RTE/dev.tsv:3: the label .perhaps. is none of the task's",
    ),
    ("superglue", "boolq", "superglue/BoolQ/val.jsonl", lambda text: "", r"val.jsonl: has no rows"),
    (
        "ifeval",
        "ifeval",
        "ifeval/input_data.jsonl",
        lambda text: text.replace("no_comma", "no_dots", 1),
        r"input_data.jsonl:1: 'punctuation:no_dots' is no instruction",
    ),
    ("ifeval", "ifeval", "ifeval/input_data.jsonl", lambda text: text.replace("[{}]", "[]", 1), r"input_data.jsonl:1: kwargs: found \[\]"),
]


@pytest.mark.parametrize(("name", "task", "file", "break_it", "said"), BROKEN, ids=[f"{one[2]}: {one[4][-20:]}" for one in BROKEN])
def test_what_is_broken_is_named_by_file_and_row(
    name: str, task: str, file: str, break_it: Callable[[str], str], said: str, data: Path
) -> None:
    path = data / file
    before = path.read_text(encoding="utf-8")
    path.write_text(break_it(before), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != before
    suite = made(name)
    with pytest.raises(DataError, match=said):
        suite.read(data / suite.folder, task)


def test_a_file_of_shots_that_is_missing_is_named(data: Path) -> None:
    (data / "mmlu/dev/anatomy_dev.csv").unlink()
    with pytest.raises(DataError, match=r"dev/anatomy_dev.csv: no such file"):
        made("mmlu").read(data / "mmlu", "mmlu_anatomy")


def test_plain_text_that_is_not_utf8_is_named_by_file_and_byte(tmp_path: Path) -> None:
    (tmp_path / "lambada_test_plain_text.txt").write_bytes(b"he went to the caf\xe9")
    with pytest.raises(DataError, match=r"plain_text.txt: not UTF-8 at byte 18\."):
        made("lambada").read(tmp_path, "lambada_standard")


def test_bigbench_reads_choices_with_scores_and_written_targets(tmp_path: Path) -> None:
    path = tmp_path / "riddles" / "task.json"
    path.parent.mkdir()

    def written(**document: Any) -> Suite:
        path.write_text(json.dumps(document))
        suite: Suite = registry.create("suite", "bigbench", file=str(path))
        return suite

    suite = written(name="riddles", task_prefix="Solve.", examples=[{"input": "2+2?", "target_scores": {"3": 0, "4": 1}}])
    assert suite.tasks == {"riddles": ""}
    assert suite.headline("riddles") == ("acc",)
    expected = {"input": "Solve.\nQ: 2+2?\n  choice: 3\n  choice: 4\nA:", "choices": ["3", "4"], "best": [1]}
    assert suite.read(Path(), "riddles") == {"test": [expected]}
    suite = written(examples=[{"input": "Name one.", "target": ["A", "B"]}])
    assert suite.headline("riddles") == ("exact_match",)
    assert suite.read(Path(), "riddles") == {"test": [{"input": "Q: Name one.\nA:", "targets": ["A", "B"]}]}
    suite = written(examples=[{"input": "Name one."}])
    with pytest.raises(DataError, match=r"task.json: example 1: target: found None"):
        suite.read(Path(), "riddles")
