"""What looks personal is found by its check digits where it has some, and never shown whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.checks.rows import texts
from tunesmith.data.checks.finding import excerpt
from tunesmith.data.checks.masking import is_iban, is_luhn, masked, personal_strings
from tunesmith.data.checks.personal import find_personal


def kinds(text: str) -> list[str]:
    return [one.kind for one in personal_strings(text)]


def test_luhn_worked_by_hand() -> None:
    # 7992739871x: from the right, every second digit doubled: 2 6(3) ... the sum without x is 67, so x is 3
    assert [x for x in range(10) if is_luhn(f"7992739871{x}")] == [3]
    assert is_luhn("4111111111111111")
    assert not is_luhn("4111111111111112")


# the examples of the registry of IBANs (ISO 13616)
IBANS = ["GB82 WEST 1234 5698 7654 32", "DE89 3704 0044 0532 0130 00", "FR14 2004 1010 0505 0001 3M02 606", "NO93 8601 1117 947"]


@pytest.mark.parametrize("iban", IBANS)
def test_an_iban_is_one_with_its_check_digits_only(iban: str) -> None:
    whole = iban.replace(" ", "")
    assert is_iban(whole)
    assert not is_iban(whole[:-1] + str((int(whole[-1]) + 1) % 10))
    assert not is_iban(whole + "0")
    assert kinds(f"pay to {iban} today") == ["IBAN"]
    assert kinds(f"pay to {whole} AND SMILE") == ["IBAN"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to jane.doe+news@mail.example.org, please", "e-mail"),
        ("card 4111 1111 1111 1111 exp 12/29", "credit card"),
        ("card 5500-0000-0000-0004", "credit card"),
        ("from 8.8.8.8.", "IP address"),
        ("from 2001:4860:4860::8888", "IP address"),
        ("call +44 20 7946 0958 now", "phone"),
        ("call (020) 7946 0958", "phone"),
        ("call 555-867-5309", "phone"),
        ("call 08712300220 now", "phone"),
        ("+49 (0)30 901820", "phone"),
    ],
)
def test_each_kind_is_found_and_masked(text: str, kind: str) -> None:
    (found,) = personal_strings(text)
    assert found.kind == kind
    assert text[found.start : found.end] not in masked(text)
    assert "•••" in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "on 2026-11-25 at 12:30:45",
        "10,000,000 people and 3.14159265358979",
        "version 1.2.3 of 4.5.6.7.8",
        "at home: 127.0.0.1, 192.168.1.20, 10.0.0.1, ::1",
        "card 4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "a@b and user @name",
        "ISBN 978-3-16-148410-0",
        "lines 100-200, pages 12-14",
        "std::vector, x::y",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert kinds(text) == []
    assert masked(text) == text


def test_an_excerpt_shows_nothing_personal_and_is_one_line() -> None:
    assert excerpt("mail me:\n bob@example.com or 8.8.8.8") == "mail me: b•••@•••.com or •••88"
    assert len(excerpt("word " * 100)) == 100
    assert excerpt("\x1b[31mred \u202egnp.exe\x07") == "<U+001B>[31mred <U+202E>gnp.exe<U+0007>"


@given(st.from_regex(r"[a-z]{3,8}@[a-z]{3,8}\.(com|org)", fullmatch=True), st.text(max_size=20))
def test_no_address_survives_masking(address: str, before: str) -> None:
    assert address not in masked(f"{before} {address} after")


def test_a_finding_counts_rows_and_strings_by_kind() -> None:
    rows = texts("a@example.com and b@example.com", "nothing", "c@example.com", "call 555-867-5309")
    mail, phone = find_personal({"train": rows})
    assert (mail.check, mail.severity, mail.count) == ("personal", "warning", 2)
    assert "2 rows hold what looks like an e-mail address (3 in all)" in mail.text
    assert [(place.row, place.text) for place in mail.examples] == [(1, "a•••@•••.com and 1 more"), (3, "c•••@•••.com")]
    assert phone.count == 1
    assert not mail.removes
