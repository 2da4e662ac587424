"""Predict every row of a file, of any size, with a tuned model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.app.answers import added_columns, added_values
from tunesmith.app.interruption import Interruption
from tunesmith.app.learned import Learned, checked_length, learned, named, require_language_model, writes
from tunesmith.core.errors import DataError, Interrupted, UsageError
from tunesmith.core.events import Event, Notice, Progress, Stage, Warned
from tunesmith.core.files import folders_made, staged_file
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Example, Origin
from tunesmith.data import InvalidRow, Quarantine, iter_rows, write_quarantine
from tunesmith.data.prediction import columns_to_predict, example_to_predict
from tunesmith.data.writing import text_writer

if TYPE_CHECKING:
    from tunesmith.app.remote_tuned import RemoteTuned
    from tunesmith.app.tuned import Tuned

__all__ = ["predict_file"]

_CHUNK = 4096
_CHUNK_GENERATED = 256
_CHUNK_CHARACTERS = 4_000_000
"""Rows that are in memory at a time, of a classifier and of a language model, and their characters."""
_TELL_EVERY = 10_000
_SUFFIXES = (".csv", ".tsv", ".jsonl")

Say = Callable[[Event], None]
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Input:
    """A file that was read once, and whose every row can be predicted."""

    file: Path
    format: str
    located: Mapping[str, str]
    """Role -> column that is read."""
    columns: Sequence[str]
    """Of all rows, in the order of appearance."""
    num_rows: int
    skips: bool
    """Whether invalid rows are passed over."""
    invalid: list[InvalidRow]


def predict_file(
    run: RunDirectory,
    file: Path,
    out: Path,
    *,
    columns: Mapping[str, str] | None = None,
    max_new_tokens: int | None = None,
    overwrite: bool = False,
    skip_invalid: bool = False,
    progress: Say | None = None,
) -> dict[str, Any]:
    """Write `out`: the rows of `file` with what is predicted, as `added_columns` names it: of a classifier its label and one probability a class.

    The file is read twice, in pieces: first whole, so that whatever is wrong with a row is said before the model is loaded, then to predict.
    `out`, and the folder that it is to be in, appear when all is done. Columns of the file are kept: where a name is taken, another is chosen.

    Args:
        columns: role -> column of the file, `{"text": "comment"}`; None: the recipe's where the file has them, else the usual names.
        max_new_tokens: where an answer is cut; None: as the recipe says.
        overwrite: whether an `out` that exists is replaced.
        skip_invalid: whether rows that cannot be predicted are left out, and kept in `out`.invalid.jsonl; else the first is an error.
        progress: is told what happens, event by event.
    Returns: {run, file, out, rows, columns, num_too_long, num_cut, num_invalid}: `columns` are the names of what was added, `num_too_long` rows were
        longer than the model reads, `num_cut` answers ended where they had to.
    Raises: UsageError, DataError, Interrupted.
    """
    with Interruption() as interruption:
        say = interruption.checked(progress)
        try:
            _check_out(out, file, overwrite)
            known = learned(run)
            if known.kind == "masked_language_modelling":
                require_language_model(known.kind)
            if checked_length(max_new_tokens) is not None and not writes(known.kind):
                raise UsageError(f"max_new_tokens: this run tuned {named(known.kind)}, which writes no text. Leave it out.")
            source = _examine(file, known, columns or {}, Quarantine() if skip_invalid else None, say)
            say(Stage("model", run.id))
            tuned = _loaded(run, known, say)
            say(Stage("predict", str(file)))
            with folders_made(out), staged_file(out) as staged:
                summary = _write(tuned, source, staged, out.suffix, max_new_tokens, say)
                interruption.while_busy(lambda: True)  # it is done: a signal comes too late
            tuned.tell_of_cost(say)
            if source.invalid:
                kept = out.with_name(f"{out.name}.invalid.jsonl")
                write_quarantine(kept, source.invalid)
                say(Warned(f"{Quarantine(source.invalid).summary(str(file))} All stand in {kept}."))
        except Interrupted:
            raise Interrupted("interrupted; nothing was written.") from None
    return {"run": run.id, "file": str(file), "out": str(out), **summary, "num_invalid": len(source.invalid)}


def _loaded(run: RunDirectory, known: Learned, say: Say) -> "Tuned | RemoteTuned":
    if known.recipe.model.is_endpoint:
        from tunesmith.app.remote_tuned import load_remote

        return load_remote(run, say)
    from tunesmith.app.tuned import load_tuned  # torch is not imported before all that can be checked without it

    return load_tuned(run)


def _check_out(out: Path, file: Path, overwrite: bool) -> None:
    if out.suffix not in _SUFFIXES:
        raise UsageError(f"{out}: expected a file that ends in {', '.join(_SUFFIXES)}.")
    if out.is_dir():
        raise UsageError(f"{out}: is a folder. Name a file in it.")
    if out.exists() and out.resolve() == file.resolve():
        raise UsageError(f"{out}: is the file that is read. Name another to write.")
    if out.exists() and not overwrite:
        raise UsageError(f"{out}: exists. Name another file, or replace it with --overwrite (in Python, overwrite=True).")
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir():
        raise UsageError(f"{out}: {above} is a file, not a folder. Name another place.")


def _examine(file: Path, known: Learned, given: Mapping[str, str], quarantine: Quarantine | None, say: Say) -> _Input:
    """Read the whole file once and keep nothing but what it has. Raises: DataError, for the first row that cannot be predicted."""
    say(Stage("data", str(file)))
    located: dict[str, str] = {}
    columns: dict[str, None] = {}
    count = 0
    for row, record in iter_rows(file, quarantine=quarantine):
        origin = Origin(str(file), row)
        if not located:
            located = columns_to_predict(list(record), origin, format=known.read_as, given=given, recipe=known.recipe.data.columns)
        try:
            example_to_predict(record, origin, format=known.read_as, columns=located)
        except DataError as error:
            if quarantine is None:
                raise
            quarantine.add(InvalidRow.of(error, str(file), row, record))
            continue
        if record.keys() != columns.keys():
            columns.update(dict.fromkeys(record))
        count += 1
        if count % _TELL_EVERY == 0:
            say(Progress("data", count, 0))
    if not count:
        if quarantine is not None:
            quarantine.refuse_all(str(file))
        raise DataError(f"{file}: has no rows. Nothing was written.")
    return _Input(file, known.read_as, located, list(columns), count, quarantine is not None, quarantine.rows if quarantine else [])


def _write(tuned: "Tuned | RemoteTuned", source: _Input, staged: Path, suffix: str, max_new_tokens: int | None, say: Say) -> dict[str, Any]:
    added = _free_names(tuned, source.columns)
    if added[0] != added_columns(tuned.kind, tuned.classes)[0]:
        say(Notice(f"{source.file} has a column of the usual name: what is predicted is in {', '.join(added)}"))
    count = num_too_long = num_cut = 0
    # what JSON can spell and UTF-8 cannot, half of a character in a column that is only handed on, is written as JSON spells it
    with staged.open("w", encoding="utf-8", errors="backslashreplace", newline="") as target:
        write = text_writer(target, suffix, [*source.columns, *added])
        for chunk in _chunks(source, min(_CHUNK, _CHUNK_GENERATED) if writes(tuned.kind) else _CHUNK):
            said = tuned.ask([example for _, example in chunk], max_new_tokens, _tick(say, count, source.num_rows))
            for (record, _), output in zip(chunk, said.outputs, strict=True):
                write({**record, **dict(zip(added, added_values(tuned.kind, output, tuned.classes), strict=True))})
            count, num_too_long, num_cut = count + len(chunk), num_too_long + said.num_too_long, num_cut + said.num_cut
    if num_too_long:
        were = f"{num_too_long:,} of {_rows(count)} {_were(num_too_long)} longer than the model reads"
        say(Warned(f"{were}; their {tuned.cut_part} was left out."))
    if num_cut:
        limit = tuned.length(max_new_tokens)
        say(
            Warned(
                f"{num_cut:,} of {count:,} answers cut at {limit} tokens at most; --max-new-tokens (in Python, max_new_tokens=) lets them go on."
            )
        )
    return {"rows": count, "columns": added, "num_too_long": num_too_long, "num_cut": num_cut}


def _tick(say: Say, before: int, total: int) -> Callable[[int], None]:
    return lambda done: say(Progress("predict", before + done, total))


def _chunks(source: _Input, num_rows: int) -> Iterator[list[tuple[Record, Example]]]:
    chunk, num_characters = list[tuple[Record, Example]](), 0
    invalid = {row.row for row in source.invalid}
    for row, record in iter_rows(source.file, quarantine=Quarantine() if source.skips else None):
        if row in invalid:
            continue
        example = example_to_predict(record, Origin(str(source.file), row), format=source.format, columns=source.located)
        chunk.append((record, example))
        num_characters += sum(len(value) for value in record.values() if isinstance(value, str))
        if len(chunk) >= num_rows or num_characters >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, num_characters = [], 0
    if chunk:
        yield chunk


def _free_names(tuned: "Tuned | RemoteTuned", taken: Sequence[str]) -> list[str]:
    """Names of the columns to add, none of which the file has."""
    usual = added_columns(tuned.kind, tuned.classes)
    if usual == ["completion"] and "completion" in taken:
        usual = ["predicted_completion"]
    names, number = usual, 1
    while set(names) & set(taken):
        number += 1
        names = [f"{name}_{number}" for name in usual]
    return names


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
