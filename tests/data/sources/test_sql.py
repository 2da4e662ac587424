import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tunesmith.core.errors import DataError, UsageError
from tunesmith.core.types import Labelled, Origin
from tunesmith.data import read

ADDRESS = "sqlite:///reviews.db"


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("reviews.db")) as connection:
        connection.execute("create table reviews (id integer, text text, label text)")
        connection.executemany("insert into reviews values (?, ?, ?)", [(1, "fine; really", "good"), (2, "dull", "bad"), (3, "odd", None)])
        connection.commit()
    return tmp_path / "reviews.db"


def test_rows_of_a_query(database: Path) -> None:
    query = "select text, label from reviews where label is not null order by id"
    dataset = read({"sql": ADDRESS, "query": query})
    assert dataset.examples == [Labelled("fine; really", "good", Origin(ADDRESS, 1)), Labelled("dull", "bad", Origin(ADDRESS, 2))]
    assert dataset.facts.notes == (f"{ADDRESS}: {query}",)
    assert read({"sql": f"sqlite:///{database}", "query": query}).facts.num_rows == 2
    assert read({"sql": ADDRESS, "query": f"{query} limit 1"}).facts.sha256 != dataset.facts.sha256


@pytest.mark.parametrize(
    "query",
    [
        "select text from reviews;",
        "  -- all of them; yes\n select text from reviews where text != ';'",
        "/* one; two */ with r as (select * from reviews) select text from r ; ",
        'select text as "a;b", text from reviews',
    ],
)
def test_one_select_is_one_whatever_stands_in_quotes_and_comments(query: str) -> None:
    assert len(read({"sql": ADDRESS, "query": query}, format="text", columns={"text": "text"}).examples) == 3


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("delete from reviews", "expected one SELECT, found 'delete from reviews'"),
        ("", "expected one SELECT"),
        ("select 1; drop table reviews", "more than one statement"),
        ("select 1; select 2", "more than one statement"),
        ("attach 'other.db' as o", "expected one SELECT"),
        ("pragma writable_schema=1", "expected one SELECT"),
    ],
)
def test_anything_but_one_select_is_refused(query: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read({"sql": ADDRESS, "query": query})


def test_nothing_can_be_written(database: Path) -> None:
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    with pytest.raises(DataError, match="readonly database"):
        read({"sql": ADDRESS, "query": "with r as (select 1) delete from reviews returning text"})
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before
    assert sorted(path.name for path in database.parent.iterdir()) == ["reviews.db"]


@pytest.mark.parametrize(
    ("address", "query", "said"),
    [
        ("sqlite:///none.db", "select 1", r"sqlite:///none\.db: no such file"),
        ("sqlite://none.db", "select 1", "expected sqlite:///FILE"),
        (ADDRESS, "select text from review", 'no table "review". Did you mean "reviews"'),
        (ADDRESS, "select texts from reviews", "no such column: texts"),
        (ADDRESS, "select text from reviews where 0", "the query gives no rows"),
        (ADDRESS, "select text, label as text from reviews", 'gives the column "text" twice'),
        ("mysql://host/db", "select 1", "expected sqlite:///FILE or postgresql://"),
    ],
)
def test_mistakes_are_one_line(address: str, query: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read({"sql": address, "query": query})
    assert "\n" not in str(caught.value)
    assert not Path("none.db").exists()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    Path("text.db").write_text("plain text, long enough to be looked at as a database's header and not as an empty one" * 20)
    with pytest.raises(DataError, match="not a database"):
        read({"sql": "sqlite:///text.db", "query": "select text from reviews"})


@pytest.mark.parametrize(
    "address",
    ["postgresql://me:secret@host/db", "postgresql://host/db?user=me&password=secret", "postgresql+psycopg://me:secret@host:5432/db"],
)
def test_a_password_in_the_address_is_refused_and_never_shown(address: str) -> None:
    with pytest.raises(DataError, match="PGPASSWORD") as caught:
        read({"sql": address, "query": "select 1"})
    assert "secret" not in str(caught.value)


def test_postgresql_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sqlalchemy", None)  # as if it were not installed
    with pytest.raises(UsageError, match=r"needs the package sqlalchemy, which is not installed\. Install it: pip install sqlalchemy"):
        read({"sql": "postgresql://me@host/db", "query": "select 1"})
