"""Strings that look personal (e-mail addresses, phone numbers, credit cards, IBANs, IP addresses), found and masked.

Numbers with a check digit are told by it: cards by the formula of Luhn (US patent 2,950,048; ISO/IEC 7812-1), IBANs by ISO 7064 mod 97-10 and the
length of their country (ISO 13616). Phone numbers have none: what is written as one usually is one.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["KINDS", "PersonalString", "is_iban", "is_luhn", "masked", "personal_strings"]

KINDS = ("e-mail", "IBAN", "credit card", "IP address", "phone")
"""In the order in which they are looked for: what one kind has claimed is not another."""

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?(?!\w)")
_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w-])")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_PHONE = re.compile(
    r"(?<![\w.,/-])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,5}(?:[ .-]?\d{2,5}){1,4}"  # +44 20 7946 0958
    r"|\(\d{2,5}\)[ .-]?\d{3,5}(?:[ .-]\d{3,5})?"  # (020) 7946 0958
    r"|\d{3}[.-]\d{3}[.-]\d{4}"  # 555-867-5309
    r"|0\d{2,4}[ -]\d{3,4}[ -]?\d{3,5}"  # 020 7946 0958
    r"|0\d{9,10})(?![\w-]|[.,]\d)"  # 02079460958
)
_DIGITS_OF_A_PHONE = range(9, 16)
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28,
    "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18,
    "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32,
    "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24,
    "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28,
    "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PersonalString:
    """A string that looks personal, already masked, and where it stands in its text."""

    kind: str
    """One of `KINDS`."""
    shown: str
    """With all but its outline masked."""
    start: int
    end: int


def personal_strings(text: str) -> list[PersonalString]:
    """Every string of a text that looks personal, in the text's order. Private and reserved IP addresses are nobody's and are left out."""
    found: list[PersonalString] = []
    if "@" not in text and not any(character.isdigit() for character in text) and "::" not in text:
        return found
    for kind, start, end in _candidates(text):
        if all(end <= other.start or start >= other.end for other in found):
            found.append(PersonalString(kind, _mask(kind, text[start:end]), start, end))
    return sorted(found, key=lambda one: one.start)


def masked(text: str) -> str:
    """The text with everything that looks personal masked."""
    at, pieces = 0, list[str]()
    for one in personal_strings(text):
        pieces += [text[at : one.start], one.shown]
        at = one.end
    return "".join([*pieces, text[at:]])


def is_luhn(digits: str) -> bool:
    """Whether the last digit checks the others: from the right, every second digit doubled, its digits summed, the whole divisible by ten."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def is_iban(text: str) -> bool:
    """Whether a text without spaces is as long as its country's IBANs are, and its check digits leave 1 modulo 97."""
    if _IBAN_LENGTHS.get(text[:2]) != len(text) or not text.isascii():
        return False
    return int("".join(str(int(character, 36)) for character in text[4:] + text[:4])) % 97 == 1


def _candidates(text: str) -> Iterator[tuple[str, int, int]]:
    """(kind, start, end), kind by kind; `_EMAIL` first, since names of mailboxes may look like numbers."""
    for found in _EMAIL.finditer(text):
        yield "e-mail", found.start(), found.end()
    for found in _IBAN.finditer(text):
        end = _end_of_iban(found[0])
        if end:
            yield "IBAN", found.start(), found.start() + end
    for found in _CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if digits[0] in "23456" and len(set(digits)) > 1 and is_luhn(digits):
            yield "credit card", found.start(), found.end()
    for pattern in (_IPV4, _IPV6):
        for found in pattern.finditer(text):
            if _is_public_address(found[0]):
                yield "IP address", found.start(), found.end()
    for found in _PHONE.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if len(digits) in _DIGITS_OF_A_PHONE and len(set(digits)) > 2:
            yield "phone", found.start(), found.end()


def _end_of_iban(text: str) -> int:
    """Characters of `text`, which begins as an IBAN does, that are one: a word of capitals may follow. 0 where none is."""
    length, kept = _IBAN_LENGTHS.get(text[:2], 0), 0
    for end, character in enumerate(text, start=1):
        kept += character != " "
        if kept == length:
            return end if is_iban(text[:end].replace(" ", "")) else 0
    return 0


def _is_public_address(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _mask(kind: str, text: str) -> str:
    if kind == "e-mail":
        name, _, host = text.rpartition("@")
        return f"{name[:1]}•••@•••.{host.rpartition('.')[2]}"
    if kind == "IBAN":
        return f"{text[:2]}•••{text[-2:]}"
    return f"•••{re.sub(r'[^0-9A-Fa-f]', '', text)[-2:]}"
