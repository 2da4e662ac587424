"""Oddities of encoding: text that was decoded with the wrong table, characters that were lost, and characters that nobody sees."""

import contextlib
import re
from collections.abc import Callable, Iterator

from tunesmith.core.types import Example
from tunesmith.data.checks.finding import Finding, Splits, excerpt, finding_across
from tunesmith.data.checks.masking import masked
from tunesmith.data.checks.texts import full_text

__all__ = ["find_encoding", "mojibake", "repaired"]

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
"""Control characters but for tab, line feed, form feed and carriage return."""
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]|[\U000e0000-\U000e007f]")
"""Spaces of no width, marks that turn the direction of writing, and tags: text may hide behind them."""
_MARKUP = re.compile(
    r"&(?:#\d{2,6}|#x[0-9a-fA-F]{2,5}|amp|lt|gt|quot|apos|nbsp);|</?(?:br|p|div|span|b|i|a|li|ul|td|tr|table|font|html|body)(?:\s[^<>]{0,200})?/?>",
    re.I,
)


def _bytes_of_characters() -> dict[str, int]:
    """Character -> the byte that Windows-1252, or Latin-1, shows as it."""
    table = {chr(byte): byte for byte in range(0x80, 0x100)}
    for byte in range(0x80, 0xA0):
        with contextlib.suppress(UnicodeDecodeError):  # five bytes are nothing in Windows-1252
            table[bytes([byte]).decode("cp1252")] = byte
    return table


_BYTES = _bytes_of_characters()


def _shown_as(first: int, last: int) -> str:
    """A regular expression for the characters that bytes are shown as."""
    return "[" + re.escape("".join(character for character, byte in _BYTES.items() if first <= byte <= last)) + "]"


_REST = _shown_as(0x80, 0xBF)
_ANY = f"(?:{_shown_as(0xC2, 0xDF)}{_REST}|{_shown_as(0xE0, 0xEF)}{_REST}{{2}}|{_shown_as(0xF0, 0xF4)}{_REST}{{3}})"
_ALONE = f"[ÂÃÄÅ]{_REST}|[âï]{_REST}{{2}}|{_shown_as(0xF0, 0xF4)}{_REST}{{3}}"
_SEQUENCE = re.compile(f"{_ANY}{{2,}}|{_ALONE}")
"""What bytes of UTF-8 look like when each is shown as a character of its own. One that begins as accented letters, punctuation and pictures do
tells it alone; the letters of other scripts come in runs, while `Spaß“` and `CAFÉ…` are just words before a quote and before dots."""
_RUN = re.compile(f"{_shown_as(0x80, 0xFF)}+")


def mojibake(text: str) -> list[str]:
    """The sequences of a text that are UTF-8 read as Windows-1252 or Latin-1: `Ã©` for é, `â€™` for a closing quote.

    They are, where at least half of its runs of such characters are UTF-8 from end to end: text of another encoding that was read so may hold one
    by chance.
    """
    if text.isascii():
        return []
    runs = _RUN.findall(text)
    found = [run for run in runs if _meant(run) is not None]
    return found if 2 * len(found) >= len(runs) else []


def repaired(text: str) -> str:
    """The text with such sequences read as UTF-8, again where that was done twice, and without control characters.

    Those from U+0080 on are the quotes and dashes of Windows-1252 in a text that was read as Latin-1: they become what was meant.
    """
    for _ in range(3):
        if not mojibake(text):
            break
        text = _RUN.sub(lambda found: _meant(found[0]) or found[0], text)
    return _CONTROLS.sub(lambda found: found[0].encode("latin-1").decode("cp1252", "ignore") if found[0] >= "\x80" else "", text)


def _meant(run: str) -> str | None:
    """The run read as UTF-8; None where it is not, or may well be what it seems."""
    if not _SEQUENCE.fullmatch(run):
        return None
    try:
        return bytes(_BYTES[character] for character in run).decode("utf-8")
    except UnicodeDecodeError:
        return None


def find_encoding(splits: Splits) -> list[Finding]:
    """Warnings for mojibake, replacement characters and control characters; notes for invisible ones and for markup."""
    return list(_found(splits))


def _found(splits: Splits) -> Iterator[Finding]:
    rows = [(split, row, full_text(row)) for split, examples in splits.items() for row in examples]

    def of(finds: Callable[[str], list[str]]) -> tuple[list[tuple[str, Example]], list[str]]:
        found = [(split, row, hits) for split, row, text in rows if (hits := finds(text))]
        return [(split, row) for split, row, _ in found], [hit for _, _, hits in found for hit in hits]

    bad, hits = of(mojibake)
    if bad:
        yield finding_across(
            "mojibake",
            "warning",
            bad,
            f"{_rows(bad)} UTF-8 that was read as Windows-1252, such as {_listed(hits)} for {_listed([repaired(hit) for hit in hits])}. "
            "A cleaned copy (--fix) holds the characters that were meant.",
            shown=_around(mojibake),
            repairs=True,
        )
    bad, _ = of(lambda text: re.findall("\ufffd", text))
    if bad:
        yield finding_across(
            "lost_characters",
            "warning",
            bad,
            f"{_rows(bad)} the replacement character U+FFFD: what stood there was lost when the text was decoded. Read the original again.",
            shown=_around(lambda text: re.findall("\ufffd", text)),
        )
    bad, hits = of(_CONTROLS.findall)
    if bad:
        codes = sorted({f"U+{ord(hit):04X}" for hit in hits})
        yield finding_across(
            "control_characters",
            "warning",
            bad,
            f"{_rows(bad)} control characters ({', '.join(codes[:5])}{', …' if len(codes) > 5 else ''}). A cleaned copy (--fix) holds none.",
            shown=_around(_CONTROLS.findall),
            repairs=True,
        )
    bad, hits = of(_INVISIBLE.findall)
    if bad:
        codes = sorted({f"U+{ord(hit):04X}" for hit in hits})
        yield finding_across(
            "invisible_characters",
            "note",
            bad,
            f"{_rows(bad)} characters that nobody sees ({', '.join(codes[:5])}{', …' if len(codes) > 5 else ''}). A tokenizer sees them.",
        )
    bad, hits = of(_MARKUP.findall)
    if bad:
        yield finding_across(
            "markup",
            "note",
            bad,
            f"{_rows(bad)} HTML, such as {_listed(hits)}. Leave it where the texts to come will hold it too.",
            shown=_around(_MARKUP.findall),
        )


def _rows(rows: list[tuple[str, Example]]) -> str:
    return f"{len(rows):,} row{'s hold' if len(rows) != 1 else ' holds'}"


def _listed(hits: list[str]) -> str:
    return ", ".join(dict.fromkeys(masked(hit) if len(hit) < 40 else f"{masked(hit)[:38]}…" for hit in hits[:3]))


def _around(finds: Callable[[str], list[str]]) -> Callable[[Example], str]:
    """Shows a row from a little before its first hit."""

    def shown(row: Example) -> str:
        text = full_text(row)
        at = max(text.find(finds(text)[0]) - 30, 0)
        return ("…" if at else "") + excerpt(text[at:])

    return shown
