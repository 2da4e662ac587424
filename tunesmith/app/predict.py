"""Predict every row of a file, of any size, with a tuned model."""

import csv
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from tunesmith.app.tuned import Tuned, load_tuned
from tunesmith.core.errors import DataError, UsageError
from tunesmith.core.events import Event, Progress, Stage
from tunesmith.core.files import staged_file
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Origin, Output
from tunesmith.data import example_to_predict, iter_rows

__all__ = ["predict_file"]

_CHUNK = 512
_SUFFIXES = (".csv", ".tsv", ".jsonl")


def predict_file(run: RunDirectory, file: Path, out: Path, *, progress: Callable[[Event], None] | None = None) -> dict[str, Any]:
    """Write `out`: the rows of `file` with `label` and one probability a class, or with `completion`.

    The file is read and written in pieces; `out` appears whole when all is done.
    Returns: {run, file, out, rows}.
    Raises: UsageError, DataError.
    """
    say = progress or (lambda event: None)
    if out.suffix not in _SUFFIXES:
        raise UsageError(f"{out}: expected a file that ends in {', '.join(_SUFFIXES)}.")
    if out.exists() and out.resolve() == file.resolve():
        raise UsageError(f"{out}: is the file that is read. Name another to write.")
    records = iter_rows(file)
    say(Stage("model", run.id))
    tuned = load_tuned(run)
    say(Stage("predict", str(file)))
    count = 0
    with staged_file(out) as staged:
        with staged.open("w", encoding="utf-8", newline="") as target:
            write = _writer(target, out.suffix)
            for lines in _predicted(tuned, file, records):
                for line in lines:
                    write(line)
                count += len(lines)
                say(Progress("predict", count, 0))
        if not count:
            raise DataError(f"{file}: has no rows. Nothing was written.")
    return {"run": run.id, "file": str(file), "out": str(out), "rows": count}


def _predicted(tuned: Tuned, file: Path, records: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(records)
    while chunk := list(itertools.islice(iterator, _CHUNK)):
        columns = tuned.recipe.data.columns
        examples = [example_to_predict(record, Origin(str(file), row), format=tuned.format, columns=columns) for row, record in chunk]
        outputs = tuned.outputs(examples)
        yield [_line(dict(record), output, tuned.encoder.labels) for (_, record), output in zip(chunk, outputs, strict=True)]


def _line(record: dict[str, Any], output: Output, labels: tuple[str, ...]) -> dict[str, Any]:
    if output.label is None:
        return {**record, "completion": output.text}
    named = {f"probability_{label}": round(p, 6) for label, p in zip(labels, output.probabilities, strict=True)}
    return {**record, "predicted_label": output.label, **named}


def _writer(target: IO[str], suffix: str) -> Callable[[dict[str, Any]], object]:
    if suffix == ".jsonl":
        return lambda line: target.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
    rows: list[csv.DictWriter[str]] = []

    def write(line: dict[str, Any]) -> None:
        if not rows:
            rows.append(csv.DictWriter(target, list(line), delimiter="\t" if suffix == ".tsv" else ",", extrasaction="ignore"))
            rows[0].writeheader()
        rows[0].writerow(line)

    return write
