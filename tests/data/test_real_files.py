"""Published files, byte for byte as their authors ship them, are read as what they are. They lie beside the project on some machines only."""

from typing import Any

import pytest

from tests.real_data import real_data
from tunesmith.core.errors import DataError
from tunesmith.core.types import Preference, Unpaired
from tunesmith.data import read

FILES = [
    ("gsm8k", "train.jsonl", "pairs", 7_473),
    ("preference_demo", "dpo_en_demo.json", "preference", 300),
    ("preference_demo", "kto_en_demo.json", "unpaired", 300),
    ("tulu_pref_sample", "preference_sample.jsonl", "preference", 100),
    ("glue_rte", "dev.tsv", "labelled", 139),
    ("sst2_glue", "dev.tsv", "labelled", 6_735),
    ("superglue", "CB__val.jsonl", "labelled", 56),
    ("xquad", "xquad.en.json", "squad", 1_190),
    ("raw_corpora", "c4_demo.jsonl", "text", 300),
    ("raw_corpora", "tiny_shakespeare.txt", "text", 7_222),
]


@pytest.mark.parametrize(("folder", "file", "form", "count"), FILES, ids=[f"{folder}-{file}" for folder, file, *_ in FILES])
def test_the_format_is_found_and_every_row_is_an_example(folder: str, file: str, form: str, count: int) -> None:
    found = read(str(real_data(folder) / file))
    assert (found.facts.format, len(found.examples)) == (form, count)


def test_hh_rlhf_is_preferences_but_for_a_row_without_an_answer() -> None:
    file = str(real_data("hh_rlhf") / "test.jsonl.gz")
    with pytest.raises(DataError, match=r'test\.jsonl\.gz:87: the column "chosen" does not end with an answer'):
        read(file)
    found = read(file, skip_invalid=True)
    assert (found.facts.format, len(found.examples) + len(found.invalid)) == ("preference", 2_312)
    example = found.examples[0]
    assert isinstance(example, Preference)
    assert [message.role for message in example.prompt] == ["user", "assistant"] * (len(example.prompt) // 2) + ["user"]


def test_kto_demo_says_what_was_liked() -> None:
    examples = read(str(real_data("preference_demo") / "kto_en_demo.json")).examples
    assert {example.is_liked for example in examples if isinstance(example, Unpaired)} == {True, False}


@pytest.mark.parametrize(
    ("folder", "source", "form", "count"),
    [
        ("mmlu", {"table": "dev/anatomy_dev.csv", "names": "question, A, B, C, D, answer"}, "choices", 5),
        ("multi30k", {"source": "val.en.gz", "target": "val.de.gz"}, "pairs", 1_014),
    ],
)
def test_files_that_a_mapping_names(folder: str, source: dict[str, Any], form: str, count: int) -> None:
    paths = {key: value if key == "names" else str(real_data(folder) / value) for key, value in source.items()}
    found = read(paths)
    assert (found.facts.format, len(found.examples)) == (form, count)


def test_comments_are_read_by_their_own_columns() -> None:
    found = read(str(real_data("youtube_spam") / "01-9bZkp7q19f0.csv"), columns={"text": "CONTENT", "label": "CLASS"})
    assert (found.facts.format, found.facts.labels) == ("labelled", ("0", "1"))
    assert any("columns that are not read: COMMENT_ID, AUTHOR, DATE" in note for note in found.facts.notes)
