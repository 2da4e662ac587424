"""What a chain's stages name is looked for before the first one begins: whether it is there, not what is in it."""

import socket
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app.chain import tune_chain
from tunesmith.app.chain_sources import check_sources
from tunesmith.cli.main import run as command
from tunesmith.core.errors import TunesmithError
from tunesmith.data import require_there
from tunesmith.recipe import Chain, load_chain, shipped_chains

HANDOVER = "handover"


def refused(overrides: list[str], chain: str = HANDOVER) -> str:
    """What is said of a chain of that name with changes."""
    with pytest.raises(TunesmithError) as error:
        check_sources(load_chain(chain, overrides))
    assert "\n" not in str(error.value)
    return str(error.value)


def two_stages(**later: Any) -> Chain:
    """Two stages on tables that need no network, with changes of the second."""
    digits = {"model": {"architecture": {"name": "dense", "hidden": [4]}}, "data": "digits", "objective": "classify", "method": "full"}
    return Chain("two", "", {"one": digits, "other": {**digits, **later}}, None)


@pytest.mark.parametrize("chain", shipped_chains())
def test_every_shipped_chain_names_what_can_be_there_and_no_network_is_asked(
    chain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the two files that a person brings to `summary-starts`."""

    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.chdir(tmp_path)
    for name in ("source.txt", "target.txt"):
        Path(name).write_text("a text", encoding="utf-8")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    check_sources(load_chain(chain))


def test_a_later_stages_missing_file_is_told_before_anything_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(["tune", HANDOVER, "six-by-head.data.train=missing.csv"]) == 3
    assert "handover: stages.six-by-head: missing.csv: no such file." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["four.export=null"], "stages.two: stage:four/network.h5: the stage four writes none. Let it: four.export=h5."),
        (["two.model=stage:four/networkk.h5"], 'stages.two: stage:four/networkk.h5: a run leaves no networkk.h5 behind. Did you mean "network.h5"?'),
        (["two.data.train=stage:four/pairs.jsonl"], "stages.two: stage:four/pairs.jsonl: the stage four writes none"),
        (["two.data.train=stage:four"], "stages.two: stage:four: is a run, and rows come from a file of it."),
        (["two.data.test=no/such/*.csv"], "stages.two: no/such/*.csv: no file matches"),
        (["two.data.documents=documents:nowhere"], "stages.two: documents:nowhere: no such folder"),
        (["two.data.train=/no/such/folder"], "stages.two: /no/such/folder: no such file"),
        (["two.data.train=no such alias"], "stages.two: no such alias: no such file or folder"),
        (["two.data.train=dated-facts:question"], "stages.two: dated-facts:question: expected dated-facts:PART:YEAR"),
        (["two.data.train={source: a.txt, target: b.txt}"], "stages.two: a.txt and b.txt: no such files"),
        (["two.data.train={sql: 'sqlite:///no.db', query: select 1}"], "stages.two: sqlite:///no.db: no such file"),
        (["two.model=missing.h5"], "stages.two: model.source: missing.h5: no such file"),
        (["two.model=./missing"], "stages.two: model.source: ./missing: no such folder, and no hub id"),
        (["two.model.words=words.json"], "stages.two: model.words: words.json: no such file"),
        (["two.evaluate.domains={far: far.jsonl}"], "stages.two: far.jsonl: no such file"),
    ],
)  # fmt: skip
def test_what_cannot_be_there_is_told_with_its_stage(changes: list[str], said: str) -> None:
    assert said in refused(changes)


def test_a_run_that_is_not_there_is_told_with_its_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for later in ({"model": "run:gone"}, {"rewards": [{"name": "classifier", "run": "gone", "label": "good"}]}):
        with pytest.raises(TunesmithError, match=r"^two: stages\.other: gone: no such run"):
            tune_chain(two_stages(**later))
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_may_be_of_the_hub_is_left_to_its_stage() -> None:
    check_sources(two_stages(data="somebody/some-set:test", model="somebody/some-model"))


def test_no_row_of_a_source_that_is_there_is_read(tmp_path: Path) -> None:
    """A file that no reader would take is there all the same."""
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(b"\xff\xfe{")
    require_there(str(broken))
    require_there({"table": str(tmp_path / "broken.jsonl"), "names": "a, b"})


def test_a_text_that_begins_like_a_stage_is_a_text(tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    recipe = "{model: {architecture: dense, hidden: [4]}, objective: classify, method: full, "
    one = 'data: digits, description: "stage: first"}'
    other = 'data: {train: digits, system: "stage: {text}"}, description: "stage:first"}'
    file.write_text(f"stages:\n  one: {recipe}{one}\n  other: {recipe}{other}\n", encoding="utf-8")
    found = load_chain(file).recipe("other", {"first": tmp_path})
    assert (found.description, found.data.system) == ("stage:first", "stage: {text}")
