"""The database behind a store: an SQLite file, or PostgreSQL by its address.

A writer takes an SQLite file for the length of one short transaction, and another waits for it. The file is no write-ahead log: while nobody writes, it is the whole store, and can
be copied.
"""

import contextlib
import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from tunesmith.core.errors import DiskFull, TunesmithError, UsageError

__all__ = ["connected", "file_of", "reading", "told", "without_password", "writing"]

_SQLITE = "sqlite:///"
_WAIT_SECONDS = 30
"""How long a process waits for another one that writes to the file."""
_EXPECTED = "expected a file, sqlite:///FILE or postgresql://USER@HOST/DATABASE"


def without_password(address: str) -> str:
    """The address as it may be shown. Raises: UsageError, where it holds a password: it would stand in the shell's history."""
    parts = urllib.parse.urlsplit(address) if "://" in address else None
    if parts is None or parts.scheme == "sqlite":
        return address
    login, _, host = parts.netloc.rpartition("@")
    keys = {key.lower() for key, _ in urllib.parse.parse_qsl(parts.query)}
    if ":" in login or {"password", "passwd", "pwd"} & keys:
        bare = f"{parts.scheme}://{login.partition(':')[0]}@{host}{parts.path}" if login else f"{parts.scheme}://{host}{parts.path}"
        raise UsageError(f"{bare}: the address holds a password. Leave it out, and set the environment variable PGPASSWORD.")
    return address


def file_of(address: str) -> Path | None:
    """The file of an SQLite store; None of another database. Raises: UsageError, for an address of neither."""
    if address.startswith(_SQLITE):
        address = urllib.parse.unquote(address.removeprefix(_SQLITE).partition("?")[0])
    elif "://" in address:
        if address.startswith(("postgresql://", "postgresql+")):
            return None
        raise UsageError(f"{address}: {_EXPECTED}.")
    if address in ("", ":memory:"):
        raise UsageError(f"{address or '--store'}: {_EXPECTED}.")
    return Path(address).expanduser()


def connected(address: str) -> Engine:
    """What connects to the database. Raises: UsageError, for an address that cannot be read, and where a driver is missing."""
    file = file_of(address)
    if file is not None:
        return _sqlite(file)
    shown = without_password(address)
    try:
        url = sqlalchemy.make_url(address)
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        if os.environ.get("PGPASSWORD"):
            url = url.set(password=os.environ["PGPASSWORD"])  # not every driver looks there itself
        return sqlalchemy.create_engine(url)
    except ModuleNotFoundError as error:
        package = "psycopg[binary]" if error.name == "psycopg" else error.name
        raise UsageError(f"{shown}: needs the package {error.name}, which is not installed. Install it: pip install {package}") from error
    except (NoSuchModuleError, ArgumentError, ValueError) as error:
        raise UsageError(f"{shown}: cannot be read as an address ({_first_line(error)}); {_EXPECTED}.") from None


def _sqlite(file: Path) -> Engine:
    # no pool: a file that nobody uses is not held open
    engine = sqlalchemy.create_engine(
        sqlalchemy.URL.create("sqlite", database=str(file)), poolclass=sqlalchemy.NullPool, connect_args={"timeout": _WAIT_SECONDS}
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver would begin and end transactions by rules of its own
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # who may write says so at once: two that read first and write later would wait for each other for ever
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")

    return engine


@contextlib.contextmanager
def reading(engine: Engine, shown: str) -> Iterator[Connection]:
    """A transaction that reads. Raises: as `told`."""
    with told(shown), engine.connect() as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def writing(engine: Engine, shown: str) -> Iterator[Connection]:
    """A transaction that is written whole when the block ends well, and not at all else. Raises: as `told`."""
    with told(shown), engine.execution_options(writes=True).begin() as connection:
        yield connection


@contextlib.contextmanager
def told(shown: str) -> Iterator[None]:
    """What a database complains of, in one line. Raises: TunesmithError, DiskFull."""
    try:
        yield
    except SQLAlchemyError as error:
        said = _first_line(getattr(error, "orig", None) or error)
        if "disk is full" in said:
            raise DiskFull(f"{shown}: the disk is full. Nothing half-written was kept; free some space first.") from error
        if "is locked" in said:
            said = f"another process has been writing to it for {_WAIT_SECONDS} seconds. Try again"
        elif "not a database" in said or "malformed" in said:
            said = f"is no store of judgements, or a damaged one ({said}). Name another with --store"
        elif "readonly" in said or "unable to open" in said:
            said = f"cannot be opened to be written ({said}). Name another with --store"
        raise TunesmithError(f"{shown}: {said.rstrip('.')}.") from error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__
