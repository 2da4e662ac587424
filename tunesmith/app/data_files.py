"""What the commands that make data files from data share: where they may write, what they tell, how they read and end."""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tunesmith.app.interruption import Interruption
from tunesmith.core.errors import DataError, Interrupted, UsageError
from tunesmith.core.events import Event, Progress, Stage, Warned
from tunesmith.core.files import folders_made, staged_file
from tunesmith.data import Quarantine, write_quarantine
from tunesmith.data.record_source import RecordSource
from tunesmith.data.table import Record
from tunesmith.data.writing import WRITTEN, parquet_schema, record_writer

__all__ = ["Work", "check_target", "data_work", "schema_for", "written"]

T = TypeVar("T")
_TELL_EVERY = 10_000


@dataclass(slots=True)
class Work:
    """A command at work: it tells how far it is, and can be interrupted whenever it does."""

    say: Callable[[Event], None]
    written: list[Path] = field(default_factory=list)

    def counted(self, rows: Iterable[T], stage: str, detail: str = "") -> Iterator[T]:
        """The rows, counted for the one who waits."""
        self.say(Stage(stage, detail))
        for number, row in enumerate(rows, start=1):
            if number % _TELL_EVERY == 0:
                self.say(Progress(stage, number, 0))
            yield row

    def keep_invalid(self, source: RecordSource, path: Path) -> int:
        """Write the rows that were passed over beside what was made, and say how many there are. Returns: how many."""
        if source.invalid:
            write_quarantine(path, source.invalid)
            self.say(Warned(f"{Quarantine(list(source.invalid)).summary(source.name)} All stand in {path}."))
        return len(source.invalid)


@contextlib.contextmanager
def data_work(progress: Callable[[Event], None] | None) -> Iterator[Work]:
    """What a command does; an error speaks of its options, not of a recipe's keys. Raises: Interrupted, where it was stopped."""
    with Interruption() as interruption:
        say = interruption.checked(progress)
        try:
            yield Work(say)
        except Interrupted:
            raise Interrupted("interrupted; nothing was written.") from None
        except (DataError, UsageError) as error:
            raise type(error)(_as_options(str(error))) from None


def _as_options(message: str) -> str:
    """Keys of a recipe as the options that say the same on the command line."""
    message = re.sub(r"data\.columns\.(\w+)=COLUMN", r"--column \1=COLUMN", message)
    message = message.replace("data.columns.source and .target (pairs)", "--column source=COLUMN and target=COLUMN (pairs)")
    message = re.sub(r"data\.columns\.(\w+)", r"--column \1=COLUMN", message)
    message = message.replace("data.split.test and data.split.validation", "--test and --validation").replace(
        "data.split", "--test or --validation"
    )
    return message.replace("data.format=", "--format ").replace("data.format", "--format")


def check_target(out: Path, sources: Sequence[RecordSource], *, force: bool, suffixes: Sequence[str] = WRITTEN) -> None:
    """Raises: UsageError, where `out` cannot be written, is what is read, or exists and may not be replaced."""
    if out.suffix not in suffixes:
        raise UsageError(f"{out}: expected a file that ends in {', '.join(suffixes)}.")
    if out.is_dir():
        raise UsageError(f"{out}: is a folder. Name a file in it.")
    if any(out.exists() and source.path.exists() and out.samefile(source.path) for source in sources):
        raise UsageError(f"{out}: is the file that is read. Name another to write.")
    if out.exists() and not force:
        raise UsageError(f"{out}: exists. Name another file, or replace it with --force.")
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir():
        raise UsageError(f"{out}: {above} is a file, not a folder. Name another place.")


def schema_for(out: Path, source: RecordSource, columns: Sequence[str], records: Callable[[], Iterable[Record]]) -> Any:
    """The schema of a parquet file: that of the source where it is one and has the same columns, else found from the records; None for others."""
    if out.suffix != ".parquet":
        return None
    if source.suffix == ".parquet":
        import pyarrow.parquet as pq

        own = pq.read_schema(source.path)
        if own.names == list(columns):
            return own
    return parquet_schema(records(), columns, str(out))


@contextlib.contextmanager
def written(out: Path, columns: Sequence[str], schema: Any = None) -> Iterator[Callable[[Record], object]]:
    """What writes records to `out`, which appears when the block ends well."""
    with folders_made(out), staged_file(out) as staged, record_writer(staged, out.suffix, columns, schema) as write:
        yield write
