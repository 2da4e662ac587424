"""Strings that look personal: a tuned model may say them again to anybody."""

from collections import Counter

from tunesmith.core.types import Example
from tunesmith.data.checks.finding import Finding, Splits, finding_across, key_of
from tunesmith.data.checks.masking import KINDS, PersonalString, personal_strings
from tunesmith.data.checks.texts import parts

__all__ = ["find_personal"]


def find_personal(splits: Splits) -> list[Finding]:
    """A warning for each kind of string that looks personal. Shown is never the whole string."""
    strings = [(split, row, one) for split, rows in splits.items() for row in rows for text in parts(row) for one in personal_strings(text)]
    found = [_finding(kind, [string for string in strings if string[2].kind == kind]) for kind in KINDS]
    return [one for one in found if one is not None]


def _finding(kind: str, strings: list[tuple[str, Example, PersonalString]]) -> Finding | None:
    if not strings:
        return None
    rows = list({key_of(row): (split, row) for split, row, _ in strings}.values())
    counts = Counter(key_of(row) for _, row, _ in strings)
    first = {key_of(row): one.shown for _, row, one in reversed(strings)}

    def shown(row: Example) -> str:
        key = key_of(row)
        return first[key] + (f" and {counts[key] - 1} more" if counts[key] > 1 else "")

    many = len(rows) != 1
    text = (
        f"{len(rows):,} row{'s' if many else ''} hold{'' if many else 's'} what looks like {_ARTICLES[kind]} ({len(strings):,} in all). "
        "A tuned model may repeat it: remove it, or make sure that it may be learned."
    )
    return finding_across("personal", "warning", rows, text, shown=shown)


_ARTICLES = {
    "e-mail": "an e-mail address",
    "IBAN": "an IBAN",
    "credit card": "a credit card's number",
    "IP address": "an IP address",
    "phone": "a phone number",
}
