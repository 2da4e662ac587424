"""What people prefer as data sets, and judgements that come from a file."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.people import compared, in_an_empty_folder, press, refused, rows_of
from tunesmith.core.types import Graded, Message, Preference, Ranked
from tunesmith.data import read
from tunesmith.feedback import DEFAULT_STORE, open_store

__all__ = ["in_an_empty_folder", "press", "refused"]


def test_preferences_are_read_as_data(press: Any) -> None:
    file = rows_of(
        {
            "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hi."}],
            "responses": ["Hi.", "Human: Hello!\n\nAssistant: Hello!"],
            "judgements": [compared("ann", "2", "1")],
        },
        {"prompt": "Tied?", "responses": ["a", "b"], "judgements": [compared("ann", "1", "2", rank=1)]},
        {"prompt": "Undecided?", "responses": ["a", "b"], "judgements": [compared("ann", "1", "2"), compared("bob", "2", "1")]},
        {"prompt": "Silent?", "responses": ["a", ""], "judgements": [compared("ann", "1", "2")]},
    )
    press("", "add", file)
    made = press("", "export", "--as", "preference", "pairs.jsonl")
    assert made["rows"] == 1
    assert made["left_out"] == {"tied": 1, "without_majority": 1, "with_an_empty_answer": 1}
    (example,) = read("pairs.jsonl").examples
    assert isinstance(example, Preference)
    assert example.prompt == (Message("system", "Be brief."), Message("user", "Say hi."))
    assert example.chosen == (Message("assistant", "Human: Hello!\n\nAssistant: Hello!"),)
    assert example.rejected == (Message("assistant", "Hi."),)


def test_circles_among_judges_are_counted_and_left_out(press: Any) -> None:
    orders = {"ann": "123", "bob": "231", "eve": "312"}
    ranked = [{"judge": judge, "ranks": {**{name: rank for rank, name in enumerate(order, start=1)}, "4": 4}} for judge, order in orders.items()]  # fmt: skip
    press("", "add", rows_of({"prompt": "?", "responses": ["a", "b", "c", "d"], "judgements": ranked}))
    made = press("", "export", "--as", "preference", "pairs.jsonl")
    assert made["left_out"] == {"in_circles": 3}
    rows = [json.loads(line) for line in Path("pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows] == [("a", "d"), ("b", "d"), ("c", "d")]


def test_a_ranked_list_is_the_order_that_follows_from_all_judgements(press: Any, refused: Any) -> None:
    press(
        "",
        "add",
        rows_of(
            {
                "prompt": "Ranked?",
                "responses": ["a", "b", "c", "never judged"],
                "judgements": [{"judge": "ann", "ranks": {"3": 1, "1": 2, "2": 2}}],
            },
            {"prompt": "Pairs?", "responses": ["a", "b", "c"], "judgements": [compared("ann", "1", "2"), compared("bob", "2", "3")]},
            {"prompt": "Half?", "responses": ["a", "b", "c"], "judgements": [compared("ann", "1", "2"), compared("ann", "1", "3")]},
            {
                "prompt": "Circle?",
                "responses": ["a", "b", "c"],
                "judgements": [compared("ann", "1", "2"), compared("ann", "2", "3"), compared("ann", "3", "1")],
            },
            {"prompt": "Tied?", "responses": ["a", "b"], "judgements": [compared("ann", "1", "2", rank=1)]},
        ),
    )
    made = press("", "export", "--as", "ranked", "ranked.jsonl")
    assert made["left_out"] == {"prompts_without_one_order": 1, "prompts_in_circles": 1, "prompts_all_tied": 1}
    first, second = read("ranked.jsonl").examples
    assert isinstance(first, Ranked)
    assert isinstance(second, Ranked)
    assert (first.answers, first.ranks) == (("c", "a", "b"), (1, 2, 2))
    assert (second.answers, second.ranks) == (("a", "b", "c"), (1, 2, 3))
    assert "ranked.jsonl: exists" in refused("export", "--as", "ranked", "ranked.jsonl")


def test_graded_rows_have_the_means_of_their_judges(press: Any, refused: Any) -> None:
    def grades(*values: int) -> dict[str, int]:
        return dict(zip(("relevance", "coherence", "appropriateness"), values, strict=True))

    press(
        "",
        "add",
        rows_of(
            {
                "prompt": "?",
                "responses": [{"id": "x", "text": "a", "model": "m"}, "b", ""],
                "judgements": [
                    {"judge": "ann", "grades": {"x": grades(5, 4, 3), "3": grades(1, 1, 1)}},
                    {"judge": "bob", "grades": {"x": grades(4, 4, 1)}},
                ],
            }
        ),
    )
    made = press("", "export", "--as", "graded", "graded.jsonl")
    assert made["left_out"] == {"empty_answers": 1}
    (row,) = [json.loads(line) for line in Path("graded.jsonl").read_text(encoding="utf-8").splitlines()]
    asked = [{"role": "user", "content": "?"}]
    assert row == {"prompt": asked, "response": "a", "relevance": 4.5, "coherence": 4.0, "appropriateness": 2.0}
    (example,) = read("graded.jsonl").examples
    assert isinstance(example, Graded)
    assert example.completion == (Message("assistant", "a"),)
    assert dict(example.grades) == {"relevance": 4.5, "coherence": 4.0, "appropriateness": 2.0}
    assert "has nothing to write as preference: nothing was judged so" in refused("export", "--as", "preference", "none.jsonl")
    assert not Path("none.jsonl").exists()


RESPONSES = [{"id": "a", "text": "A"}, {"id": "b", "text": "B"}]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"responses": RESPONSES}, "prompt: missing"),
        ({"prompt": "?"}, "responses: found None, expected a list of at least one"),
        ({"prompt": "?", "responses": ["same", "same"]}, "responses 1 and 2 are the same text"),
        ({"prompt": "?", "responses": [{"id": "2", "text": "A"}, "B"]}, "responses: two have the id '2'"),
        ({"prompt": "?", "responses": [{"id": "a"}]}, "response 1: found {'id': 'a'}, expected a text"),
        ({"prompt": "?", "responses": RESPONSES, "golden": {}}, 'the row has a key "golden", which nothing reads. Did you mean "gold"?'),
        ({"prompt": "?", "responses": RESPONSES, "gold": {"a": 1, "c": 2}}, "ranks: no response 'c'. Known: a, b."),
        ({"prompt": "?", "responses": RESPONSES, "judgements": [compared("ann", "a", "b", 3)]}, "ranks: found 1, 3, expected none to be left out"),
        ({"prompt": "?", "responses": RESPONSES, "judgements": [{"judge": "", "ranks": {"a": 1, "b": 2}}]}, "judge: found '', expected a name"),
        ({"prompt": "?", "responses": RESPONSES, "judgements": [{"judge": "ann"}]}, "the judgement of ann has neither ranks nor grades"),
        (
            {"prompt": "?", "responses": RESPONSES, "judgements": [{"judge": "ann", "grades": {"a": {"relevance": 6, "coherence": 1, "appropriateness": 1}}}]},
            "relevance: found 6, expected a whole number from 1 to 5",
        ),
        (
            {"prompt": "?", "responses": RESPONSES, "judgements": [{"judge": "ann", "grades": {"c": {"relevance": 5}}}]},
            "grades: no response 'c'. Known: a, b.",
        ),
        ({"prompt": [{"role": "assistant", "content": "Hi."}], "responses": RESPONSES}, "the prompt ends with a message of the assistant"),
    ],
)  # fmt: skip
def test_a_row_that_is_wrong_is_named_and_nothing_of_its_file_is_kept(row: dict[str, Any], message: str, refused: Any) -> None:
    good = {"prompt": "good", "responses": ["x", "y"], "judgements": [compared("ann", "1", "2")]}
    said = refused("add", rows_of(good, row))
    assert said.startswith("items.jsonl:2: ")
    assert message in said
    if Path(DEFAULT_STORE).exists():  # the name of a judge is looked at when it is written
        assert open_store().prompts() == []


def test_a_file_is_added_once_and_a_later_word_replaces_where_that_is_said(press: Any, refused: Any) -> None:
    def file(better: str, worse: str) -> str:
        return rows_of({"prompt": "?", "responses": RESPONSES, "judgements": [compared("ann", better, worse)]})

    assert (first := press("", "add", file("a", "b")))["judgements"] == 1
    assert (first["rows"], first["new_rows"], first["responses"]) == (1, 1, 2)
    again = press("", "add", file("a", "b"))
    assert (again["new_rows"], again["judgements"], again["known_judgements"]) == (0, 0, 1)
    assert "items.jsonl:1: ann has judged the same before, and otherwise. With --replace" in refused("add", file("b", "a"))
    assert press("", "add", file("b", "a"), "--replace")["judgements"] == 1
    assert [one.verdict for one in open_store().choices()] == ["second"]
    assert open_store().num_revisions() == 2
