"""Questions in the terminal: blind, in an order of each judge's own, kept at once."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest
from tiny_recipes import writer as tiny_writer

from tests.app.people import (
    BASE,  # noqa
    TUNED,
    finished_run,
    in_an_empty_folder,
    press,
    refused,
    rows_of,
    shown,
)
from tunesmith.app.feedback_collect import begin, run_items
from tunesmith.app.tune import tune
from tunesmith.cli import feedback as command
from tunesmith.core.types import Preference
from tunesmith.data import read
from tunesmith.evaluation.pairwise import win_rate
from tunesmith.feedback import DEFAULT_STORE, open_store
from tunesmith.recipe import from_mapping

__all__ = ["in_an_empty_folder", "press", "refused"]


def test_the_door_and_the_store_agree_on_where_judgements_are() -> None:
    assert command._STORE == DEFAULT_STORE


def test_answers_are_shown_blind_and_what_was_chosen_is_known_all_the_same(press: Any) -> None:
    finished_run(questions=12)
    done = press("1" * 12, "collect", "tiny-1", "--judge", "ann")
    assert (done["judged"], done["left"], done["judge"], done["run"]) == (12, 0, "ann", "tiny-1")
    asked = shown(done["screen"])
    firsts = [first.startswith(TUNED) for _, first, _ in asked]
    assert 0 < sum(firsts) < 12  # now one stands first, now the other
    assert [prompt for prompt, _, _ in asked] != sorted(prompt for prompt, _, _ in asked)
    assert "a-base-model" not in done["screen"]
    assert "run:" not in done["screen"]
    assert "tiny-1" not in done["screen"]
    texts = {answer.id: answer.text for prompt in open_store().prompts() for answer in prompt.responses}
    found = {texts[one.first if one.verdict == "first" else one.second] for one in open_store().choices()}
    assert found == {first for _, first, _ in asked}
    assert {texts[one.shown_first or 0] for one in open_store().choices()} == found
    (models,) = press("", "list")["models"]
    assert (models["model"], models["against"]) == ("run:tiny-1", "a-base-model")
    assert (models["wins"], models["losses"]) == (sum(firsts), 12 - sum(firsts))
    rate = win_rate(["second"] * sum(firsts) + ["first"] * (12 - sum(firsts)))
    assert models["win_rate"] == {"value": rate.rate.value, "low": rate.rate.low, "high": rate.rate.high}


def test_a_judge_leaves_and_goes_on_later_in_the_same_order(press: Any) -> None:
    finished_run()
    first = press("12", "collect", "tiny-1", "--judge", "ann")
    assert (first["judged"], first["judged_before"], first["left"]) == (2, 0, 4)
    second = press("=q1", "collect", "tiny-1", "--judge", "ann")
    assert (second["judged"], second["judged_before"], second["left"]) == (1, 2, 3)
    third = press("111", "collect", "tiny-1", "--judge", "ann")
    assert (third["judged"], third["left"]) == (3, 0)
    asked = [*shown(first["screen"])[:2], *shown(second["screen"])[:1], *shown(third["screen"])]
    assert len({prompt for prompt, _, _ in asked}) == 6
    assert asked == [*shown(first["screen"])[:2], *shown(second["screen"])[:1], *shown(third["screen"])[:3]]
    assert shown(first["screen"])[2] == shown(second["screen"])[0]  # what stood there when the judge left
    nothing = press("1", "collect", "tiny-1", "--judge", "ann")
    assert (nothing["judged"], nothing["judged_before"], nothing["left"]) == (0, 6, 0)
    assert press("", "collect", "tiny-1", "--judge", "bob")["left"] == 6


def test_another_judge_gets_another_order() -> None:
    run_of, store = finished_run(questions=12), open_store(create=True)
    orders = set()
    for judge in ("ann", "bob", "ann"):
        session = begin(store, run_items(run_of), judge, hold=nullcontext).session
        orders.add(tuple(question.pair for question in session._questions))
    assert len(orders) == 2


def test_undo_takes_back_the_last_answer_and_a_skipped_question_comes_again(press: Any) -> None:
    finished_run(questions=3)
    done = press("u1us2u=s", "collect", "tiny-1", "--judge", "ann")
    assert "nothing to undo in this sitting" in done["screen"]
    assert (done["judged"], done["skipped"], done["left"]) == (1, 2, 2)
    (choice,) = open_store().choices()
    assert choice.verdict == "tie"
    assert open_store().num_revisions() == 5  # 1, taken back, 2, taken back, =
    asked = [prompt for prompt, _, _ in shown(done["screen"])]
    one, other, last = dict.fromkeys(asked)
    assert asked == [one, other, one, other, last, other, last]
    assert len(shown(press("", "collect", "tiny-1", "--judge", "ann")["screen"])) == 1


def test_a_comment_is_kept_with_its_judgement_and_other_keys_show_which_there_are(press: Any) -> None:
    finished_run(questions=3)
    done = press("xcshorter, and 1 more\n2c  \n1\n\n1", "collect", "tiny-1", "--judge", "ann")
    assert done["judged"] == 3
    assert done["screen"].count("= equally good") == 4
    (comment,) = press("", "list")["comments"]
    assert (comment["judge"], comment["comment"]) == ("ann", "shorter, and 1 more")
    assert [one["content"] for one in comment["prompt"]] == [shown(done["screen"])[0][0]]
    assert sorted(comment["responses"]) == sorted(shown(done["screen"])[0][1:])


def test_a_limit_asks_so_many_and_says_what_is_left(press: Any) -> None:
    finished_run()
    done = press("1" * 10, "collect", "tiny-1", "--judge", "ann", "--limit", "2")
    assert (done["judged"], done["left"]) == (2, 4)


def test_the_same_answers_are_not_compared_and_graded_once(press: Any) -> None:
    finished_run(questions=4, same=[0, 2])
    done = press("11", "collect", "tiny-1", "--judge", "ann")
    assert (done["judged"], done["same_answers"], done["left"]) == (2, 2, 0)
    assert "2 where both models said the same are left out" in done["screen"]
    assert press("", "collect", "tiny-1", "--judge", "ann", "--grade")["left"] == 6


def test_grades_are_three_keys_an_answer(press: Any) -> None:
    finished_run(questions=2)
    done = press("5u543912344s1", "collect", "tiny-1", "--judge", "ann", "--grade")
    assert (done["asks"], done["judged"], done["skipped"], done["left"]) == ("grades", 2, 1, 2)
    grades = [(one.grades.relevance, one.grades.coherence, one.grades.appropriateness) for one in open_store().grades()]
    assert grades == [(5, 4, 3), (1, 2, 3)]
    later = press("555555u111", "collect", "tiny-1", "--judge", "ann", "--grade")
    assert (later["judged_before"], later["judged"], later["left"]) == (2, 2, 0)
    prompts = [line for line in done["screen"].splitlines() if line.startswith("question ")]
    assert prompts[0] == prompts[1] != prompts[2]  # answers to one prompt follow each other


def test_a_judge_in_two_windows_judges_once() -> None:
    run_of, store = finished_run(questions=2), open_store(create=True)
    one, other = (begin(store, run_items(run_of), "ann", hold=nullcontext).session for _ in range(2))
    assert one.choose(1)
    assert not other.choose(2)
    assert other.choose(2)
    assert not one.choose(1)
    assert (one.count("judged"), one.count("judged elsewhere")) == (1, 1)
    assert other.undo()  # takes back what was said here
    assert [choice.verdict == "first" for choice in store.choices()] == [choice.shown_first == choice.first for choice in store.choices()]
    assert len(store.choices()) == 1


def test_control_characters_of_an_answer_do_not_reach_the_terminal(press: Any) -> None:
    press("", "add", rows_of({"prompt": "?", "responses": ["\x1b[2Jgone \u202e", "b\r\nc"]}))
    screen = press("", "collect", "--judge", "ann")["screen"]
    assert "\x1b" not in screen
    assert "\u202e" not in screen
    assert "b\nc" in screen


def test_runs_without_two_answers_are_refused_in_one_line(refused: Any) -> None:
    made = finished_run()
    lines = [json.loads(line) for line in made.predictions.read_text().splitlines()]
    made.predictions.write_text("\n".join(json.dumps({**line, "base": None}) for line in lines) + "\n")
    assert "has no answers to test prompts that its base answered too" in refused("collect", "tiny-1", "--judge", "ann")
    assert "nowhere: no such run" in refused("collect", "nowhere")
    assert "no store of judgements there" in refused("list")
    assert not Path("runs/feedback.sqlite").exists()


def test_processes_that_collect_at_once_lose_nothing() -> None:
    finished_run(questions=20)
    arguments = [sys.executable, "-m", "tunesmith", "feedback", "collect", "tiny-1", "--json", "--judge"]
    started = [
        subprocess.Popen([*arguments, judge], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for judge in ("ann", "bob")
    ]
    said = [process.communicate("12" * 10, timeout=60)[0] for process in started]
    assert [json.loads(one)["judged"] for one in said] == [20, 20]
    assert len({(one.judge, one.first) for one in open_store().choices()}) == 40
    with closing(sqlite3.connect(DEFAULT_STORE)) as file:
        assert file.execute("pragma integrity_check").fetchone() == ("ok",)


def test_no_command_needs_torch() -> None:
    finished_run()
    code = (
        "import io, sys\nfrom tunesmith.cli.main import run\nsys.stdin = io.StringIO('1=')\n"
        "for words in ('collect tiny-1 --judge ann', 'list', 'agreement', 'export --as preference x.jsonl', 'add x.jsonl'):\n"
        "    run(['feedback', *words.split()])\nassert not {'torch', 'transformers', 'datasets'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


GOLD = [
    {"prompt": f"gold {n}", "responses": [{"id": "good", "text": f"right {n}"}, {"id": "bad", "text": f"wrong {n}"}], "gold": {"good": 1, "bad": 2}}
    for n in range(8)
]  # fmt: skip


def answer_gold(screen: str, *, right: bool) -> str:
    """The keys of somebody who sees which gold answers are right, and takes the first of all others."""
    return "".join(
        ("1" if first.startswith("right") == right else "2") if prompt.startswith("gold") else "1" for prompt, first, _ in shown(screen)
    )


def all_questions(press: Any, judge: str) -> str:
    """What a judge will be asked, by skipping all."""
    return str(press("s" * 100, "collect", "tiny-1", "--judge", judge)["screen"])


def test_gold_questions_are_mixed_in_counted_and_left_out_of_what_is_exported(press: Any) -> None:
    finished_run(questions=12)
    press("", "add", rows_of(*GOLD))
    screens = {judge: all_questions(press, judge) for judge in ("careful", "careless", "new")}
    prompts = [prompt for prompt, _, _ in shown(screens["careful"])]
    assert len(prompts) == 15  # one more for four of the run's
    places = [place for place, prompt in enumerate(prompts) if prompt.startswith("gold")]
    assert len(places) == 3
    assert "gold" not in screens["careful"].replace("gold ", "")
    press(answer_gold(screens["careful"], right=True), "collect", "tiny-1", "--judge", "careful")
    press(answer_gold(screens["careless"], right=False), "collect", "tiny-1", "--judge", "careless")
    press("", "collect", "tiny-1", "--judge", "new")
    found = press("", "agreement")
    assert (found["gold"]["careful"]["right"], found["gold"]["careful"]["judged"]) == (3, 3)
    assert found["gold"]["careful"]["share"]["low"] == pytest.approx(0.438, abs=1e-3)  # Wilson: 3 / (3 + 1.96**2)
    assert found["gold"]["careless"]["right"] == 0
    assert found["gold"]["new"]["judged"] == 0
    assert found["pairs"]["judged"] == 12
    made = press("", "export", "--as", "preference", "all.jsonl")
    assert "gold" not in Path("all.jsonl").read_text(encoding="utf-8")
    assert made["left_out"]["judgements_of_gold"] == 6
    trusted = press("", "export", "--as", "preference", "trusted.jsonl", "--min-gold", "0.6")
    assert trusted["judges"] == ["careful"]
    assert trusted["judges_left_out"] == {"careless": "0 of 3 gold questions right", "new": "answered no gold question"}
    assert trusted["rows"] == 12
    chosen = {json.loads(line)["chosen"][0]["content"] for line in Path("trusted.jsonl").read_text(encoding="utf-8").splitlines()}
    assert chosen == {first for prompt, first, _ in shown(screens["careful"]) if not prompt.startswith("gold")}


def test_a_whole_run_is_judged_and_trained_on(decoder_folder: Path, pairs_csv: Path, press: Any) -> None:
    done = tune(tiny_writer(decoder_folder, pairs_csv, Path("out"), evaluate={"max_new_tokens": 2}))
    asked = press("", "collect", "out", "--judge", "ann")["left"]
    assert asked > 2
    screen = press("s" * 100, "collect", "out", "--judge", "ann")["screen"]
    learned = ("yes yes", "no no")
    keys = "".join("1" if first in learned else "2" for _, first, _ in shown(screen))
    assert press(keys, "collect", "out", "--judge", "ann")["judged"] == asked
    (models,) = press("", "list")["models"]
    assert models["model"] == f"run:{done.id}"
    assert models["wins"] == asked
    made = press("", "export", "--as", "preference", "pairs.jsonl")
    examples = [example for example in read("pairs.jsonl").examples if isinstance(example, Preference)]
    assert made["rows"] == len(examples)
    assert {example.chosen[0].content for example in examples} <= set(learned)
    split = {"train": "pairs.jsonl", "split": {"validation": 0.2, "test": 0.2}}
    wanted = {"model": str(decoder_folder), "data": split, "objective": "dpo", "train": {"max_steps": 2}, "evaluate": {"retention": "none"}}
    trained = tune(from_mapping({**wanted, "output_dir": "dpo"}, name="people"))
    assert trained.report["task"]["objective"] == "dpo"
