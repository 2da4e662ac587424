"""GLUE's tasks from files laid out as their authors ship them."""

from pathlib import Path
from typing import Any

import pytest

from tests.real_data import real_data
from tunesmith.core import registry
from tunesmith.core.errors import DataError, FetchError, UsageError
from tunesmith.core.types import Labelled, Origin, Rated
from tunesmith.data import read
from tunesmith.data.table import Table, TableFacts

LAYOUTS = {
    "cola": ("CoLA/train.tsv", 'gj04\t1\t\tThe "car" honked.\ngj04\t0\t*\tHim sleeps.\n'),
    "sst2": ("SST-2/train.tsv", "sentence\tlabel\nso so \t1\n\" unclosed\t0\n"),
    "mrpc": (
        "MRPC/msr_paraphrase_train.txt",
        '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t1\t2\t"Yes," he said.\tHe agreed.\n0\t3\t4\t"No"\t"He said no.\n',
    ),
    "qqp": (
        "QQP/train.tsv",
        'id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\t"Who" is he?\tWho was he?\t1\n1\t3\t4\t"Why?"\tWhy "not?\t0\n',
    ),
    "stsb": (
        "STS-B/train.tsv",
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n0\tg\tf\t2012\t1\tnone\tnone\tA cat.\tA dog.\t1.250\n",
    ),
    "mnli": (
        "MNLI/train.tsv",
        "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label\n"
        "0\t1\t1n\tfiction\t( a )\t( b )\t(X a)\t(X b)\tIt rains.\tIt is \"wet\".\tneutral\tneutral\n",
    ),
    "qnli": ("QNLI/train.tsv", 'index\tquestion\tsentence\tlabel\n0\tWho is "X"?\t"X is Y."\tentailment\n1\tWhy?\t"Because.\tnot_entailment\n'),
    "rte": ("RTE/train.tsv", "index\tsentence1\tsentence2\tlabel\n0\tA and B.\tB.\tentailment\n"),
    "wnli": ("WNLI/train.tsv", "index\tsentence1\tsentence2\tlabel\n0\tHe took it.\tThe man took it.\t1\n1\tIt fell.\tThe sky fell.\t0\n"),
}  # fmt: skip


def shipped(folder: Path, task: str) -> Path:
    file = folder / LAYOUTS[task][0]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(LAYOUTS[task][1], encoding="utf-8")
    return folder


def examples(task: str, folder: Path, **options: Any) -> list[Any]:
    return list(read({"glue": task, "folder": str(folder)}, **options).examples)


def rows(task: str, folder: Path) -> list[tuple[Any, ...]]:
    return [(e.text, e.text_pair, e.label if isinstance(e, Labelled) else e.value) for e in examples(task, shipped(folder, task))]


def test_cola_has_no_header_and_four_columns(tmp_path: Path) -> None:
    assert rows("cola", tmp_path) == [('The "car" honked.', None, "acceptable"), ("Him sleeps.", None, "unacceptable")]


def test_a_quote_is_a_character_like_any_other(tmp_path: Path) -> None:
    assert rows("sst2", tmp_path) == [("so so ", None, "positive"), ('" unclosed', None, "negative")]
    assert rows("mrpc", tmp_path) == [('"Yes," he said.', "He agreed.", "equivalent"), ('"No"', '"He said no.', "not_equivalent")]
    assert rows("qqp", tmp_path) == [('"Who" is he?', "Who was he?", "duplicate"), ('"Why?"', 'Why "not?', "not_duplicate")]
    assert rows("qnli", tmp_path) == [('Who is "X"?', '"X is Y."', "entailment"), ("Why?", '"Because.', "not_entailment")]


def test_the_label_of_mnli_is_the_gold_one_among_twelve_columns(tmp_path: Path) -> None:
    assert rows("mnli", tmp_path) == [("It rains.", 'It is "wet".', "neutral")]
    assert read({"glue": "mnli", "folder": str(tmp_path)}).facts.labels == ("entailment", "neutral", "contradiction")


def test_pairs_with_labels_as_words_or_as_numbers(tmp_path: Path) -> None:
    assert rows("rte", tmp_path) == [("A and B.", "B.", "entailment")]
    assert rows("wnli", tmp_path) == [("He took it.", "The man took it.", "entailment"), ("It fell.", "The sky fell.", "not_entailment")]


def test_stsb_is_rated_with_a_header_and_without_one_and_with_fields_behind_the_sentences(tmp_path: Path) -> None:
    assert rows("stsb", tmp_path / "glue") == [("A cat.", "A dog.", 1.25)]
    original = tmp_path / "stsbenchmark"
    original.mkdir()
    (original / "sts-dev.csv").write_text(
        'main\tMSR\t2012\t01\t5.000\tA "b".\tA b.\nmain\theadlines\t2013\t02\t0\tC\tD\thttp://a\thttp://b\n'
    )
    found = examples("stsb:validation", original)
    file = str(original / "sts-dev.csv")
    assert found == [Rated('A "b".', 5.0, Origin(file, 1), "A b."), Rated("C", 0.0, Origin(file, 2), "D")]


@pytest.mark.parametrize("name", ["sst2_glue", "SST-2", "glue-sst2", ""])
def test_the_tasks_folder_may_be_called_in_several_ways_or_be_the_one_that_is_named(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    (folder / "dev.tsv").write_text("sentence\tlabel\ngood\t1\nbad\t0\n")
    assert [e.label for e in examples("sst2:validation", tmp_path)] == ["positive", "negative"]


def test_mnli_has_two_parts_to_be_measured_on(tmp_path: Path) -> None:
    header, row = LAYOUTS["mnli"][1].splitlines()
    for part, label in (("matched", "entailment"), ("mismatched", "contradiction")):
        file = tmp_path / "MNLI" / f"dev_{part}.tsv"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{header}\n{row.removesuffix('neutral')}{label}\n")
    assert [e.label for e in examples("mnli:validation", tmp_path)] == ["entailment"]
    assert [e.label for e in examples("mnli:validation_mismatched", tmp_path)] == ["contradiction"]


@pytest.mark.parametrize(
    ("task", "content", "said"),
    [
        ("sst2", "sentence\tlabel\nfine\t2\n", r'train\.tsv:2: the label "2" is none of the task\'s: 0 or negative, 1 or positive\.'),
        ("sst2", "sentence\tlabel\nfine\n", r"train\.tsv:2: 1 fields, expected 2, parted by tabs\."),
        ("sst2", "sentence\tlabel\nfine\tfine\t1\n", r"train\.tsv:2: 3 fields, expected 2"),
        ("sst2", "index\tsentence\n0\tfine\n", r"train\.tsv:1: the header has no column label: index, sentence\. .*use the part validation"),
        ("rte", "a\tb\n", r"train\.tsv:1: no header of RTE: expected sentence1, sentence2, label, parted by tabs"),
        ("rte", "index\tsentence1\tsentence2\tlabel\n0\tA\tB\tneutral\n", r'train\.tsv:2: the label "neutral" is none .*0 or entailment, 1 or not_entailment'),
        ("stsb", "g\tf\ty\t1\t7.5\tA\tB\n", r'train\.tsv:1: the score "7\.5", expected a number from 0 to 5'),
        ("stsb", "g\tf\ty\t1\tnan\tA\tB\n", r'train\.tsv:1: the score "nan"'),
        ("cola", "gj04\t1\tHe left.\n", r"train\.tsv:1: 3 fields, expected 4"),
        ("cola", "", r"train\.tsv: the file is empty"),
        ("sst2", "sentence\tlabel\n", r"train\.tsv: holds no rows"),
        ("sst2", "sentence\tlabel\n\t1\n", r'train\.tsv:2: the column "sentence1" is empty'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_or_a_row_is_said_in_a_line(task: str, content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text(content)
    with pytest.raises(DataError, match=said) as caught:
        examples(task, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_row_that_is_broken_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("sentence\tlabel\ngood\t1\nbroken\nbad\t0\nodd\t7\n")
    found = read({"glue": "sst2", "folder": str(tmp_path)}, skip_invalid=True)
    assert [e.text for e in found.examples] == ["good", "bad"]  # type: ignore[union-attr]
    assert [row.row for row in found.invalid] == [3, 5]


def test_a_missing_file_folder_task_or_part_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no SST-2/dev\.tsv, the file of this part of SST-2 as its authors ship it"):
        examples("sst2:validation", tmp_path)
    with pytest.raises(DataError, match=r"gone: no such folder\. Name one that holds MNLI/train\.tsv"):
        examples("mnli", tmp_path / "gone")
    with pytest.raises(UsageError, match=r'glue: "sst" is no task of GLUE\. Did you mean "sst2"'):
        examples("sst", tmp_path)
    with pytest.raises(UsageError, match=r'glue: sst2 has no part "validate"\. Did you mean "validation"'):
        examples("sst2:validate", tmp_path)


def hub(monkeypatch: pytest.MonkeyPatch, tables: dict[str, list[dict[str, Any]]]) -> None:
    """A hub that holds these tables."""
    from tunesmith.data.sources.hub import Hub

    def from_tables(self: Hub, source: str) -> Table:
        if source not in tables:
            raise FetchError(f"{source}: the hub did not give it.")
        records = tables[source]
        return Table(records, [Origin(source, row) for row, _ in enumerate(records, start=1)], TableFacts(source, "0" * 64, "some licence"))

    monkeypatch.setattr(Hub, "read", from_tables)


def test_without_a_folder_the_hub_is_asked_and_its_numbers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(
        monkeypatch,
        {
            "nyu-mll/glue/mrpc:validation": [{"sentence1": "a", "sentence2": "b", "label": 1, "idx": 0}],
            "nyu-mll/glue/mnli:validation_matched": [{"premise": "a", "hypothesis": "b", "label": 2, "idx": 0}],
            "nyu-mll/glue/stsb:train": [{"sentence1": "a", "sentence2": "b", "label": 3.75, "idx": 0}],
            "nyu-mll/glue/sst2:test": [{"sentence": "a", "label": -1, "idx": 0}],
        },
    )
    found = read({"glue": "mrpc:validation"})
    assert found.examples == [Labelled("a", "equivalent", Origin("nyu-mll/glue/mrpc:validation", 1), "b")]
    assert (found.facts.labels, found.facts.licence) == (("not_equivalent", "equivalent"), "some licence")
    assert read({"glue": "mnli:validation"}).examples[0].label == "contradiction"  # type: ignore[union-attr]
    assert read({"glue": "stsb"}).examples[0].value == 3.75  # type: ignore[union-attr]
    with pytest.raises(
        DataError, match=r"sst2:test:1: the label -1 is none .*judged by the benchmark's own server; use the part validation"
    ):
        read({"glue": "sst2:test"})
    with pytest.raises(
        FetchError, match=r"cola:train: the hub did not give it\. Check the network .*the files of GLUE .*data\.folder=FOLDER"
    ):
        read({"glue": "cola"})


def test_its_path_is_made_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    assert registry.create("data_source", "glue", glue="sst2", folder="here").whole_paths() == {"folder": str(tmp_path / "here")}
    assert registry.create("data_source", "glue", glue="sst2").whole_paths() == {}


@pytest.mark.parametrize(
    ("folder", "source", "count"),
    [
        ("sst2_glue", "sst2", 60_614), ("sst2_glue", "sst2:test", 872), ("glue_mrpc", "mrpc", 2_576), ("glue_mrpc", "mrpc:test", 1_725),
        ("glue_rte", "rte:validation", 139), ("glue_stsb", "stsb", 5_749), ("glue_stsb", "stsb:test", 1_379),
    ],
)  # fmt: skip
def test_published_files_are_read_whole(folder: str, source: str, count: int) -> None:
    assert len(examples(source, real_data(folder).parent)) == count
