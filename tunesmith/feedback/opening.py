"""Open a store: made where there is none, brought up where an earlier version made it, refused where a later one did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.core.errors import TunesmithError, UsageError

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection, Engine

    from tunesmith.feedback.store import FeedbackStore

__all__ = ["DEFAULT_STORE", "open_store"]

DEFAULT_STORE = "runs/feedback.sqlite"
"""Beside the runs of the current folder: what people said is data, and no cache."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_023_118
"""A number by which processes that would change a PostgreSQL database's layout know each other."""


def open_store(address: str = DEFAULT_STORE, *, create: bool = False) -> FeedbackStore:
    """The store of that address: a file, `sqlite:///FILE` or `postgresql://USER@HOST/DATABASE`.

    Args:
        create: whether one is made where there is none.
    Raises: UsageError, where there is none, where it is something else, or a later version made it, and where a package is missing; TunesmithError.
    """
    try:
        import alembic  # noqa: F401 - so that both packages are asked for before anything is made

        from tunesmith.feedback.connecting import connected, file_of, without_password
        from tunesmith.feedback.store import FeedbackStore
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("sqlalchemy", "alembic"):
            raise
        raise UsageError(
            f"feedback needs the package {package}, which is not installed. Install it: pip install sqlalchemy alembic"
        ) from None
    shown, file = without_password(address), file_of(address)
    if file is not None:
        _check_file(file, shown, create=create)
    engine = connected(address)
    _bring_up(engine, shown, create=create)
    return FeedbackStore(engine, shown)


def _check_file(file: Path, shown: str, *, create: bool) -> None:
    if file.is_dir():
        raise UsageError(f"{shown}: is a folder. Name a file in it.")
    if not file.exists():
        if not create:
            raise _missing(shown)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{shown}: the folder {file.parent} cannot be made ({error.strerror}). Name another place with --store."
            ) from None


def _missing(shown: str) -> UsageError:
    return UsageError(
        f"{shown}: no store of judgements there. `tunesmith feedback collect RUN` and `tunesmith feedback add FILE` begin one; --store names another."
    )


def _bring_up(engine: Engine, shown: str, *, create: bool) -> None:
    """Make whatever migrations the store lacks, one process at a time."""
    from alembic import command

    from tunesmith.feedback.connecting import reading, writing

    config = _config()
    with reading(engine, shown) as connection:
        if _is_up_to_date(connection, config, shown, create=create):
            return
    with writing(engine, shown) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        if not _is_up_to_date(connection, config, shown, create=create):  # another process may have been quicker
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _is_up_to_date(connection: Connection, config: Config, shown: str, *, create: bool) -> bool:
    """Raises: UsageError, where it is no store and none may be made of it, or a later version made it."""
    import sqlalchemy
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from tunesmith.feedback.tables import VERSION_TABLE

    found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    migrations = ScriptDirectory.from_config(config)
    known = [migration.revision for migration in migrations.walk_revisions()]
    if found is None:
        others = sqlalchemy.inspect(connection).get_table_names()
        if others and connection.dialect.name == "sqlite":
            raise UsageError(f"{shown}: holds other tables ({', '.join(sorted(others)[:3])}), and is no store of judgements. Name another.")
        if not create:
            raise _missing(shown)
    elif found not in known:
        raise TunesmithError(
            f"{shown}: a later version of tunesmith made this store: its layout is {found}, and this version knows up to {known[0]}. Upgrade tunesmith, or name another store."
        )
    return found == known[0]
