"""Workbooks, put together by hand from the XML of their parts, are read as tables."""

import resource
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import DataError
from tunesmith.data import _xlsx, iter_rows, read
from tunesmith.data._xlsx_values import has_time, moment

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STYLES = (
    f'<styleSheet {MAIN}><numFmts count="2"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/><numFmt numFmtId="165" formatCode="0.00&quot; days&quot;"/></numFmts>'
    '<cellStyleXfs count="1"><xf numFmtId="14"/></cellStyleXfs>'
    '<cellXfs count="5"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="22"/></cellXfs></styleSheet>'
)


def workbook(
    path: Path, sheets: dict[str, str], *, strings: str = "", properties: str = "", states: dict[str, str] | None = None, **changed: Any
) -> Path:
    """Write a workbook: `sheets` is name -> the XML of its rows; `changed` puts other bytes (or, with None, nothing) in the place of a part."""
    states = states or {}
    listed = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"{f" state={chr(34)}{states[name]}{chr(34)}" if name in states else ""}/>'
        for n, name in enumerate(sheets, 1)
    )
    relations = "".join(
        f'<Relationship Id="rId{n}" Type="{RELATION}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in range(1, len(sheets) + 1)
    )
    parts: dict[str, Any] = {
        "xl/workbook.xml": f"<workbook {MAIN}>{properties}<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{relations}</Relationships>',
        "xl/styles.xml": STYLES,
        "xl/sharedStrings.xml": f"<sst {MAIN}>{strings}</sst>",
        **{
            f"xl/worksheets/sheet{n}.xml": f"<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>"
            for n, rows in enumerate(sheets.values(), 1)
        },
    }
    parts.update({name.replace("__", "/").replace("_xml", ".xml"): content for name, content in changed.items()})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            if content is not None:
                archive.writestr(name, content)
    return path


def row(number: int, *cells: str) -> str:
    return f'<row r="{number}">{"".join(cells)}</row>'


def text(place: str, value: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'


HEADER = row(1, text("A1", "text"), text("B1", "label"))


def refused(path: Path, sheet: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        list(iter_rows(path, sheet=sheet))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_kind_of_cell(tmp_path: Path) -> None:
    strings = (
        "<si><t>text</t></si><si><t xml:space='preserve'> two  spaces </t></si><si><r><t>in </t></r><r><rPr><b/></rPr><t>runs</t></r><rPh sb='0' eb='1'><t>READ</t></rPh></si>"
        "<si><t>a_x000D_\nb &amp; c</t></si>"
    )
    names = [
        text(f"{letter}1", name)
        for letter, name in zip("BCDEFGHI", ["whole", "part", "yes", "formula", "said", "day", "moment", "iso"], strict=True)
    ]
    rows = row(1, '<c r="A1" t="s"><v>0</v></c>', *names) + row(
        3,
        '<c r="A3" t="s"><v>1</v></c>',
        '<c r="B3"><v>42</v></c>',
        '<c r="C3" t="n"><v>0.5</v></c>',
        '<c r="D3" t="b"><v>1</v></c>',
        '<c r="E3"><f>SUM(B3:C3)</f><v>42.5</v></c>',
        '<c r="F3" t="str"><f>A3&amp;"!"</f><v>so it is!</v></c>',
        '<c r="G3" s="1"><v>45658</v></c>',
        '<c r="H3" s="4"><v>45658.75</v></c>',
        '<c r="I3" t="d"><v>2025-01-01T12:00:00</v></c>',
    )
    rows += (
        row(4, '<c r="A4" t="s"><v>2</v></c>', '<c r="C4" s="3"><v>3</v></c>', '<c r="G4" s="2"><v>1</v></c>')
        + row(5)
        + row(6, '<c r="A6" t="s"><v>3</v></c>')
    )
    path = workbook(tmp_path / "a.xlsx", {"One": rows}, strings=strings)
    empty = dict.fromkeys(["text", "whole", "part", "yes", "formula", "said", "day", "moment", "iso"])
    assert list(iter_rows(path)) == [
        (
            3,
            {
                "text": " two  spaces ", "whole": 42, "part": 0.5, "yes": True, "formula": 42.5, "said": "so it is!", "day": "2025-01-01",
                "moment": "2025-01-01T18:00:00", "iso": "2025-01-01T12:00:00",
            },
        ),
        (4, {**empty, "text": "in runs", "part": 3, "day": "1900-01-01"}),
        (6, {**empty, "text": "a\r\nb & c"}),
    ]  # fmt: skip


def test_a_workbook_is_read_as_a_file_and_its_rows_are_those_of_the_sheet(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx",
        {"One": HEADER + row(2, text("A2", "fine"), text("B2", "good")) + row(7, text("A7", "dull"), text("B7", "bad"))},
    )
    dataset = read(str(path))
    assert [(example.origin.row, example.label) for example in dataset.examples] == [(2, "good"), (7, "bad")]  # type: ignore[union-attr]
    assert dataset.facts.notes == ()


def test_the_first_visible_sheet_is_read_and_another_by_its_name(tmp_path: Path) -> None:
    sheets = {name: row(1, text("A1", "text")) + row(2, text("A2", name)) for name in ("Hidden", "First", "Second")}
    path = workbook(tmp_path / "a.xlsx", sheets, states={"Hidden": "hidden"})
    dataset = read(str(path))
    assert [example.text for example in dataset.examples] == ["First"]  # type: ignore[union-attr]
    assert dataset.facts.notes == (
        f'{path}: read its first sheet, "First"; not "Second", "Hidden": {{file: {path}, sheet: NAME}} reads another',
    )
    for name in ("Second", "Hidden"):
        assert [example.text for example in read({"file": str(path), "sheet": name}).examples] == [name]  # type: ignore[union-attr]
    assert 'no sheet "second". Did you mean "Second"' in refused(path, "second")
    with pytest.raises(DataError, match="has no sheets, as it is no .xlsx file"):
        read({"file": "a.csv", "sheet": "One"})


def test_rows_are_read_one_at_a_time(tmp_path: Path) -> None:
    rows = "".join(row(n, text(f"A{n}", f"row {n * 7919 % 10007}" + "x" * 100)) for n in range(2, 40_000))
    path = workbook(tmp_path / "a.xlsx", {"One": row(1, text("A1", "text")) + rows + row(40_000, '<c r="A40000" t="e"><v>#N/A</v></c>')})
    found = iter_rows(path)
    assert next(found)[0] == 2
    with pytest.raises(DataError, match=r"a\.xlsx:40000: the cell A40000 holds the error #N/A"):
        list(found)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (HEADER + row(2, text("A2", "x"), '<c r="B2" t="e"><v>#DIV/0!</v></c>'), "a.xlsx:2: the cell B2 holds the error #DIV/0!"),
        (HEADER + row(2, text("A2", "x"), '<c r="B2"><f>A2</f></c>'), "a.xlsx:2: the cell B2 holds a formula without its value"),
        (HEADER + row(2, text("A2", "x"), text("AB2", "y")), "a.xlsx:2: the cell in column AB stands below no name in the header"),
        (row(1, text("A1", "text"), text("B1", "text")), 'a.xlsx:1: the header names the column "text" twice'),
        (HEADER + row(2, '<c r="A2" t="s"><v>9</v></c>'), "a.xlsx:2: the cell A2 holds '9'"),
        (HEADER + row(2, '<c r="A2"><v>many</v></c>'), "a.xlsx:2: the cell A2 holds 'many'"),
        (HEADER + row(2, '<c r="A2"><v>1e999</v></c>'), "a.xlsx:2: the cell A2 holds '1e999'"),
        (HEADER + '<row r="two"></row>', "is broken"),
        (HEADER + "<row>", "is broken"),
    ],
)
def test_mistakes_are_named_by_row_and_cell(rows: str, said: str, tmp_path: Path) -> None:
    assert said in refused(workbook(tmp_path / "a.xlsx", {"One": rows}))


def test_a_sheet_with_a_header_alone_holds_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the file holds no rows below its header"):
        read(str(workbook(tmp_path / "a.xlsx", {"One": HEADER})))


def test_what_is_no_workbook(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"text,label\n")
    assert "cannot be unpacked" in refused(path)
    whole = workbook(path, {"One": HEADER}).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "cannot be unpacked" in refused(path)
    assert "xl/workbook.xml is missing" in refused(workbook(path, {"One": HEADER}, xl__workbook_xml=None))
    assert "xl/worksheets/sheet1.xml is missing" in refused(workbook(path, {"One": HEADER}, xl__worksheets__sheet1_xml=None))
    assert "has no sheet of cells" in refused(workbook(path, {}))


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE w [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE w SYSTEM "http://localhost:1/x.dtd">',
    ],
)
def test_entities_and_document_types_are_refused(declared: str, tmp_path: Path) -> None:
    sheet = f"{declared}<worksheet {MAIN}><sheetData>{HEADER}</sheetData></worksheet>"
    assert "declares a document type or entities" in refused(workbook(tmp_path / "a.xlsx", {"One": ""}, xl__worksheets__sheet1_xml=sheet))


@pytest.mark.skipif(sys.platform == "win32", reason="the memory of a process is read otherwise there")
@pytest.mark.parametrize(
    ("part", "start", "said"),
    [
        ("xl__worksheets__sheet1_xml", "<sheetData>", "unpacks to more than 300 times its size"),
        (
            "xl__worksheets__sheet1_xml",
            '<sheetData><row r="1"><c r="A1" t="str"><v>',
            "a.xlsx:1: the cell A1 holds more than a million characters",
        ),
        ("xl__sharedStrings_xml", "", "unpacks to more than 300 times its size"),
        ("xl__sharedStrings_xml", "<si><t>", "more than 64 MB of text"),
        ("xl__workbook_xml", "", "unpacks to more than 300 times its size"),
    ],
)
def test_a_workbook_made_to_fill_the_memory_does_not(
    part: str, start: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_xlsx, "_MOST_STRINGS_BYTES", 64 * 2**20)
    path = workbook(tmp_path / "a.xlsx", {"One": HEADER}, **{part: None})
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open(part.replace("__", "/").replace("_xml", ".xml"), "w") as file,
    ):
        file.write(f"<x {MAIN}>{start}".encode())
        for _ in range(400):
            file.write(b" " * 2**20)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    assert said in refused(path)
    assert time.perf_counter() - started < 5
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 300


def test_texts_and_cells_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_xlsx, "_MOST_STRINGS_BYTES", 1000)
    assert "of text. Save it as csv" in refused(workbook(tmp_path / "a.xlsx", {"One": HEADER}, strings="<si><t>abc</t></si>" * 50))
    monkeypatch.setattr(_xlsx, "_MOST_CELL_CHARACTERS", 100)
    assert "a.xlsx:2: the cell A2 holds more than" in refused(
        workbook(tmp_path / "a.xlsx", {"One": HEADER + row(2, text("A2", "x" * 101))})
    )


@pytest.mark.parametrize(
    ("days", "shown"),
    [
        (1, "1900-01-01"), (59, "1900-02-28"), (60, "1900-02-29"), (61, "1900-03-01"), (36526, "2000-01-01"), (45658.5, "2025-01-01T12:00:00"),
        (0.25, "06:00:00"), (45658 + 1 / 86400, "2025-01-01T00:00:01"), (2958465, "9999-12-31"), (2958466, 2958466), (-1, -1),
    ],
)  # fmt: skip
def test_days_are_counted_as_spreadsheets_count(days: float, shown: Any) -> None:
    """Serial numbers from ECMA-376, part 1, 18.17.4.1, and from Excel's own DATE(2000, 1, 1) = 36526."""
    assert moment(days, False) == shown


def test_workbooks_of_old_macintoshes_count_from_1904(tmp_path: Path) -> None:
    assert moment(0, True) == "00:00:00"
    assert moment(35064, True) == "2000-01-01"  # 1462 days fewer than from 1900
    path = workbook(
        tmp_path / "a.xlsx",
        {"One": row(1, text("A1", "day")) + row(2, '<c r="A2" s="1"><v>35064</v></c>')},
        properties='<workbookPr date1904="1"/>',
    )
    assert list(iter_rows(path)) == [(2, {"day": "2000-01-01"})]


@pytest.mark.parametrize(
    ("key", "code", "is_date"),
    [
        (14, None, True), (22, None, True), (0, None, False), (2, None, False), (46, None, False), (164, "General", False), (164, "dd/mm/yy;@", True),
        (164, '0.00" days"', False), (164, "[Red]0;[Blue]-0", False), (164, "[h]:mm:ss", False), (164, "[$-409]mmm d", True), (164, "#,##0\\ \\d", False), (164, "0.0_d", False),
    ],
)  # fmt: skip
def test_formats_that_show_dates(key: int, code: str | None, is_date: bool) -> None:
    assert has_time(key, code) == is_date


def test_what_openpyxl_writes_is_read(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    import datetime

    book = openpyxl.Workbook()
    book.active.append(["text", "label", "day", "moment", "part"])
    book.active.append(["fine <&> ü", 1, datetime.date(2025, 1, 2), datetime.datetime(2025, 1, 2, 3, 4, 5), 0.25])
    book.save(tmp_path / "a.xlsx")
    assert list(iter_rows(tmp_path / "a.xlsx")) == [
        (2, {"text": "fine <&> ü", "label": 1, "day": "2025-01-02", "moment": "2025-01-02T03:04:05", "part": 0.25})
    ]
