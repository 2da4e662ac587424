"""Conversations of base and tuned model, on tiny models."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_recipes import classifier, writer

from tunesmith.app.conversations import measure_conversations
from tunesmith.app.tune import tune
from tunesmith.cli.main import run
from tunesmith.core.errors import UsageError


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """Conversations of one to three answers, the second of which always is the same word."""
    file = tmp_path / "talks.jsonl"
    with file.open("w", encoding="utf-8") as target:
        for number in range(120):
            said = ["the cat sat", "good", "the dog sat"][: 1 + number % 3]
            turns = [turn for word in said for turn in (("user", f"the film is {number} bad"), ("assistant", word))]
            target.write(json.dumps({"messages": [{"role": role, "content": content} for role, content in turns]}) + "\n")
    return file


def test_each_answer_of_the_conversations_is_scored_by_itself(
    decoder_folder: Path, talks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    done = tune(writer(decoder_folder, talks, tmp_path / "out", evaluate={"max_new_tokens": 4}))
    assert run(["conversations", str(done.path), "--facts", "8", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["schema"] == "tunesmith/conversations/1"
    first, second = found["by_turn"][:2]
    assert (first["turn"], second["turn"]) == (1, 2)
    assert first["rows"] == second["rows"] >= 5  # those with several answers
    assert second["tuned"]["value"] < second["base"]["value"]
    assert found["by_distance"][0]["turns_back"] is None
    assert all(line["rows"] == 8 and line["difference"]["p_holm"] >= line["difference"]["p"] for line in found["by_distance"])
    assert '<section id="conversations">' in done.directory.report_html.read_text(encoding="utf-8")
    assert run(["conversations", str(done.path), "--facts", "2"]) == 0
    said = capsys.readouterr().out
    assert "Answers of the test conversations" in said
    assert "never stated" in said
    assert "Not measured: " in said  # the tiny model reads too little


def test_what_holds_no_conversation_is_refused(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    done = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"max_steps": 1}))
    with pytest.raises(UsageError, match="this run tuned a classifier"):
        measure_conversations(done.directory)
