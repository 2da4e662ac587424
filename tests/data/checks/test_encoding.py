"""Mojibake is told from text with accents, and read as what was meant."""

import pytest

from tests.data.checks.rows import texts
from tunesmith.data.checks.encoding import find_encoding, mojibake, repaired

NATURAL = [
    "À l’école, l’été : « déjà vu », cœur, naïve, ça… Ô “mère” — CAFÉ… Â",
    "Straße, Größe, Übung, „Spaß“ und ‚Maß‘ – 20 €",
    "Zażółć gęślą jaźń",
    "Árvíztűrő tükörfúrógép",
    "Съешь же ещё этих мягких французских булок",
    "Ξεσκεπάζω την ψυχοφθόρα",
    "日本語と中文 한국어",
    "emoji 😀 and ½ × 3 ° §",
    "São Paulo, NÃO, Às vezes",
    "Þórður Ævarsson, Ñandú»",
]


def garbled(text: str) -> str:
    """UTF-8 read as Windows-1252, and as Latin-1 where that has nothing: what web browsers do."""
    return "".join(bytes([byte]).decode("cp1252", errors="ignore") or chr(byte) for byte in text.encode())


@pytest.mark.parametrize("text", NATURAL)
def test_text_with_accents_is_no_mojibake(text: str) -> None:
    assert mojibake(text) == []
    assert repaired(text) == text


@pytest.mark.parametrize("text", NATURAL)
def test_what_was_garbled_once_or_twice_is_found_and_read_as_it_was_meant(text: str) -> None:
    assert mojibake(garbled(text))
    assert repaired(garbled(text)) == text
    assert repaired(garbled(garbled(text))) == text
    assert repaired(text.encode().decode("latin-1")) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("しじみともものコラボレーション", "shift-jis"), ("第十二届中国国际电子设备", "gb2312"), ("Съешь же ещё", "cp1251")],
)
def test_text_of_another_encoding_is_not_taken_for_utf_8(text: str, encoding: str) -> None:
    assert mojibake(text.encode(encoding).decode("latin-1")) == []


def test_each_oddity_is_a_finding_with_its_rows() -> None:
    rows = texts(
        "cafÃ© au lait", "plain", "lost \ufffd here", "a\x00b\x1b[0m", "zero\u200bwidth", "tea &amp; cake<br />now", "tab\tand\nline"
    )
    found = {one.check: one for one in find_encoding({"train": rows})}
    assert {check: [place.row for place in one.examples] for check, one in found.items()} == {
        "mojibake": [1],
        "lost_characters": [3],
        "control_characters": [4],
        "invisible_characters": [5],
        "markup": [6],
    }
    assert "such as Ã© for é" in found["mojibake"].text
    assert "U+0000, U+001B" in found["control_characters"].text
    assert found["mojibake"].repairs == {("texts.txt", 1)}
    assert found["control_characters"].repairs == {("texts.txt", 4)}
    assert not found["markup"].repairs
    (both,) = find_encoding({"train": texts("cafÃ©"), "test": texts("thÃ©", file="t.txt")})
    assert (both.split, both.count, [place.split for place in both.examples]) == ("train/test", 2, ["train", "test"])
    assert [one.severity for one in found.values()] == ["warning", "warning", "warning", "note", "note"]


def test_control_characters_are_taken_out() -> None:
    assert repaired("a\x00b\tc\nd\x7f") == "ab\tc\nd"


def test_quotes_of_windows_read_as_latin_1_become_what_was_meant() -> None:
    assert repaired("that\x92s \x93fine\x94\x85") == "that’s “fine”…"


def test_an_address_in_angle_brackets_is_no_markup() -> None:
    assert find_encoding({"train": texts("from <B.Hunt@example.com>, a < b > c")}) == []
