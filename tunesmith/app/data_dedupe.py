"""`tunesmith data dedupe`: the rows of a source without those that say again what another one says."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunesmith.app.data_files import check_target, data_work, schema_for, written
from tunesmith.core.errors import UsageError
from tunesmith.core.events import Event
from tunesmith.core.types import Origin
from tunesmith.data.dedupe import Deduplication, deduplicate
from tunesmith.data.minhash import LEAST_THRESHOLD
from tunesmith.data.record_source import RecordSource

__all__ = ["dedupe_data"]

_SHOWN = 20


def dedupe_data(
    source: str,
    out: Path,
    *,
    near: float | None = None,
    against: str | None = None,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    force: bool = False,
    skip_invalid: bool = False,
    progress: Callable[[Event], None] | None = None,
) -> dict[str, Any]:
    """Write the rows of `source` that do not repeat an earlier row, nor one of `against`.

    Args:
        near: similarity from which texts count as repeated; None: only equal ones, but for case and white space.
        against: other data, such as a test set, whose rows `out` is not to hold; it is not changed.
        format, columns: as for `read`; `force`: whether `out` is replaced.
        skip_invalid: whether rows that make no example are left out, and kept in `out`.invalid.jsonl.
    Returns: {source, against, out, format, near_threshold, rows, kept, exact, near, exact_other, near_other, other_label, repeats, invalid}:
        rows left out by the kind of what they repeat, and of them those with another label; `repeats` shows some, the least alike first,
        {row, like, kind, similarity}.
    Raises: UsageError, DataError, FetchError, Interrupted; nothing is written then.
    """
    with data_work(progress) as work:
        if near is not None and not LEAST_THRESHOLD <= near <= 1:
            raise UsageError(f"--near {near:g}: expected a similarity from {LEAST_THRESHOLD} to 1, such as 0.8.")
        rows = RecordSource(source, skip_invalid=skip_invalid)
        other = RecordSource(against, skip_invalid=skip_invalid) if against is not None else None
        check_target(out, [rows, *([other] if other else [])], force=force)
        found = rows.columns()
        kind, form, located = rows.format(format, columns or {}, found)
        examples = (example for _, _, example in work.counted(rows.examples(form, located), "read", source))
        compared = deduplicate(examples, near, (example for example in _others(other, kind, columns or {})))
        schema = schema_for(out, rows, found, lambda: (record for _, record in rows.records()))
        with written(out, found, schema) as write:
            for (_, record, _), stays in zip(work.counted(rows.examples(form, located), "write", str(out)), compared.stays, strict=True):
                if stays:
                    write(record)
        num_invalid = work.keep_invalid(rows, out.with_name(f"{out.name}.invalid.jsonl"))
    return {
        "source": source,
        "against": against,
        "out": str(out),
        "format": kind,
        "near_threshold": near,
        **_summary(compared),
        "invalid": num_invalid,
    }


def _others(other: RecordSource | None, kind: str, given: Mapping[str, str]) -> Any:
    """The examples of the other data, read in the same format."""
    if other is None:
        return
    columns = other.columns()
    _, form, located = other.format(kind, {role: column for role, column in given.items() if column in columns}, columns)
    for _, _, example in other.examples(form, located):
        yield example


def _summary(compared: Deduplication) -> dict[str, Any]:
    shown = sorted(compared.repeats, key=lambda repeat: repeat.similarity)[:_SHOWN]
    return {
        "rows": len(compared.stays),
        "kept": sum(compared.stays),
        **compared.counts(),
        "repeats": [
            {"row": _place(repeat.origin), "like": _place(repeat.like), "kind": repeat.kind, "similarity": repeat.similarity}
            for repeat in shown
        ],
    }


def _place(origin: Origin) -> str:
    return f"{origin.file}:{origin.row}"
