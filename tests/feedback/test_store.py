"""A store keeps what was said, whatever happens: history, several processes at once, a judge who leaves in the middle."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tests.feedback.stores import item, store_of
from tunesmith.core.errors import DataError, DiskFull, TunesmithError, UsageError
from tunesmith.feedback import Grades, StoredResponse, connecting, open_store, opening
from tunesmith.feedback.connecting import connected, reading, told
from tunesmith.feedback.tables import METADATA, VERSION_TABLE

FIRST = "feedback.sqlite"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verdicts(store: Any) -> list[tuple[str, int, int, str]]:
    return [(one.judge, one.first, one.second, one.verdict) for one in store.choices()]


def test_what_is_added_twice_is_there_once(tmp_path: Path) -> None:
    store = store_of(tmp_path, item("hello", "a", "b", gold={0: 1, 1: 2}))
    with store.writing() as writer:
        assert writer.add(item("hello", "b", "c")) == (1, [2, 3], True)
        assert writer.add(item("hello", "a", "b", gold={0: 1, 1: 2})) == (1, [1, 2], False)
    (prompt,) = store.prompts()
    assert prompt.messages == ({"role": "user", "content": "hello"},)
    assert prompt.responses == (
        StoredResponse(1, "a", ("model 1",)),
        StoredResponse(2, "b", ("model 1", "model 2")),
        StoredResponse(3, "c", ("model 2",)),
    )
    assert prompt.gold == {1: 1, 2: 2}


def test_a_verdict_is_about_the_answers_and_not_about_their_places(tmp_path: Path) -> None:
    store = store_of(tmp_path, item("?", "a", "b"))
    with store.writing() as writer:
        assert writer.choose("ann", (2, 1), "first", shown_first=2, comment="shorter")
    (found,) = store.choices()
    assert (found.first, found.second, found.verdict, found.shown_first, found.comment) == (1, 2, "second", 2, "shorter")


def test_a_judge_judges_once_and_a_later_word_has_to_say_that_it_replaces(tmp_path: Path) -> None:
    store = store_of(tmp_path, item("?", "a", "b"))
    with store.writing() as writer:
        assert writer.choose("ann", (1, 2), "first")
        assert not writer.choose("ann", (1, 2), "tie")
        assert writer.choose("bob", (1, 2), "tie")
    assert verdicts(store) == [("ann", 1, 2, "first"), ("bob", 1, 2, "tie")]
    with store.writing() as writer:
        assert writer.choose("ann", (1, 2), "second", replace=True)
    assert set(verdicts(store)) == {("ann", 1, 2, "second"), ("bob", 1, 2, "tie")}
    with closing(sqlite3.connect(FIRST)) as file:
        kept = file.execute("select revision, verdict from feedback_choices where judge_id = 1 order by revision").fetchall()
    assert kept == [(1, "first"), (2, "second")]
    assert store.num_revisions() == 3


def test_what_was_withdrawn_counts_no_more_and_can_be_judged_again(tmp_path: Path) -> None:
    store = store_of(tmp_path, item("?", "a", "b"))
    with store.writing() as writer:
        writer.choose("ann", (1, 2), "first")
        writer.grade("ann", 1, Grades(1, 2, 3))
        writer.withdraw_choice("ann", (2, 1))
        writer.withdraw_grade("ann", 1)
    assert (store.choices(), store.grades()) == ([], [])
    with store.writing() as writer:
        assert writer.choose("ann", (1, 2), "tie")
        assert writer.grade("ann", 1, Grades(3, 2, 1))
    assert verdicts(store) == [("ann", 1, 2, "tie")]
    assert [one.grades for one in store.grades()] == [Grades(3, 2, 1)]
    assert store.num_revisions() == 6


def test_rankings_keep_their_ties_and_their_history(tmp_path: Path) -> None:
    store = store_of(tmp_path, item("?", "a", "b", "c"), item("!", "d", "e"))
    with store.writing() as writer:
        assert writer.rank("ann", {1: 2, 2: 1, 3: 2}, comment="close")
        assert not writer.rank("ann", {1: 1, 2: 2})
        assert writer.rank("ann", {1: 1, 2: 2}, replace=True)
        with pytest.raises(DataError, match="expected answers to one prompt"):
            writer.rank("ann", {1: 1, 4: 2})
        with pytest.raises(DataError, match="response 9: the store has no answer of that number"):
            writer.rank("ann", {1: 1, 9: 2})
        with pytest.raises(DataError, match="responses 1 and 4: expected two answers to one prompt"):
            writer.choose("ann", (1, 4), "tie")
        with pytest.raises(DataError, match="response 9: the store has no answer of that number"):
            writer.grade("ann", 9, Grades(1, 1, 1))
    assert [one.ranks for one in store.rankings()] == [{1: 1, 2: 2}]
    with closing(sqlite3.connect(FIRST)) as file:
        assert file.execute("select ranking_id, response_id, rank from feedback_ranks order by 1, 2").fetchall() == [
            (1, 1, 2), (1, 2, 1), (1, 3, 2), (2, 1, 1), (2, 2, 2),
        ]  # fmt: skip


def test_the_database_itself_refuses_what_makes_no_sense(tmp_path: Path) -> None:
    store_of(tmp_path, item("?", "a", "b")).writing()
    with closing(sqlite3.connect(FIRST)) as file:
        file.execute("pragma foreign_keys = on")
        file.execute("insert into feedback_judges values (1, 'ann', 0, '')")
        for values in ("(1, 1, 1, 2, 1, 0, 'best', null, '', '')", "(1, 1, 2, 1, 1, 0, 'tie', null, '', '')", "(1, 1, 1, 9, 1, 0, 'tie', null, '', '')"):  # fmt: skip
            with pytest.raises(sqlite3.IntegrityError):
                file.execute(f"insert into feedback_choices values {values}")
        with pytest.raises(sqlite3.IntegrityError, match="feedback_grades_from_1_to_5"):
            file.execute("insert into feedback_grades values (1, 1, 1, 1, 0, 1, 6, 1, '', '')")


def test_another_gold_order_of_the_same_answers_is_refused(tmp_path: Path) -> None:
    store = store_of(tmp_path, item("?", "a", "b", gold={0: 1, 1: 2}))
    with store.writing() as writer, pytest.raises(DataError, match="gold: another order of these answers was given before"):
        writer.add(item("?", "a", "b", gold={0: 2, 1: 1}))


def test_what_fails_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    store = store_of(tmp_path, item("?", "a", "b"))
    with pytest.raises(DataError), store.writing() as writer:
        writer.choose("ann", (1, 2), "first")
        writer.choose("ann", (1, 7), "first")
    assert store.choices() == []
    assert store.judges() == []


def test_texts_come_back_as_they_were_but_for_what_no_database_holds(tmp_path: Path) -> None:
    store = store_of(tmp_path, item("¿qué?\n\t🙂", "a\0b", "half \ud83d", "'; drop table feedback_prompts; --"))
    (prompt,) = store.prompts()
    assert prompt.messages[0]["content"] == "¿qué?\n\t🙂"
    assert [one.text for one in prompt.responses] == ["a\ufffdb", "half ?", "'; drop table feedback_prompts; --"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\nb"])
def test_a_judge_has_a_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"judge: found .*, expected a name of 1 to 200 letters"), store_of(tmp_path).writing() as writer:
        writer.judge(name)


JUDGE_ALL = """
import sys
from tunesmith.feedback import open_store
file, judge, *firsts = sys.argv[1:]
store = open_store(file, create=True)
for first in map(int, firsts):
    with store.writing() as writer:
        writer.choose(judge, (first, first + 1), 'first', comment=judge)
"""


def judge_at_once(file: str, judges: list[str], firsts: list[int]) -> list[int]:
    """One process a judge; each judges all the pairs."""
    started = [subprocess.Popen([sys.executable, "-c", JUDGE_ALL, file, judge, *map(str, firsts)]) for judge in judges]
    return [process.wait(60) for process in started]


def test_judges_in_several_processes_lose_nothing(tmp_path: Path) -> None:
    store = store_of(tmp_path, *(item(f"question {number}", "a", "b") for number in range(25)))
    firsts, names = list(range(1, 50, 2)), ["ann", "bob", "eve", "ann"]  # one of them in two windows
    assert judge_at_once(FIRST, names, firsts) == [0] * 4
    assert sorted(verdicts(store)) == sorted((name, first, first + 1, "first") for name in set(names) for first in firsts)
    assert store.num_revisions() == 75


def test_processes_that_make_the_same_new_store_at_once_make_one(tmp_path: Path) -> None:
    assert judge_at_once("new.sqlite", ["ann", "bob", "eve", "joe"], []) == [0] * 4
    assert open_store("new.sqlite").prompts() == []


def test_a_process_that_is_killed_keeps_what_it_had_judged(tmp_path: Path) -> None:
    store = store_of(tmp_path, item("?", "a", "b"), item("!", "c", "d"))
    code = (
        "from tunesmith.feedback import open_store\nstore = open_store('feedback.sqlite')\n"
        "with store.writing() as writer:\n    writer.choose('ann', (1, 2), 'first')\n"
        "with store.writing() as writer:\n    writer.choose('ann', (3, 4), 'first')\n    print('judged', flush=True)\n    input()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"judged\n"
        os.kill(process.pid, signal.SIGKILL)
    assert verdicts(store) == [("ann", 1, 2, "first")]
    with store.writing() as writer:
        assert writer.choose("ann", (3, 4), "tie")


def test_migrations_make_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    store_of(tmp_path)
    with reading(connected(FIRST), FIRST) as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, METADATA) == []


def test_an_older_store_is_brought_up_and_a_newer_one_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with store_of(tmp_path, item("?", "a", "b")).writing() as writer:
        writer.choose("ann", (1, 2), "first")
    later = tmp_path / "100 % later"
    shutil.copytree(opening._MIGRATIONS, later)
    (later / "versions" / "r9999_later.py").write_text(
        "from alembic import op\nfrom sqlalchemy import Column, Integer\nrevision = '9999'\ndown_revision = '0001'\n"
        "def upgrade():\n    op.add_column('feedback_judges', Column('age', Integer))\n"
    )
    with monkeypatch.context() as patch:
        patch.setattr(opening, "_MIGRATIONS", later)
        assert verdicts(open_store(FIRST)) == [("ann", 1, 2, "first")]
        with closing(sqlite3.connect(FIRST)) as file:
            assert file.execute("select version_num from feedback_version").fetchall() == [("9999",)]
            assert file.execute("select name, age from feedback_judges").fetchall() == [("ann", None)]
    with pytest.raises(
        TunesmithError,
        match=r"feedback\.sqlite: a later version of tunesmith made this store: its layout is 9999, and this version knows up to 0001\. Upgrade",
    ):
        open_store(FIRST)


def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_of(tmp_path, item("?", "a", "b"))
    later = tmp_path / "later"
    shutil.copytree(opening._MIGRATIONS, later)
    (later / "versions" / "r9999_later.py").write_text(
        "from alembic import op\nrevision = '9999'\ndown_revision = '0001'\n"
        "def upgrade():\n    op.drop_table('feedback_ranks')\n    op.drop_table('no_such_table')\n"
    )
    with monkeypatch.context() as patch:
        patch.setattr(opening, "_MIGRATIONS", later)
        with pytest.raises(TunesmithError, match="no such table: no_such_table"):
            open_store(FIRST)
    store = open_store(FIRST)
    with store.writing() as writer:
        assert writer.rank("ann", {1: 1, 2: 2})


def test_what_is_no_store_is_told_in_one_line(tmp_path: Path) -> None:
    Path("text.sqlite").write_text("not a database at all, but a text that is long enough" * 40)
    with closing(sqlite3.connect("other.sqlite")) as file:
        file.execute("create table books (id integer)")
    Path("folder").mkdir()
    for name, message in (
        ("text.sqlite", "text.sqlite: is no store of judgements, or a damaged one"),
        ("other.sqlite", "other.sqlite: holds other tables .books., and is no store of judgements"),
        ("folder", "folder: is a folder"),
        ("text.sqlite/x", "text.sqlite/x: the folder text.sqlite cannot be made .File exists."),
        ("/proc/nowhere/x", "/proc/nowhere/x: the folder /proc/nowhere cannot be made"),
        ("sqlite://", "sqlite://: expected a file, sqlite:///FILE or postgresql://USER@HOST/DATABASE"),
        ("mysql://root@localhost/x", "mysql://root@localhost/x: expected a file"),
        ("postgresql://ann:secret@localhost/x", "postgresql://ann@localhost/x: the address holds a password"),
    ):
        with pytest.raises(TunesmithError, match=message) as caught:
            open_store(name, create=True)
        assert "secret" not in str(caught.value)
    with pytest.raises(UsageError, match=r"nowhere\.sqlite: no store of judgements there. `tunesmith feedback collect RUN`"):
        open_store("nowhere.sqlite")
    assert not Path("nowhere.sqlite").exists()


def test_a_store_that_somebody_else_holds_is_waited_for_and_then_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_of(tmp_path)
    monkeypatch.setattr(connecting, "_WAIT_SECONDS", 0.05)
    store = open_store(FIRST)
    with closing(sqlite3.connect(FIRST, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(TunesmithError, match="another process has been writing to it for 0.05 seconds. Try again"), store.writing():
            pass


def test_a_full_disk_is_told_as_one() -> None:
    from sqlalchemy.exc import OperationalError

    with pytest.raises(DiskFull, match="the disk is full"), told("x"):
        raise OperationalError("insert", {}, sqlite3.OperationalError("database or disk is full"))


@pytest.mark.parametrize("package", ["sqlalchemy", "alembic"])
def test_without_its_packages_one_line_says_what_to_install(package: str) -> None:
    code = (
        f"import sys\nsys.modules['{package}'] = None\nfrom tunesmith.feedback import open_store\n"
        "try:\n    open_store('x.sqlite', create=True)\nexcept Exception as error:\n    print(type(error).__name__, error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == f"UsageError feedback needs the package {package}, which is not installed. Install it: pip install sqlalchemy alembic\n"
    assert not Path("x.sqlite").exists()


def test_messages_of_any_kind_are_kept(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "?"}]
    store = store_of(tmp_path)
    with store.writing() as writer:
        from tunesmith.feedback import NewItem, NewResponse

        writer.add(NewItem(tuple(messages), (NewResponse("a"),)))
    assert json.loads(json.dumps(store.prompts()[0].messages)) == messages
