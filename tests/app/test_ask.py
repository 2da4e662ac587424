"""Questions to an index: what is found, shown and named."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_server import Served, serving
from suite_files import byte_model

from tunesmith.app.ask import ask
from tunesmith.app.index_build import build_index
from tunesmith.cli.main import run
from tunesmith.core import endpoint
from tunesmith.core.errors import FetchError, UsageError
from tunesmith.core.fetch import IndexSettings

QUESTION = "what is the cat"


@pytest.fixture
def index(tmp_path: Path, encoder_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "library").mkdir()
    for number, text in enumerate(["the cat is very good", "a dog ran", "the film was bad", "the mat is on the dog"]):
        (tmp_path / "library" / f"{number}.txt").write_text(text)
    build_index("library", Path("kept"), model=str(encoder_folder), passage_tokens=20, overlap_tokens=0)
    return Path("kept")


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return byte_model(tmp_path_factory.mktemp("models") / "bytes", max_length=540, chat=True)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(endpoint, "index_settings", IndexSettings)
    monkeypatch.setattr(endpoint, "_PAUSES_SECONDS", (0.0,))
    with serving("It is good [1]. See [7].", finish="length") as served:
        yield served


def test_as_many_passages_are_shown_as_the_window_holds(index: Path, speaker: Path) -> None:
    pieces = list[str]()
    found = ask(index, QUESTION, model=str(speaker), count=4, max_new_tokens=8, tell=pieces.append)
    context = found["context"]
    assert len(found["passages"]) == 4
    assert found["passages"][0]["document"] == "0.txt"
    assert 0 < context["dropped"] < 4
    assert context["window"] == 540
    assert context["tokens"] <= 540 - 8
    assert context["share"] == context["tokens"] / 540
    assert found["cut"] is True
    assert found["answer"] == "".join(pieces).strip()
    few = ask(index, QUESTION, model=str(speaker), count=4 - context["dropped"], max_new_tokens=8)
    assert (few["answer"], few["context"]["tokens"], few["context"]["dropped"]) == (found["answer"], context["tokens"], 0)
    with pytest.raises(UsageError, match=r"reads 540 tokens, and not one passage fits with the question and 400 tokens to answer"):
        ask(index, QUESTION, model=str(speaker), max_new_tokens=400)


def test_an_endpoint_answers_too_and_what_it_names_is_told(index: Path, server: Served) -> None:
    found = ask(index, QUESTION, endpoint=server.name, count=2)
    assert (found["answer"], found["cut"], found["cited"], found["context"]) == ("It is good [1]. See [7].", True, [1], None)
    assert found["model"] == server.name
    (asked,) = server.asked
    assert asked["temperature"] == 0
    assert "the cat is very good" in asked["messages"][0]["content"]
    with pytest.raises(FetchError, match="no answer after 1 attempts"):
        ask(index, QUESTION, endpoint="m@http://127.0.0.1:9")


def test_a_search_alone_asks_no_model(index: Path) -> None:
    found = ask(index, QUESTION, answers=False, count=3)
    assert found["answer"] is found["model"] is found["context"] is None
    first = found["passages"][0]
    assert (first["number"], first["text"], first["by_words"]) == (1, "the cat is very good", 1)
    with pytest.raises(UsageError, match="the question is empty"):
        ask(index, " ", answers=False)
    with pytest.raises(UsageError, match="a model and an endpoint: name one of them"):
        ask(index, QUESTION, model="a", endpoint="b@http://c")


def test_the_command_shows_the_answer_with_its_sources(index: Path, server: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", str(index), QUESTION, "--endpoint", server.name, "-k", "2"]) == 0
    said = capsys.readouterr().out
    assert "It is good [1]. See [7].… (cut)" in said
    assert "[1] 0.txt\n" in said
    assert said.count("(not named in the answer)") == 1
    assert run(["ask", str(index), QUESTION, "--search-only", "-k", "1"]) == 0
    assert capsys.readouterr().out == "[1] 0.txt\nthe cat is very good\n\n"
    assert run(["ask", "nowhere", QUESTION, "--json"]) == 2
    shown = capsys.readouterr()
    assert "nowhere: no index there" in shown.err
    assert "nowhere: no index there" in json.loads(shown.out)["error"]["message"]
