"""Tables whose first row is data already."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from tests.real_data import real_data
from tunesmith.core.errors import DataError
from tunesmith.core.types import Labelled, Origin
from tunesmith.data import read


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_columns_get_their_names_and_the_first_row_is_data() -> None:
    Path("sms.tsv").write_text("ham\tSee you\nspam\tWin now\n")
    dataset = read({"table": "sms.tsv", "names": "label, text"})
    assert dataset.examples == [Labelled("See you", "ham", Origin("sms.tsv", 1)), Labelled("Win now", "spam", Origin("sms.tsv", 2))]
    assert (dataset.facts.name, dataset.facts.format, dataset.facts.labels) == ("sms.tsv", "labelled", ("ham", "spam"))


def test_a_packed_csv_with_quotes_may_have_no_header_either() -> None:
    Path("a.csv.gz").write_bytes(gzip.compress(b'good,"a, b"\n\nbad,"c ""d"""\n'))
    examples: Any = read({"table": "a.csv.gz", "names": "label,text"}).examples
    assert [(example.text, example.label, example.origin.row) for example in examples] == [("a, b", "good", 1), ('c "d"', "bad", 3)]


@pytest.mark.parametrize(
    ("content", "names", "said"),
    [
        ("a,b\n", "text", r"a\.csv:1: 2 fields where 1 columns are named"),
        ("a,b\nc,d,e\n", "label, text", r"a\.csv:2: 3 fields where 2 columns are named"),
        ("a,b\n", "text, text", "names: .*expected a name of its own for every column"),
        ("a,b\n", "text,", "names: .*expected a name of its own for every column"),
        ("\n\n", "label, text", r"a\.csv: the file holds no rows\."),
    ],
)
def test_what_cannot_be_right_is_said(content: str, names: str, said: str) -> None:
    Path("a.csv").write_text(content)
    with pytest.raises(DataError, match=said):
        read({"table": "a.csv", "names": names})


def test_rows_with_other_numbers_of_fields_are_left_out_where_that_is_asked_for() -> None:
    Path("a.csv").write_text("good,a\nbad,b,c\nbad,d\n")
    dataset = read({"table": "a.csv", "names": "label,text"}, skip_invalid=True)
    assert [row.row for row in dataset.invalid] == [2]
    assert len(dataset.examples) == 2


@pytest.mark.parametrize("file", ["a.jsonl", "a.txt"])
def test_a_file_of_another_kind_has_no_columns_to_name(file: str) -> None:
    Path(file).write_text('{"text": "a"}\n')
    with pytest.raises(DataError, match=r"no \.csv or \.tsv file"):
        read({"table": file, "names": "text"})


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(DataError, match=r"gone\.csv: no such file"):
        read({"table": "gone.csv", "names": "text"})


def test_a_file_whose_columns_nobody_knows_is_told_of_the_way() -> None:
    Path("sms.tsv").write_text("ham\tSee you\nspam\tWin now\n")
    with pytest.raises(DataError, match=r'without a header.*\{table: sms\.tsv, names: "label, text"\}'):
        read("sms.tsv")


def test_the_sms_spam_collection_is_read_whole() -> None:
    dataset = read({"table": str(real_data("sms_spam") / "sms.tsv"), "names": "label, text"})
    assert (len(dataset.examples), dataset.facts.labels) == (5574, ("ham", "spam"))
