"""Instructions that a program can verify, in a run of one's own."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.metrics.made import HERE, value_of
from tunesmith.core import registry
from tunesmith.core.errors import UsageError
from tunesmith.core.types import Chat, Completion, Example, Message, Output


def _file(folder: Path, *rows: Any) -> str:
    path = folder / "asked.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return str(path)


def _row(prompt: str, **instructions: dict[str, Any]) -> dict[str, Any]:
    ids = [name.replace("__", ":") for name in instructions]
    return {"prompt": prompt, "instruction_id_list": ids, "kwargs": list(instructions.values()), "completion": "whatever"}


def test_an_answer_counts_where_it_follows_every_instruction_of_its_prompt(tmp_path: Path) -> None:
    words = {"relation": "at least", "num_words": 3}
    file = _file(
        tmp_path, _row("Short?", punctuation__no_comma={}), _row("Long?", punctuation__no_comma={}, length_constraints__number_words=words)
    )
    talk = Chat((Message("user", "Hello"), Message("assistant", "Hi"), Message("user", "Long?"), Message("assistant", "x")), HERE)
    examples: list[Example] = [Completion("Short?", "x", HERE), Completion("Long?", "x", HERE), talk, Completion("Long?", "x", HERE)]
    said = [Output(text=text) for text in ("Yes", "Yes it is", "Yes, it really is", "Yes")]
    assert value_of("instructions_followed", said, [""] * 4, examples, instructions=file) == 0.5
    metric = registry.create("metric", "instructions_followed", instructions=file)
    assert metric.applies(talk, "")
    assert not metric.applies(Completion("Something else", "x", HERE), "")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "x"}, "asked.jsonl:1: no 'instruction_id_list'"),
        (_row("x", punctuation__no_dots={}), "asked.jsonl:1: 'punctuation:no_dots' is no instruction of IFEval"),
        ({**_row("x", punctuation__no_comma={}), "kwargs": []}, r"asked.jsonl:1: kwargs: found \[\], expected an object for each of 1"),
        ([1], "asked.jsonl:1: list indices"),
    ],
)
def test_what_is_no_instruction_is_one_line(row: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises((UsageError, ValueError), match=said):
        registry.create("metric", "instructions_followed", instructions=_file(tmp_path, row))
