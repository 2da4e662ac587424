"""The rows of a query: `{sql: "sqlite:///reviews.db", query: "select text, label from reviews"}`; the names that the query gives are the columns.

SQLite files are opened read-only by Python itself; PostgreSQL needs SQLAlchemy and a driver (`pip install sqlalchemy psycopg[binary]`), and runs the query in a transaction that may only
read. One SELECT, no more. A password in the address would end up in reports: it is refused, and taken from the environment variable PGPASSWORD or from ~/.pgpass.
"""

import os
import re
import sqlite3
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, UsageError, did_you_mean
from tunesmith.core.files import hash_of
from tunesmith.core.types import Origin
from tunesmith.data.sources._rows import whole_path
from tunesmith.data.table import Record, Table, TableFacts

__all__ = ["Sql"]

_SQLITE = "sqlite:///"
_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)|(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*"|(?P<dollar>\$\w*\$).*?(?P=dollar))|(?P<end>;)|(?P<word>\w+|.)""",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Sql:
    """Read what one SELECT gives, row by row."""

    sql: str
    """The database: `sqlite:///FILE` (four slashes before an absolute path), or `postgresql://USER@HOST/DATABASE`."""
    query: str
    """One SELECT statement (or WITH ... SELECT), such as `select text, label from reviews order by id`."""

    def __post_init__(self) -> None:
        """Raises: ValueError, for a query that is not one SELECT."""
        _check_query(self.query)

    def whole_paths(self) -> dict[str, str]:
        """An SQLite file's address, with its path from the root."""
        if not self.sql.startswith(_SQLITE):
            return {}
        path, mark, options = self.sql.removeprefix(_SQLITE).partition("?")
        name = urllib.parse.unquote(path)
        whole = whole_path(name)
        return {"sql": f"{_SQLITE}{urllib.parse.quote(whole)}{mark}{options}"} if whole != name else {}

    def require(self, source: Any) -> None:
        """Raises: DataError, where it is an SQLite file that is not there, or the address holds a password; a server is not asked."""
        shown = _without_password(self.sql)
        if self.sql.startswith(_SQLITE):
            _file(self.sql, shown)

    def read(self, source: Any) -> Table:
        """Every row. Raises: DataError, where the database or the query fails, or gives no rows; UsageError, where a package is missing."""
        shown = _without_password(self.sql)
        rows = _sqlite(self.sql, shown, self.query) if self.sql.startswith("sqlite:") else _postgresql(self.sql, shown, self.query)
        columns = next(rows)
        twice = sorted({str(name) for name in columns if columns.count(name) > 1})
        if twice:
            raise DataError(f'{shown}: the query gives the column "{twice[0]}" twice. Name them apart: select a.id as a_id, b.id as b_id.')
        records = [dict(zip(columns, row, strict=True)) for row in rows]
        if not records:
            raise DataError(f"{shown}: the query gives no rows. Try it in the database's own program.")
        origins = [Origin(shown, number) for number in range(1, len(records) + 1)]
        return Table(records, origins, TableFacts(shown, hash_of(_plain(records)), notes=(f"{shown}: {' '.join(self.query.split())}",)))


def _check_query(query: str) -> None:
    """Raises: ValueError, where `query` is not one statement that begins with SELECT or WITH."""
    words = [found for found in _TOKEN.finditer(query) if not found["space"]]
    while words and words[-1]["end"]:
        words.pop()
    if not words or words[0][0].lower() not in ("select", "with"):
        raise ValueError(f"query: expected one SELECT, found {' '.join(query.split())[:60]!r}.")
    if any(word["end"] for word in words):
        raise ValueError("query: holds more than one statement. Write one SELECT.")


def _without_password(address: str) -> str:
    """The address as it may be shown. Raises: DataError, where it holds a password."""
    parts = urllib.parse.urlsplit(address)
    login, _, host = parts.netloc.rpartition("@")
    keys = {key.lower() for key, _ in urllib.parse.parse_qsl(parts.query)}
    if ":" in login or {"password", "passwd", "pwd"} & keys:
        bare = urllib.parse.urlunsplit(parts._replace(netloc=f"{login.partition(':')[0]}@{host}" if login else host, query=""))
        raise DataError(
            f"{bare}: the address holds a password, which would end up in the run's files. Leave it out, and set the environment variable PGPASSWORD."
        )
    return address


def _sqlite(address: str, shown: str, query: str) -> Iterator[Sequence[Any]]:
    """The names of the columns, then each row."""
    if not address.startswith(_SQLITE):
        raise DataError(f"{shown}: expected sqlite:///FILE (three slashes, four before an absolute path).")
    path = _file(address, shown)
    try:
        # as_uri quotes what would end the path; mode=ro makes every statement fail that writes
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            cursor = connection.execute(query)
            yield [str(column[0]) for column in cursor.description or ()]
            yield from cursor
    except sqlite3.Error as error:
        raise DataError(f"{shown}: {_cause(str(error), path)}") from None


def _file(address: str, shown: str) -> Path:
    path = Path(urllib.parse.unquote(address.removeprefix(_SQLITE).partition("?")[0])).expanduser()
    if not path.is_file():
        raise DataError(f"{shown}: no such file. Check the path (relative paths start at {Path.cwd()}).")
    return path


def _cause(said: str, path: Path) -> str:
    missing = re.fullmatch(r"no such table: (.+)", said)
    if missing is None:
        return f"the query fails: {said}. Try it in the sqlite3 program."
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        names = [row[0] for row in connection.execute("select name from sqlite_master where type in ('table', 'view')")]
    return f'no table "{missing[1]}".{did_you_mean(missing[1], names)}'


def _postgresql(address: str, shown: str, query: str) -> Iterator[Sequence[Any]]:
    if not re.match(r"postgresql(\+\w+)?://", address):
        raise DataError(f"{shown}: expected sqlite:///FILE or postgresql://USER@HOST/DATABASE.")
    try:
        import sqlalchemy
        from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{shown}: needs the package {error.name}, which is not installed. Install it: pip install sqlalchemy psycopg[binary]"
        ) from error
    try:
        url = sqlalchemy.make_url(address)
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        if os.environ.get("PGPASSWORD"):
            url = url.set(password=os.environ["PGPASSWORD"])  # not every driver looks there itself
        engine = sqlalchemy.create_engine(url)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{shown}: needs the package {error.name}, which is not installed. Install it: pip install {error.name}"
        ) from error
    except NoSuchModuleError as error:
        raise UsageError(f"{shown}: {error}. Write postgresql://USER@HOST/DATABASE.") from None
    except (SQLAlchemyError, ValueError) as error:  # a port that is no number
        raise DataError(f"{shown}: cannot be read as an address ({_first_line(error)}).") from None
    try:
        with engine.connect().execution_options(postgresql_readonly=True, stream_results=True, no_parameters=True) as connection:
            result = connection.exec_driver_sql(query)
            yield list(result.keys())
            yield from result
    except SQLAlchemyError as error:
        raise DataError(f"{shown}: the query fails: {_first_line(error)}") from None
    finally:
        engine.dispose()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def _plain(records: Sequence[Record]) -> list[Record]:
    """For the hash: numbers and texts as they are, all else (dates, decimals) by its text."""
    return [{key: v if isinstance(v, str | int | float | None) else str(v) for key, v in record.items()} for record in records]
