"""`tunesmith data convert`: the same examples in another format."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.app.data_files import Work, check_target, data_work, schema_for, written
from tunesmith.core.errors import DataError, UsageError, did_you_mean
from tunesmith.core.events import Event
from tunesmith.core.types import Labelled
from tunesmith.data.convert import TARGETS, columns_of, convert, is_of_several_turns, kept_columns
from tunesmith.data.record_source import RecordSource
from tunesmith.data.table import Record
from tunesmith.data.unread import unread_keys

__all__ = ["convert_data"]


@dataclass(slots=True)
class _Facts:
    """What a first look at every row tells."""

    num_rows: int = 0
    as_messages: bool = False
    """Whether a conversation has several turns, so that pairs are lists of messages."""
    has_pairs: bool = False
    losses: Counter[str] = field(default_factory=Counter)


def convert_data(
    source: str,
    to: str,
    out: Path,
    *,
    lossy: bool = False,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    force: bool = False,
    skip_invalid: bool = False,
    progress: Callable[[Event], None] | None = None,
) -> dict[str, Any]:
    """Write the examples of `source` as records of the format `to`.

    Columns that no format reads are kept beside.

    Args:
        to: messages, sharegpt, alpaca, pairs, labelled or text.
        lossy: whether to go on where the format cannot say all that the examples say.
        format, columns: as for `read`; `force`: whether `out` is replaced.
        skip_invalid: whether rows that make no example, or that the format cannot hold, are left out, and kept in `out`.invalid.jsonl.
    Returns: {source, out, from, to, rows, columns, lost, invalid}; `lost`: what is lost -> rows.
    Raises: UsageError, where something would be lost, with all that would be; DataError, FetchError, Interrupted; nothing is written then.
    """
    with data_work(progress) as work:
        if to not in TARGETS:
            raise UsageError(f"--to {to}: unknown format.{did_you_mean(to, TARGETS)}")
        rows = RecordSource(source, skip_invalid=skip_invalid)
        check_target(out, [rows], force=force)
        found = rows.columns()
        kind, form, located = rows.format(format, columns or {}, found)
        kept, dropped = kept_columns(found, located)
        facts = _look(work, rows, form, located, to, dropped)
        _refuse_losses(source, to, out, facts, lossy)
        written_columns = [*columns_of(to, has_pairs=facts.has_pairs), *kept]

        def converted() -> Iterator[Record]:
            for origin, record, example in rows.examples(form, located):
                try:
                    made = convert(example, to, as_messages=facts.as_messages).record
                except DataError as error:
                    rows.refuse(error, origin, record)
                    continue
                yield {**made, **{column: record[column] for column in kept if column in record}}

        schema = schema_for(out, rows, written_columns, converted)
        count = 0
        with written(out, written_columns, schema) as write:
            for record in work.counted(converted(), "write", str(out)):
                write(record)
                count += 1
        num_invalid = work.keep_invalid(rows, out.with_name(f"{out.name}.invalid.jsonl"))
    return {
        "source": source, "out": str(out), "from": kind, "to": to, "rows": count, "columns": written_columns, "lost": dict(facts.losses), "invalid": num_invalid,
    }  # fmt: skip


def _look(work: Work, rows: RecordSource, form: Any, located: Mapping[str, str], to: str, dropped: list[str]) -> _Facts:
    """Go through all rows once: what the format would lose of them, and how it has to write them."""
    facts = _Facts()
    for origin, record, example in work.counted(rows.examples(form, located), "read", rows.name):
        several = is_of_several_turns(example)
        try:
            losses = convert(example, to, as_messages=several).losses
        except DataError as error:
            rows.refuse(error, origin, record)
            continue
        facts.num_rows += 1
        facts.as_messages |= several
        facts.has_pairs |= isinstance(example, Labelled) and example.text_pair is not None
        facts.losses.update(losses)
        facts.losses.update(unread_keys(record, located))
        facts.losses.update(f'the column "{column}"' for column in dropped if record.get(column) not in (None, ""))
    if not facts.num_rows:
        raise DataError(f"{rows.name}: no row can be written as {to}. Choose another format.")
    return facts


def _refuse_losses(source: str, to: str, out: Path, facts: _Facts, lossy: bool) -> None:
    if to == "pairs" and facts.as_messages and out.suffix in (".csv", ".tsv"):
        raise UsageError(
            f"{out}: conversations of several turns as pairs are lists of messages, which no table of text holds. Write .jsonl or .parquet."
        )
    if facts.losses and not lossy:
        listed = ", ".join(
            f"{loss} ({'every row' if count == facts.num_rows else f'{count:,} of {facts.num_rows:,} rows'})"
            for loss, count in facts.losses.most_common()
        )
        raise UsageError(f"{source}: written as {to} it would lose {listed}. Add --lossy to go on without.")
