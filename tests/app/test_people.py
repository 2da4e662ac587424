"""What an index keeps of one person is found by that person alone, and is gone once it is to be."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import transformers
from chat_server import Served, serving

from tunesmith.app.ask import ask
from tunesmith.app.index import open_index
from tunesmith.app.index_build import build_index
from tunesmith.app.people import forget, is_known
from tunesmith.cli.main import run
from tunesmith.core import endpoint
from tunesmith.core.errors import UsageError
from tunesmith.core.fetch import IndexSettings

KEPT = Path("kept")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(endpoint, "index_settings", IndexSettings)
    with serving("a very good answer [1]") as served:
        yield served


@pytest.fixture
def index(tmp_path: Path, encoder_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of shared documents, and of Ann's and Bob's."""
    monkeypatch.chdir(tmp_path)
    for folder, text in (("shared", "the mat was good"), ("of-ann", "the cat ran zanzibar"), ("of-bob", "the cat sat quixote")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "note.md").write_text(text)
    built("shared", model=str(encoder_folder), passage_tokens=20, overlap_tokens=0)
    built("of-ann", user="ann", profile="Ann likes cats.")
    built("of-bob", user="bob")
    return KEPT


def built(source: str, **changes: Any) -> dict[str, Any]:
    return build_index(source, KEPT, **changes)


def found(user: str | None, question: str = "cat zanzibar quixote mat") -> set[tuple[str, str]]:
    return {(one.kept_of, one.passage.text) for one in open_index(KEPT).search(question, 20, user)}


def holding(text: str) -> list[Path]:
    return [path for path in KEPT.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


SHARED, OF_ANN, OF_BOB = ("all", "the mat was good"), ("documents", "the cat ran zanzibar"), ("documents", "the cat sat quixote")


def test_a_persons_documents_are_found_by_that_person_alone(index: Path) -> None:
    assert found("ann") == {SHARED, OF_ANN}
    assert found("bob") == {SHARED, OF_BOB}
    assert found(None) == found("carol") == found("an") == found("Ann") == {SHARED}
    assert not is_known(index, "carol")  # to ask is to leave no trace


def test_what_was_asked_is_remembered_for_the_one_who_asked(index: Path, server: Served) -> None:
    first = ask(index, "who is the dog", endpoint=server.name, user="ann")
    assert "Ann likes cats." in server.asked[0]["messages"][0]["content"]
    assert {one["kept_of"] for one in first["passages"]} == {"all", "documents"}
    talk = ("history", "Question: who is the dog\nAnswer: a very good answer [1]")
    assert talk in found("ann", "dog")
    assert talk not in found("bob", "dog")
    ask(index, "is the film bad", endpoint=server.name, user="bob", remembers=False)
    ask(index, "is the film bad", endpoint=server.name)
    assert "Ann" not in server.asked[1]["messages"][0]["content"]
    assert not holding("is the film bad")
    ask(index, "no", user="bob", answers=False)
    assert found("bob") == {SHARED, OF_BOB}


def test_a_person_is_forgotten_to_the_last_file(index: Path, server: Served, capsys: pytest.CaptureFixture[str]) -> None:
    ask(index, "is zanzibar far", endpoint=server.name, user="ann")
    assert holding("is zanzibar far")  # the history
    assert holding("the cat ran zanzibar")
    assert holding("Ann likes cats.")
    assert run(["ask", str(index), "--user", "ann", "--forget"]) == 0
    assert "kept: forgot ann" in capsys.readouterr().out
    assert not holding("zanzibar")
    assert not holding("Ann likes cats.")
    assert found("ann") == {SHARED}
    assert found("bob") == {SHARED, OF_BOB}
    with pytest.raises(UsageError, match="kept: knows nobody called ann"):
        forget(index, "ann")
    assert run(["ask", str(index), "why?", "--user", "bob", "--forget"]) == 2
    assert run(["ask", str(index), "--forget"]) == 2
    assert found("bob") == {SHARED, OF_BOB}


def test_a_persons_documents_are_brought_up_to_date_and_the_history_stays(index: Path, server: Served) -> None:
    ask(index, "who is the dog", endpoint=server.name, user="ann")
    (Path("of-ann") / "note.md").write_text("the dog ran")
    made = built("of-ann", user="ann")
    assert (made["user"], made["changed"], made["removed"], made["documents"]) == ("ann", 1, 0, 1)
    assert {kept for kept, _ in found("ann", "dog")} == {"all", "documents", "history"}
    assert not holding("zanzibar")
    assert open_index(index).store.documents().keys() == {"note.md"}
    assert built("shared")["unchanged"] == 1


@pytest.fixture
def narrow(encoder_folder: Path, tmp_path: Path) -> str:
    """An encoder with other vectors."""
    config = transformers.BertConfig.from_pretrained(encoder_folder, hidden_size=16)
    transformers.BertModel(config).save_pretrained(tmp_path / "narrow")
    transformers.AutoTokenizer.from_pretrained(encoder_folder).save_pretrained(tmp_path / "narrow")
    return str(tmp_path / "narrow")


def test_an_index_with_vectors_of_another_model_takes_its_people_along(index: Path, server: Served, narrow: str) -> None:
    ask(index, "who is the dog", endpoint=server.name, user="ann")
    (Path("of-bob") / "note.md").write_text("# The cat\n## Very good\nthe cat sat quixote")
    built("of-bob", user="bob")
    built("shared", model=narrow, passage_tokens=6, rebuild=True)
    assert found("ann", "cat dog") == {SHARED, OF_ANN, ("history", "Question: who is the dog\nAnswer: a very good answer [1]")}
    opened = open_index(index)
    bob = opened.person("bob")
    passages = bob.documents.passages("note.md")
    (hit,) = bob.documents.nearest(opened.vectors(passages)[0], 1)
    assert hit.score == pytest.approx(1, abs=1e-5)  # as the index makes vectors, titles and all
    again = built("of-bob", user="bob")
    assert (again["added"], again["changed"], again["unchanged"]) == (1, 0, 0)  # cut into passages of another length
    assert all(len(one.text.split()) <= 6 for one in bob.documents.passages("note.md"))
    assert built("of-bob", user="bob")["unchanged"] == 1


@pytest.mark.parametrize("step", [1, 2])
def test_vectors_made_anew_survive_an_interruption(step: int, index: Path, narrow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    built("shared", model=narrow, rebuild=True)
    rename, calls = Path.rename, list[Path]()

    def interrupted(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == step:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", interrupted)
        found("ann")
    assert found("ann") == {SHARED, OF_ANN}
    assert {path.name for path in open_index(index).person("ann").folder.iterdir()} <= {
        "documents",
        "history",
        "person.json",
        "profile.txt",
    }


def test_an_interrupted_forgetting_leaves_nothing_to_be_found_and_can_be_ended(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path, **_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("tunesmith.app.people.shutil.rmtree", interrupted)
        forget(index, "ann")
    assert found("ann") == {SHARED}
    forget(index, "ann")
    assert not holding("zanzibar")


def test_a_persons_documents_are_of_one_source_and_have_the_indexs_settings(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"ann's documents are those of \S+of-ann. To have these in their place: --rebuild"):
        built("of-bob", user="ann")
    assert found("ann") == {SHARED, OF_ANN}
    assert built("of-bob", user="ann", rebuild=True)["documents"] == 1
    assert found("ann") == {SHARED, OF_BOB}
    with pytest.raises(UsageError, match="--passage-tokens: with --user the settings are the index's"):
        built("of-ann", user="ann", passage_tokens=30)
    (open_index(index).person("bob").folder / "person.json").write_text("{")
    assert found("bob") == {SHARED, OF_BOB}
    assert run(["ask", str(index), "--user", "bob", "--forget", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema": "tunesmith/forget/1", "index": "kept", "user": "bob"}


def test_the_command_says_whose_documents_they_are(index: Path, capsys: pytest.CaptureFixture[str], server: Served) -> None:
    arguments = ["index", "of-bob", "--to", str(index), "--user", "bob"]
    (index.parent / "bob.txt").write_text("Bob is five.")
    assert run([*arguments, "--profile", "bob.txt"]) == 0
    assert "kept, of bob: 1 documents" in capsys.readouterr().out
    assert run(["ask", str(index), "the cat", "--user", "bob", "--endpoint", server.name, "--json"]) == 0
    assert {one["kept_of"] for one in json.loads(capsys.readouterr().out)["passages"]} == {"all", "documents"}
    assert "Bob is five." in server.asked[0]["messages"][0]["content"]
    assert run(["ask", str(index), "the cat", "--user", "bob", "--search-only"]) == 0
    said = capsys.readouterr().out
    assert "] yours: note.md" in said
    assert "] your history: 20" in said
    for wrong, expected in (
        (["index", "of-bob", "--to", str(index), "--profile", "bob.txt"], "--profile: whose? Add --user NAME."),
        ([*arguments, "--profile", "none.txt"], "--profile none.txt: cannot be read"),
        (["index", "of-bob", "--to", "nowhere", "--user", "bob"], "nowhere: no index there"),
        (["index", "of-bob", "--to", str(index), "--user", " "], "--user: expected a name of 1 to 200 letters"),
    ):
        assert run(wrong) == 2
        assert expected in capsys.readouterr().err
