"""A cleaned copy of a source: rows that cannot or should not be learned from go into quarantine, texts that can be mended are."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import UsageError
from tunesmith.core.files import staged_folder
from tunesmith.data.checks.encoding import repaired
from tunesmith.data.checks.finding import Finding, RowKey
from tunesmith.data.checks.reading import Reading
from tunesmith.data.table import Record

__all__ = ["Cleaned", "write_cleaned"]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was written."""

    folder: Path
    files: dict[str, str]
    """Source -> its cleaned copy's name in the folder."""
    num_kept: int
    num_quarantined: int
    num_repaired: int

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "folder": str(self.folder),
            "files": self.files,
            "num_kept": self.num_kept,
            "num_quarantined": self.num_quarantined,
            "num_repaired": self.num_repaired,
        }


def write_cleaned(folder: Path, readings: Mapping[str, Reading], findings: Iterable[Finding], *, replace: bool = False) -> Cleaned:
    """Write `folder` whole: a copy of each source, `quarantine.jsonl` and `repaired.jsonl`. The sources themselves are only read.

    A line of quarantine.jsonl holds `file`, `row`, `reasons` and the `record` as it was read; one of repaired.jsonl holds `file`, `row`, `before`
    and `after`. csv and tsv stay what they are; every other source becomes jsonl.

    Args:
        readings: source -> its rows.
        findings: whose `removes` and `repairs` say what to do.
        replace: whether a folder that exists already, and was written by this, is replaced.
    Raises: UsageError, where the folder exists; DiskFull.
    """
    if folder.exists() and not replace:
        raise UsageError(f"{folder}: exists already. Choose another folder, or replace it with --force.")
    if folder.exists() and not (folder / "quarantine.jsonl").is_file():
        raise UsageError(f"{folder}: holds something else than a cleaned copy, and is not replaced. Choose another folder.")
    reasons, mends = dict[RowKey, list[str]](), set[RowKey]()
    for finding in findings:
        mends |= finding.repairs
        for key in finding.removes:
            reasons.setdefault(key, []).append(finding.check)
    for reading in readings.values():
        for index, reason in reading.refused.items():
            origin = reading.origins[index]
            reasons[(origin.file, origin.row)] = [reason]
    with staged_folder(folder, replace=replace) as staging:
        return _write(staging, folder, readings, reasons, mends)


def _write(
    staging: Path, folder: Path, readings: Mapping[str, Reading], reasons: Mapping[RowKey, list[str]], mends: set[RowKey]
) -> Cleaned:
    files, num_kept, num_quarantined, num_repaired = dict[str, str](), 0, 0, 0
    with (
        (staging / "quarantine.jsonl").open("w", encoding="utf-8") as quarantine,
        (staging / "repaired.jsonl").open("w", encoding="utf-8") as repairs,
    ):
        for source, reading in readings.items():
            kept = list[Record]()
            for broken in reading.broken:
                quarantine.write(_line({"file": broken.file, "row": broken.row, "reasons": [broken.message], "record": broken.raw}))
                num_quarantined += 1
            for record, origin in zip(reading.records, reading.origins, strict=True):
                key = origin.file, origin.row
                place = {"file": origin.file, "row": origin.row}
                if key in reasons:
                    quarantine.write(_line({**place, "reasons": reasons[key], "record": record}))
                    num_quarantined += 1
                    continue
                mended = _mended(record) if key in mends else record
                if mended != record:
                    repairs.write(_line({**place, "before": record, "after": mended}))
                    num_repaired += 1
                kept.append(mended)
            files[source] = _file_name(source, files.values())
            _write_rows(staging / files[source], kept, list(dict.fromkeys(name for record in reading.records for name in record)))
            num_kept += len(kept)
    return Cleaned(folder, files, num_kept, num_quarantined, num_repaired)


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return repaired(value)
    if isinstance(value, Mapping):
        return {key: _mended(item) for key, item in value.items()}
    return [_mended(item) for item in value] if isinstance(value, list | tuple) else value


def _file_name(source: str, taken: Iterable[str]) -> str:
    """A name for a source's copy: its own, without what packs it, ending in csv, tsv or jsonl."""
    name = Path(source.rstrip("/")).name or "data"
    for ending in (".gz", ".bz2", ".xz", ".zst", ".zip"):
        name = name.removesuffix(ending)
    stem, ending = Path(name).stem, Path(name).suffix.lower()
    if ending not in (".csv", ".tsv"):
        stem, ending = (stem if ending in (".json", ".jsonl", ".ndjson", ".parquet", ".txt") else name), ".jsonl"
    stem = "".join(character if character.isalnum() or character in "-_." else "-" for character in stem)
    used, number, made = set(taken) | {"quarantine.jsonl", "repaired.jsonl"}, 2, f"{stem}{ending}"
    while made in used:
        made, number = f"{stem}-{number}{ending}", number + 1
    return made


def _write_rows(path: Path, rows: Sequence[Record], columns: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(map(_line, rows))
            return
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([row.get(column, "") for column in columns] for row in rows)


def _line(value: Any) -> str:
    line = json.dumps(value, ensure_ascii=False, default=str)
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:  # half of a character can only be spelt out
        line = json.dumps(value, default=str)
    return line + "\n"
