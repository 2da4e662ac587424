"""Conversations of base and tuned model, on tiny models."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_recipes import classifier, writer

from tunesmith.app.axes import measure_axes
from tunesmith.app.conversations import _by_place, _exchanges_in, _Question, _questions, _turns, measure_conversations
from tunesmith.app.tune import tune
from tunesmith.cli.main import run
from tunesmith.core.errors import UsageError
from tunesmith.core.types import Chat, Example, Message, Origin, Output, Prompt
from tunesmith.evaluation.recall import DEPTHS, DISTANCES, MOST_FACTS, draw_facts
from tunesmith.recipe import from_mapping


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
    never, *stated = found["by_distance"]
    assert (never["turns_back"], never["difference"], never["base"]["low"]) == (None, None, None)
    assert [line["turns_back"] for line in stated] == list(DISTANCES[: len(stated)])
    answers = never["rows"] + sum(line["rows"] for line in stated)  # no depth: the tiny model reads too little
    assert found["cut"] == {"answers": answers, "max_new_tokens": 24, "base": answers, "tuned": found["cut"]["tuned"]}
    assert '<section id="conversations">' in done.directory.report_html.read_text(encoding="utf-8")
    assert run(["conversations", str(done.path), "--facts", "2"]) == 0
    said = capsys.readouterr().out
    assert "Answers of the test conversations" in said
    assert "never stated" in said
    assert "Not measured: " in said  # the tiny model reads too little


def test_base_and_tuned_are_asked_in_the_chat_template_that_the_run_saved(decoder_folder: Path, talks: Path, tmp_path: Path) -> None:
    template = tmp_path / "mine.jinja"
    template.write_text("{% for m in messages %}{{ m.content }}</s>{% endfor %}")
    data = {"train": str(talks), "chat_template": str(template)}
    recipe = {"model": str(decoder_folder), "data": data, "train": {"max_steps": 1}, "evaluate": {"max_new_tokens": 4, "retention": "none"}}
    done = tune(from_mapping({**recipe, "output_dir": str(tmp_path / "out")}, name="templated"))
    template.unlink()
    assert measure_conversations(done.directory, facts=2)["by_turn"]
    assert measure_axes(done.directory, limit=2, toxicity_classifier="none")["base"]


def test_an_encoder_decoder_holds_conversations_too(seq2seq_folder: Path, talks: Path, tmp_path: Path) -> None:
    done = tune(writer(seq2seq_folder, talks, tmp_path / "out", evaluate={"max_new_tokens": 4}))
    found = measure_conversations(done.directory, facts=2)
    second = found["by_turn"][1]
    assert (second["turn"], second["rows"] >= 5) == (2, True)
    assert second["tuned"]["value"] < second["base"]["value"]
    assert found["by_distance"][0]["turns_back"] is None


def test_what_holds_no_conversation_is_refused(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    done = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"max_steps": 1}))
    with pytest.raises(UsageError, match="this run tuned a classifier"):
        measure_conversations(done.directory, facts=MOST_FACTS)


def test_more_facts_than_there_are_is_refused(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    done = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", train={"max_steps": 1}))
    with pytest.raises(UsageError, match=f"facts: found {MOST_FACTS + 1}, expected 1 to {MOST_FACTS}"):
        measure_conversations(done.directory, facts=MOST_FACTS + 1)


def _chat(*roles: Any) -> Chat:
    return Chat(tuple(Message(role, f"{role} {place}") for place, role in enumerate(roles)), Origin("x", 1))


def test_answers_are_counted_from_the_first_that_was_asked_for_and_scored_alone() -> None:
    talk = _chat("assistant", "user", "assistant", "user", "assistant")
    found = _turns([_chat("user", "assistant"), talk], 10)
    assert [(turn.number, len(turn.chat.messages)) for turn in found] == [(1, 3), (2, 5)]
    assert [[message.learned for message in turn.chat.messages if message.role == "assistant"] for turn in found] == [
        [False, True],
        [False, False, True],
    ]


class _Words:
    """Reads 300 tokens; a word is one, and a turn has one more."""

    model = SimpleNamespace(facts=SimpleNamespace(is_encoder_decoder=False, max_length=300))

    @property
    def encoder(self) -> Any:
        return self

    def prompts(self, prompts: list[Prompt]) -> list[tuple[int, ...]]:
        return [(0,) * sum(1 + len(message.content.split()) for message in prompt.messages) for prompt in prompts]


def test_what_is_asked_fits_with_its_answer_and_what_does_not_is_named() -> None:
    speaker: Any = _Words()
    facts = draw_facts(12, seed=0)
    questions, left_out, context_tokens = _questions(speaker, facts, 1000)
    longest = max(len(prompt) for prompt in speaker.prompts([question.prompt for question in questions]))
    assert 300 - 40 < context_tokens <= longest <= 300 - 24
    places = {axis: [q.place for q in questions if q.axis == axis and q.fact is facts[0]] for axis in ("turns_back", "depth")}
    assert places["depth"] == list(DEPTHS)
    assert places["turns_back"] == [None, 0, 1, 2, 4, 8]
    assert left_out == [
        "facts 16 exchanges back and more: the conversation would be longer than the 276 tokens that the model reads before an answer."
    ]
    stands = [
        [m.content for m in q.prompt.messages].index(q.fact.statement) / (len(q.prompt.messages) - 3)
        for q in questions
        if q.axis == "depth" and q.fact is facts[0]
    ]
    assert stands == pytest.approx(DEPTHS, abs=0.1)
    assert _exchanges_in(speaker, facts, 10) == (0, 0)


def test_each_place_counts_its_own_facts_and_each_side_its_own_answers() -> None:
    facts = draw_facts(9, seed=0)  # the first kind twice
    example: Example = facts[0].prompt(0, 0)
    assert isinstance(example, Prompt)
    asked = [_Question("turns_back", None, fact, example) for fact in facts[:8]]
    asked += [_Question("turns_back", 4, fact, example) for fact in facts]
    silent, right = Output(text="I do not know"), [Output(text=f"It is {fact.value}.") for fact in facts]
    base = [silent] * 8 + right
    tuned = [right[8], *([silent] * 7), *right[:3], *([silent] * 6)]
    never, four = _by_place("turns_back", asked, facts, base, tuned)
    assert (never["base"]["value"], never["tuned"]["value"]) == (0.0, pytest.approx(1 / 9))  # right for the second of the kind alone
    assert (four["turns_back"], four["base"]["value"], four["tuned"]["value"]) == (4, 1.0, pytest.approx(1 / 3))
    assert four["difference"]["value"] == pytest.approx(-2 / 3)
    assert four["difference"]["p_holm"] == four["difference"]["p"] == pytest.approx(2 / 2**6)
