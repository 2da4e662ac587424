"""Everything that can be known of data before an hour is spent on it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from tunesmith.core.types import Example
from tunesmith.data.checks.duplicates import NEAR, find_duplicates, find_near_duplicates
from tunesmith.data.checks.encoding import find_encoding
from tunesmith.data.checks.fertility import Fertility, find_fertility
from tunesmith.data.checks.finding import Finding, Place, Severity, Splits
from tunesmith.data.checks.labels import find_label_balance, find_label_conflicts, label_counts
from tunesmith.data.checks.language import find_languages, language_shares
from tunesmith.data.checks.leakage import find_leakage
from tunesmith.data.checks.lengths import TokenLengths, measure_lengths
from tunesmith.data.checks.personal import find_personal
from tunesmith.data.checks.shift import Shift, Vectors, find_shift, measure_shift
from tunesmith.data.checks.texts import full_text
from tunesmith.data.checks.turns import find_turns
from tunesmith.data.encoder import TextEncoder

__all__ = ["CheckReport", "Finding", "Place", "Severity", "SplitFacts", "check"]

_ORDER: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """What is in a split."""

    rows: int
    characters: int
    labels: dict[str, int]
    """Label -> rows; empty where there are none."""
    languages: dict[str, int]
    """Language -> rows, the most frequent first; `unclear` where a text does not tell."""
    lengths: TokenLengths | None
    """None where no model says what a token is."""
    source: str = ""
    """Where it was read; several splits may come from one source."""
    fertility: Fertility | None = None
    """How finely the model's tokenizer cuts its words; None where no model says, or no text has words."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found, the worst first."""

    source: str
    splits: dict[str, SplitFacts]
    findings: tuple[Finding, ...]
    shifts: tuple[Shift, ...] = ()
    model: str | None = None
    """Whose tokens the lengths count."""
    notes: tuple[str, ...] = field(default=())

    def count(self, severity: Severity) -> int:
        """How many findings are that bad."""
        return sum(finding.severity == severity for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """For `--json` and the page: schema `tunesmith/check/1`. What a cleaned copy would do is told by counts."""
        findings = [
            {
                **{name: getattr(finding, name) for name in ("check", "severity", "split", "count", "text")},
                "examples": [asdict(place) for place in finding.examples],
                "num_removed": len(finding.removes),
                "num_repaired": len(finding.repairs),
            }
            for finding in self.findings
        ]
        return {
            "schema": "tunesmith/check/1",
            "source": self.source,
            "model": self.model,
            "counts": {f"num_{severity}s": self.count(severity) for severity in _ORDER},
            "splits": {name: asdict(facts) for name, facts in self.splits.items()},
            "findings": findings,
            "shifts": [asdict(shift) for shift in self.shifts],
            "notes": list(self.notes),
        }


def check(
    splits: Splits,
    *,
    name: str = "data",
    sources: Mapping[str, str] | None = None,
    encoder: TextEncoder | None = None,
    too_long: Literal["cut", "drop", "refuse"] = "cut",
    against: Mapping[str, Sequence[Example]] | None = None,
    shifts_to: Mapping[str, Sequence[Example]] | None = None,
    near: float = NEAR,
    embed: tuple[str, Vectors] | None = None,
    english: Sequence[str] = (),
    found: Sequence[Finding] = (),
    notes: Sequence[str] = (),
) -> CheckReport:
    """Check splits of examples.

    Args:
        splits: in the order train, validation, test; the first is what is learned. Empty ones are left out.
        name: what the report calls the data.
        sources: where each split was read.
        encoder: of the model that is to learn; None: lengths in tokens are not known.
        too_long: what becomes of a row that does not fit the model.
        against: sets that are measured and never learned, by their names.
        shifts_to: sets that the model is to meet, by their names: how far each lies from what is learned.
        near: the similarity from which texts are nearly the same, 0.3 to 1.
        embed: a model's name, and what makes vectors of texts, for a second look at the shifts.
        english: texts in English, whose fertility through the encoder's tokenizer the splits' are compared with.
        found: what was found already, while reading.
        notes: what a reader of the report should know.
    """
    splits = {split: examples for split, examples in splits.items() if examples}
    languages = {split: language_shares(examples) for split, examples in splits.items()}
    lengths = {split: measure_lengths(split, rows, encoder, too_long) for split, rows in splits.items()} if encoder else {}
    fertility, fertility_findings = find_fertility(splits, encoder.tokenizer, english) if encoder else ({}, [])
    shifts, shift_findings = _shifts(splits, shifts_to or {}, name, embed)
    findings = [
        *found,
        *chain.from_iterable(found_here for _, found_here in lengths.values()),
        *_found(splits, languages, against or {}, near),
        *fertility_findings,
        *shift_findings,
    ]
    return CheckReport(
        name,
        _facts(splits, languages, {split: measured for split, (measured, _) in lengths.items()}, sources or {}, fertility),
        tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity))),
        shifts,
        encoder.facts.name if encoder else None,
        tuple(notes),
    )


def _facts(
    splits: Splits,
    languages: Mapping[str, dict[str, int]],
    lengths: Mapping[str, TokenLengths],
    sources: Mapping[str, str],
    fertility: Mapping[str, Fertility],
) -> dict[str, SplitFacts]:
    labels = label_counts(splits)
    return {
        split: SplitFacts(
            len(rows),
            sum(len(full_text(row)) for row in rows),
            labels.get(split, {}),
            languages[split],
            lengths.get(split),
            sources.get(split, ""),
            fertility.get(split),
        )
        for split, rows in splits.items()
    }


def _found(
    splits: Splits, languages: Mapping[str, Mapping[str, int]], against: Mapping[str, Sequence[Example]], near: float
) -> Iterator[Finding]:
    """What every check finds that needs no model."""
    yield from find_label_balance(splits)
    yield from find_label_conflicts(splits)
    yield from find_duplicates(splits)
    yield from find_near_duplicates(splits, near)
    yield from find_leakage(splits, against)
    yield from find_turns(splits)
    yield from find_encoding(splits)
    yield from find_languages(splits, languages)
    yield from find_personal(splits)


def _shifts(
    splits: Splits, others: Mapping[str, Sequence[Example]], name: str, embed: tuple[str, Vectors] | None
) -> tuple[tuple[Shift, ...], list[Finding]]:
    """The shift from what is learned to each other set, and what is to be said of it."""
    shifts, found = list[Shift](), list[Finding]()
    for other, rows in others.items() if splits else ():
        first, learned = next(iter(splits.items()))
        measured = measure_shift(learned, rows, (Path(name).name if len(splits) == 1 else first, other), embed)
        if isinstance(measured, Shift):
            shifts.append(measured)
            found += find_shift(measured)
        else:
            found.append(Finding("shift", "note", f"{first}/{other}", len(rows), measured))
    return tuple(shifts), found
