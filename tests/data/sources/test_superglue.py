"""SuperGLUE's tasks from files laid out as their authors ship them, and from the hub's."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.sources.test_glue import hub
from tests.real_data import real_data
from tunesmith.core.errors import DataError, UsageError
from tunesmith.core.types import SpanQuestion
from tunesmith.data import read, split

PASSAGE = "Ann met Bob in Rome. Bob was late.\n@highlight\nRome waits"
SHIPPED: dict[str, tuple[str, dict[str, Any]]] = {
    "boolq": ("BoolQ", {"question": "is it so", "passage": "It is.", "idx": 0, "label": True}),
    "cb": ("CB", {"premise": "He said so.", "hypothesis": "so", "label": "neutral", "idx": 0}),
    "copa": ("COPA", {"premise": "It rained.", "choice1": "The sun shone.", "choice2": "It got wet.", "question": "effect", "label": 1, "idx": 0}),
    "multirc": (
        "MultiRC",
        {
            "idx": 7,
            "version": 1.1,
            "passage": {
                "text": "A came. B left.",
                "questions": [
                    {"question": "Who came?", "answers": [{"text": "A", "idx": 0, "label": 1}, {"text": "B", "idx": 1, "label": 0}], "idx": 0},
                    {"question": "Who left?", "answers": [{"text": "B", "idx": 2, "label": 1}], "idx": 1},
                ],
            },
        },
    ),
    "record": (
        "ReCoRD",
        {
            "source": "Daily mail",
            "passage": {"text": PASSAGE, "entities": [{"start": 0, "end": 2}, {"start": 8, "end": 10}, {"start": 15, "end": 18}]},
            "idx": 3,
            "qas": [
                {
                    "query": "@placeholder was not on time",
                    "answers": [{"start": 8, "end": 10, "text": "Bob"}, {"start": 21, "end": 23, "text": "Bob"}],
                    "idx": 0,
                }
            ],
        },
    ),
    "rte": ("RTE", {"premise": "A and B.", "hypothesis": "B.", "label": "not_entailment", "idx": 0}),
    "wic": (
        "WiC",
        {"word": "class", "sentence1": "A class act.", "sentence2": "In class.", "idx": 0, "label": False, "start1": 2, "start2": 3, "end1": 7, "end2": 8, "version": 1.1},
    ),
    "wsc": (
        "WSC",
        {
            "text": "Tom told Jim that he was late, and he knew.",
            "target": {"span2_index": 4, "span1_index": 0, "span1_text": "Tom", "span2_text": "he"},
            "idx": 0,
            "label": "true",
        },
    ),
}  # fmt: skip


def shipped(folder: Path, task: str, *rows: dict[str, Any], part: str = "train") -> Path:
    name, row = SHIPPED[task]
    (folder / name).mkdir(exist_ok=True)
    (folder / name / f"{part}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in (rows or (row,))), encoding="utf-8")
    return folder


def rows(task: str, folder: Path) -> list[tuple[Any, ...]]:
    return [(e.text, e.text_pair, e.label) for e in read({"superglue": task, "folder": str(shipped(folder, task))}).examples]  # type: ignore[union-attr]


def test_pairs_of_texts_with_their_classes(tmp_path: Path) -> None:
    assert rows("boolq", tmp_path) == [("is it so", "It is.", "True")]
    assert rows("cb", tmp_path) == [("He said so.", "so", "neutral")]
    assert rows("rte", tmp_path) == [("A and B.", "B.", "not_entailment")]
    assert rows("wic", tmp_path) == [("class: A class act.", "In class.", "False")]
    assert read({"superglue": "boolq", "folder": str(tmp_path)}).facts.labels == ("False", "True")


def test_each_choice_of_copa_is_a_row(tmp_path: Path) -> None:
    asked = "It rained. What happened as a result?"
    assert rows("copa", tmp_path) == [(asked, "The sun shone.", "False"), (asked, "It got wet.", "True")]


def test_each_answer_of_multirc_is_a_row_and_the_first_text_is_its_question(tmp_path: Path) -> None:
    came, left = "Who came? A came. B left.", "Who left? A came. B left."
    assert rows("multirc", tmp_path) == [(came, "A", "True"), (came, "B", "False"), (left, "B", "True")]


def test_rows_about_one_passage_stay_on_one_side_of_a_split(tmp_path: Path) -> None:
    _, row = SHIPPED["multirc"]
    passages = [{**row, "idx": n, "passage": {**row["passage"], "text": f"{row['passage']['text']} {n}"}} for n in range(40)]
    parts = split(read({"superglue": "multirc", "folder": str(shipped(tmp_path, "multirc", *passages))}), validation=0.2, test=0)
    sides = [{example.origin.group for example in part} for part in (parts.train, parts.validation)]
    assert sides[0].isdisjoint(sides[1])
    assert [len(part) for part in (parts.train, parts.validation)] == [96, 24]


def test_record_is_a_question_on_a_text_answered_by_any_of_the_marked_names(tmp_path: Path) -> None:
    (example,) = read({"superglue": "record", "folder": str(shipped(tmp_path, "record"))}).examples
    assert isinstance(example, SpanQuestion)
    assert (example.question, example.context) == ("@placeholder was not on time", PASSAGE)
    assert example.answers == ((8, "Bob"), (21, "Bob"))


def test_the_pronoun_of_wsc_is_marked_where_it_stands_nearest_to_the_number(tmp_path: Path) -> None:
    assert rows("wsc", tmp_path) == [("Tom told Jim that * he * was late, and he knew.", "Tom", "True")]
    _, row = SHIPPED["wsc"]
    shipped(tmp_path, "wsc", {**row, "target": {**row["target"], "span2_index": 9}})  # the second one is word 8
    (example,) = read({"superglue": "wsc", "folder": str(tmp_path)}).examples
    assert example.text == "Tom told Jim that he was late, and * he * knew."  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("task", "change", "said"),
    [
        ("boolq", {"label": "maybe"}, r'train\.jsonl:1: the label "maybe" is none of the task\'s: 0 or False, 1 or True'),
        ("cb", {"label": -1}, r"train\.jsonl:1: the label -1 is none .*use the part validation"),
        ("copa", {"label": 2}, r"train\.jsonl:1: not laid out as a row of COPA \(its label is 2, expected 0 or 1\)"),
        ("copa", {"question": "why"}, r'train\.jsonl:1: no "why" in a row of COPA'),
        ("multirc", {"passage": {"text": "A", "questions": [{"question": "B"}]}}, r'train\.jsonl:1: no "answers" in a row of MultiRC'),
        ("multirc", {"passage": "A"}, r"train\.jsonl:1: not laid out as a row of MultiRC"),
        ("record", {"qas": [{"query": "A", "answers": []}]}, r"train\.jsonl:1: not laid out .*a query without an answer; use the part validation"),
        ("record", {"qas": [{"query": "A", "answers": [{"start": 1, "end": 2, "text": "Bob"}]}]}, r"does not stand at character 1"),
        ("wsc", {"target": {"span2_index": 4, "span1_text": "Tom", "span2_text": "they"}}, r'train\.jsonl:1: .*its text does not hold "they"'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_row_is_said_in_a_line(task: str, change: dict[str, Any], said: str, tmp_path: Path) -> None:
    folder = shipped(tmp_path, task, {**SHIPPED[task][1], **change})
    with pytest.raises(DataError, match=said) as caught:
        read({"superglue": task, "folder": str(folder)})
    assert "\n" not in str(caught.value)


def test_a_row_without_a_label_says_who_could_judge(tmp_path: Path) -> None:
    _, row = SHIPPED["wic"]
    shipped(tmp_path, "wic", {key: value for key, value in row.items() if key != "label"}, part="test")
    with pytest.raises(DataError, match=r'test\.jsonl:1: no "label" in a row of WiC; .*own server can judge; use the part validation'):
        read({"superglue": "wic:test", "folder": str(tmp_path)})


def test_a_missing_file_or_task_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no BoolQ/val\.jsonl, the file of this part of BoolQ"):
        read({"superglue": "boolq:validation", "folder": str(tmp_path)})
    with pytest.raises(UsageError, match=r'superglue: "bolq" is no task of SuperGLUE\. Did you mean "boolq"'):
        read({"superglue": "bolq", "folder": str(tmp_path)})


def test_the_hubs_rows_say_the_same_as_the_authors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, wsc = SHIPPED["wsc"]
    flat = {"text": wsc["text"], **wsc["target"], "idx": 0, "label": 1}
    answers = [(q, a) for q in SHIPPED["multirc"][1]["passage"]["questions"] for a in q["answers"]]
    multirc = [
        {
            "paragraph": "A came. B left.",
            "question": question["question"],
            "answer": answer["text"],
            "idx": {"paragraph": 7, "question": question["idx"], "answer": answer["idx"]},
            "label": answer["label"],
        }
        for question, answer in answers
    ]
    spans = {"text": ["Ann", "Bob", "Rome", "Bob"], "start": [0, 8, 15, 21], "end": [3, 11, 19, 24]}
    query = {"passage": PASSAGE, "query": "@placeholder was not on time", "entities": ["Ann", "Bob", "Rome"], "entity_spans": spans}
    hub(
        monkeypatch,
        {
            "aps/super_glue/wsc.fixed:train": [flat],
            "aps/super_glue/multirc:train": multirc,
            "aps/super_glue/record:train": [{**query, "answers": ["Bob"], "idx": {"passage": 3, "query": 0}}],
            "aps/super_glue/copa:train": [SHIPPED["copa"][1]],
            "aps/super_glue/boolq:train": [{**SHIPPED["boolq"][1], "label": 1}],
        },
    )
    for task in ("wsc", "multirc", "record", "copa", "boolq"):
        ours, theirs = read({"superglue": task}), read({"superglue": task, "folder": str(shipped(tmp_path, task))})
        assert [_said(example) for example in ours.examples] == [_said(example) for example in theirs.examples]


def _said(example: Any) -> tuple[Any, ...]:
    if isinstance(example, SpanQuestion):
        return example.question, example.context, example.answers, example.origin.group
    return example.text, example.text_pair, example.label, example.origin.group


@pytest.mark.parametrize(("task", "count"), [("boolq", 3_270), ("cb", 56), ("rte", 277), ("wic", 500), ("wsc", 104)])
def test_published_files_are_read_whole(task: str, count: int) -> None:
    assert len(read({"superglue": f"{task}:validation", "folder": str(real_data("superglue"))}).examples) == count
