import json
from pathlib import Path

import pytest

from tunesmith.core.errors import DataError
from tunesmith.data import iter_records, iter_rows


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def fails(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        list(iter_rows(path))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_csv_row_is_the_line_where_it_begins(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", 'text,label\n"two\nlines",1\n\nplain,0\n')
    assert list(iter_rows(file)) == [(2, {"text": "two\nlines", "label": "1"}), (5, {"text": "plain", "label": "0"})]


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_data(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", b"\xef\xbb\xbftext,label\r\ngood,1\r\n")
    assert list(iter_records(file)) == [{"text": "good", "label": "1"}]


def test_semicolons_part_fields_where_the_header_has_no_comma(tmp_path: Path) -> None:
    assert list(iter_records(write(tmp_path / "a.csv", "text;label\na, b;1\n"))) == [{"text": "a, b", "label": "1"}]


def test_ragged_rows_are_refused_by_line(tmp_path: Path) -> None:
    message = fails(write(tmp_path / "a.csv", "text,label\nfine,1\na, b,1\n"))
    assert "a.csv:3: 3 fields where the header has 2" in message


def test_an_unclosed_quote_is_refused_where_its_row_begins(tmp_path: Path) -> None:
    assert "a.csv:3: broken csv" in fails(write(tmp_path / "a.csv", 'text,label\nfine,1\n"open,1\nx,0\n'))


def test_a_header_that_names_a_column_twice_is_refused(tmp_path: Path) -> None:
    assert 'names the column "text" twice' in fails(write(tmp_path / "a.csv", "text,text\na,b\n"))


def test_tsv_quotes_are_characters_where_they_do_not_pair(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tsv", 'text\tlabel\n"well said\t1\nplain\t0\n')
    assert [record["text"] for record in iter_records(file)] == ['"well said', "plain"]
    quoted = write(tmp_path / "b.tsv", 'text\tlabel\n"a\tb"\t1\n')
    assert [record["text"] for record in iter_records(quoted)] == ["a\tb"]


def test_broken_json_is_named_by_its_line(tmp_path: Path) -> None:
    lines = ['{"text": "x"}'] * 3416 + ['{"text": "x"'] + ['{"text": "x"}'] * 10
    message = fails(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert "a.jsonl:3417: broken JSON" in message


def test_a_jsonl_line_that_is_no_object_is_refused(tmp_path: Path) -> None:
    assert "a.jsonl:2: found list, expected a JSON object" in fails(write(tmp_path / "a.jsonl", '{"text": "x"}\n[1]\n'))


def test_json_is_an_array_or_has_data(tmp_path: Path) -> None:
    rows = [{"text": "a"}, {"text": "b"}]
    for name, value in (("a.json", rows), ("b.json", {"data": rows})):
        assert list(iter_rows(write(tmp_path / name, json.dumps(value)))) == [(1, rows[0]), (2, rows[1])]
    assert "expected an array of objects" in fails(write(tmp_path / "c.json", '{"rows": []}'))
    assert "name the file .jsonl" in fails(write(tmp_path / "d.json", '{"text": "a"}\n{"text": "b"}\n'))


def test_other_encodings_are_named_by_line_and_byte(tmp_path: Path) -> None:
    message = fails(write(tmp_path / "a.csv", b"text,label\nfine,1\nclich\xe9,0\n"))
    assert "a.csv:3: not UTF-8: byte 0xe9 at offset 23" in message
    assert "iconv" in message
    assert "UTF-16" in fails(write(tmp_path / "b.csv", "text,label\n".encode("utf-16")))


def test_missing_empty_and_unknown_files(tmp_path: Path) -> None:
    assert "no such file" in fails(tmp_path / "none.csv")
    assert "empty (0 bytes)" in fails(write(tmp_path / "a.csv", ""))
    assert ".jsonl" in fails(write(tmp_path / "a.docx", "x"))


def test_parquet_rows_and_broken_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["a", "b"], "label": [0, 1]}), tmp_path / "a.parquet")
    assert list(iter_rows(tmp_path / "a.parquet")) == [(1, {"text": "a", "label": 0}), (2, {"text": "b", "label": 1})]
    assert "not a whole parquet file" in fails(write(tmp_path / "b.parquet", b"PAR1 broken"))


def test_txt_is_paragraphs_or_lines(tmp_path: Path) -> None:
    assert list(iter_rows(write(tmp_path / "a.txt", "one\ntwo\n"))) == [(1, {"text": "one"}), (2, {"text": "two"})]
    assert list(iter_rows(write(tmp_path / "b.txt", "\none\nmore\n\n\ntwo\n\n"))) == [(2, {"text": "one\nmore"}), (6, {"text": "two"})]


def test_a_missing_column_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='a.csv:2: no column "txt". Did you mean "text"'):
        list(iter_records(write(tmp_path / "a.csv", "text,label\na,1\n"), ["txt"]))


def test_rows_are_read_one_at_a_time(tmp_path: Path) -> None:
    """A broken line is met only where it stands: nothing before it needed the whole file."""
    rows = iter_rows(write(tmp_path / "a.jsonl", '{"text": "first"}\nbroken\n'))
    assert next(rows) == (1, {"text": "first"})
    with pytest.raises(DataError):
        next(rows)


def test_fields_longer_than_the_csv_modules_own_limit(tmp_path: Path) -> None:
    text = "long " * 60_000
    assert next(iter(iter_records(write(tmp_path / "a.csv", f"text,label\n{text},1\n"))))["text"] == text
