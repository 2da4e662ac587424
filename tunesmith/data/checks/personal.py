"""Strings that look personal: a tuned model may say them again to anybody."""

from collections import Counter

from tunesmith.core.types import Example
from tunesmith.data.checks.finding import Finding, Splits, finding
from tunesmith.data.checks.masking import KINDS, PersonalString, personal_strings
from tunesmith.data.checks.texts import parts

__all__ = ["find_personal"]


def find_personal(splits: Splits) -> list[Finding]:
    """A warning for each kind of string that looks personal in each split. Shown is never the whole string."""
    found = []
    for split, examples in splits.items():
        strings = [(example, one) for example in examples for text in parts(example) for one in personal_strings(text)]
        found += [_finding(split, kind, [(row, one) for row, one in strings if one.kind == kind]) for kind in KINDS]
    return [one for one in found if one is not None]


def _finding(split: str, kind: str, strings: list[tuple[Example, PersonalString]]) -> Finding | None:
    rows = list({(row.origin.file, row.origin.row): row for row, _ in strings}.values())
    if not rows:
        return None
    shown = Counter[tuple[str, int]]()
    said: dict[tuple[str, int], str] = {}
    for row, one in strings:
        key = row.origin.file, row.origin.row
        shown[key] += 1
        said.setdefault(key, one.shown)

    def describe(row: Example) -> str:
        key = row.origin.file, row.origin.row
        return said[key] + (f" and {shown[key] - 1} more" if shown[key] > 1 else "")

    many = len(rows) != 1
    return finding(
        "personal",
        "warning",
        split,
        rows,
        f"{len(rows):,} row{'s' if many else ''} hold{'' if many else 's'} what looks like {_ARTICLES[kind]} ({len(strings):,} in all). "
        "A tuned model may repeat it: remove it, or make sure that it may be learned.",
        shown=describe,
    )


_ARTICLES = {
    "e-mail": "an e-mail address",
    "IBAN": "an IBAN",
    "credit card": "a credit card's number",
    "IP address": "an IP address",
    "phone": "a phone number",
}
