"""The same store in PostgreSQL. Needs a server: TUNESMITH_TEST_POSTGRESQL=postgresql://USER@HOST/DATABASE, an empty database, and psycopg."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tests.feedback.stores import item
from tunesmith.core.errors import TunesmithError, UsageError
from tunesmith.feedback import Grades, open_store
from tunesmith.feedback.connecting import connected, reading, writing
from tunesmith.feedback.tables import METADATA, VERSION_TABLE

ADDRESS = os.environ.get("TUNESMITH_TEST_POSTGRESQL", "")


def test_without_its_driver_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match=r"needs the package psycopg, which is not installed. Install it: pip install psycopg\[binary\]"):
        open_store("postgresql://ann@localhost/x", create=True)


@pytest.fixture
def address() -> Iterator[str]:
    if not ADDRESS:
        pytest.skip("needs TUNESMITH_TEST_POSTGRESQL")
    yield ADDRESS
    with writing(connected(ADDRESS), ADDRESS) as connection:
        METADATA.drop_all(connection)
        connection.execute(sqlalchemy.text(f"drop table if exists {VERSION_TABLE}"))


def _at_once(address: str, code: str, judges: list[str]) -> list[int]:
    begin = "import sys\nfrom tunesmith.feedback import open_store\nstore = open_store(sys.argv[1], create=True)\n"
    started = [subprocess.Popen([sys.executable, "-c", begin + code, address, judge]) for judge in judges]
    return [process.wait(60) for process in started]


def test_judges_in_several_processes_lose_nothing(address: str) -> None:
    with pytest.raises(UsageError, match="no store of judgements there"):
        open_store(address)
    assert _at_once(address, "", ["ann", "bob", "eve", "joe"]) == [0] * 4
    store = open_store(address)
    with store.writing() as writer:
        for number in range(20):
            writer.add(item(f"question {number}", "a\0", "b", gold={0: 1, 1: 2} if number == 0 else None))
        assert not writer.add(item("question 3", "a\0", "b"))[2]
    once = "for n in range(1, 40, 2):\n    with store.writing() as writer:\n        writer.choose(sys.argv[2], (n, n + 1), 'first')\n"
    assert _at_once(address, once, ["ann", "bob", "ann", "ann"]) == [0] * 4
    assert (len(store.choices()), store.num_revisions()) == (40, 40)
    again = "for _ in range(20):\n    with store.writing() as writer:\n        writer.choose('zoe', (1, 2), 'tie', replace=True)\n"
    assert _at_once(address, again, ["", "", ""]) == [0] * 3
    assert (len(store.choices("zoe")), store.num_revisions()) == (1, 100)
    with store.writing() as writer:
        assert writer.rank("ann", {1: 1, 2: 1})
        assert writer.grade("ann", 1, Grades(1, 2, 3))
    assert [one.ranks for one in store.rankings()] == [{1: 1, 2: 1}]
    assert [one.grades for one in store.grades()] == [Grades(1, 2, 3)]


def test_migrations_make_the_tables_that_the_code_knows(address: str) -> None:
    open_store(address, create=True)
    with reading(connected(address), address) as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, METADATA) == []


def test_a_server_that_is_not_there_is_one_line(address: str) -> None:
    url = sqlalchemy.make_url(address).set(port=1)
    with pytest.raises(TunesmithError, match="connection failed"):
        open_store(url.render_as_string(), create=True)
