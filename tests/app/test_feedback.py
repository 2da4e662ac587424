"""People's judgements, from the question in the terminal to the data set that is trained on."""

import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import cohen_kappa_score
from tiny_recipes import writer as tiny_writer

from tests.real_data import real_data
from tunesmith.app.feedback_collect import begin, run_items
from tunesmith.app.tune import tune
from tunesmith.cli import feedback as command
from tunesmith.cli.main import run
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Message, Preference, Ranked
from tunesmith.data import read
from tunesmith.evaluation.pairwise import win_rate
from tunesmith.feedback import DEFAULT_STORE, open_store

BASE, TUNED = "the base says", "the tuned model says"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def finished_run(name: str = "tiny-1", *, questions: int = 6, same: Iterable[int] = ()) -> RunDirectory:
    """What a run leaves behind that is read here: of question n, base and tuned model say so, but for `same`."""
    made = RunDirectory(Path("runs") / name)
    made.path.mkdir(parents=True)
    made.recipe.write_text("model: m\n", encoding="utf-8")
    made.report_json.write_text(json.dumps({"model": {"name": "a-base-model"}}), encoding="utf-8")
    lines = [
        {
            "split": "test",
            "row": f"x.csv:{n}",
            "prompt": f"question {n}",
            "tuned": {"text": f"{TUNED} {n}" if n not in same else f"{BASE} {n} "},
            "base": {"text": f"{BASE} {n}"},
            "scores": {},
        }
        for n in range(questions)
    ]
    made.predictions.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    return made


@pytest.fixture
def press(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command with these keys on its standard input, and return its document."""

    def pressed(keys: str, *arguments: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(keys))
        code = run(["feedback", *arguments, "--json"])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        document: dict[str, Any] = json.loads(captured.out)
        return {**document, "screen": captured.err}

    return pressed


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def said(*arguments: str) -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        assert run(["feedback", *arguments]) in (1, 2, 3)
        (error,) = capsys.readouterr().err.splitlines()
        return error.removeprefix("error: ")

    return said


def shown(screen: str) -> list[tuple[str, str, str]]:
    """(prompt, answer 1, answer 2) of each question on the screen."""
    lines = screen.splitlines()
    places = [n for n, line in enumerate(lines) if line == "prompt"]
    return [(lines[n + 1], lines[n + 4], lines[n + 7]) for n in places]


def rows_of(*rows: dict[str, Any]) -> str:
    Path("items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return "items.jsonl"


def compared(judge: str, better: str, worse: str, rank: int = 2) -> dict[str, Any]:
    return {"judge": judge, "ranks": {better: 1, worse: rank}}


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


def test_agreement_is_of_those_pairs_that_two_judged_whether_in_rankings_or_not(press: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ann, bob = "1211121212", "1211=21211"
    rows = [
        {
            "prompt": f"question {n}",
            "responses": ["a", "b"],
            "judgements": [
                {"judge": judge, "ranks": {"1": {"1": 1, "2": 2, "=": 1}[said], "2": {"1": 2, "2": 1, "=": 1}[said]}}
                for judge, said in (("ann", one), ("bob", other))
            ],
        }
        for n, (one, other) in enumerate(zip(ann, bob, strict=True))
    ]
    rows.append({"prompt": "alone", "responses": ["a", "b"], "judgements": [compared("ann", "1", "2")]})
    press("", "add", rows_of(*rows))
    found = press("", "agreement")
    assert (found["pairs"]["judged"], found["pairs"]["by_two"]) == (11, 10)
    (kappa,) = found["pairs"]["kappas"]
    assert (kappa["judges"], kappa["pairs"], kappa["share"]["value"]) == (["ann", "bob"], 10, 0.8)
    assert kappa["kappa"]["value"] == pytest.approx(cohen_kappa_score(list(ann), list(bob)))
    # of two raters and kinds without an order: 1 - (2n - 1) * (pairs that differ * 2) / (sum over kinds c != k of n_c * n_k)
    counts = [(ann + bob).count(kind) for kind in "12="]
    assert found["pairs"]["alpha"]["value"] == pytest.approx(1 - 19 * 4 / (20**2 - sum(count**2 for count in counts)))
    assert run(["feedback", "agreement"]) == 0
    out = capsys.readouterr().out
    assert "10 of 11 pairs judged by two or more" in out
    assert "ann and bob" in out
    assert run(["feedback", "list"]) == 0
    assert "ann" in capsys.readouterr().out


def test_agreement_of_grades_knows_their_order(press: Any) -> None:
    def row(number: int, *grades: int) -> dict[str, Any]:
        given = [{"relevance": grade, "coherence": 3, "appropriateness": grade} for grade in grades]
        return {
            "prompt": f"question {number}",
            "responses": ["a"],
            "judgements": [{"judge": f"judge {n}", "grades": {"1": one}} for n, one in enumerate(given)],
        }

    press("", "add", rows_of(*(row(n, *grades) for n, grades in enumerate([(1, 2), (2, 3), (5, 4), (4, 4), (1, 1), (3,)]))))
    found = press("", "agreement")
    relevance = found["grades"]["relevance"]
    assert (relevance["judged"], relevance["by_two"]) == (6, 5)
    # values 1 1 1 2 2 3 4 4 4 5 in pairs; three pairs differ by one
    assert relevance["interval"]["value"] == pytest.approx(1 - 9 * 2 * 3 / sum((a - b) ** 2 for a in (1, 1, 1, 2, 2, 3, 4, 4, 4, 5) for b in (1, 1, 1, 2, 2, 3, 4, 4, 4, 5)))  # fmt: skip
    assert relevance["nominal"]["value"] < relevance["ordinal"]["value"]
    assert found["grades"]["coherence"]["interval"]["value"] is None  # all said the same: there is nothing to agree on
    assert found["pairs"] is None


def test_nothing_judged_is_nothing_to_agree_on(press: Any, refused: Any) -> None:
    press("", "add", rows_of({"prompt": "?", "responses": RESPONSES}))
    assert "nothing was judged yet" in refused("agreement")


def test_three_people_of_a_published_test_set_as_scikit_learn_sees_them(press: Any) -> None:
    file = real_data("pandalm_testset") / "testset-v1.json"
    found = press("", "agreement", str(file))
    people = json.loads(file.read_text(encoding="utf-8"))
    assert (found["pairs"]["judged"], found["pairs"]["by_two"]) == (999, 999)
    for one in found["pairs"]["kappas"]:
        votes = [[row[judge] for row in people] for judge in one["judges"]]
        assert one["kappa"]["value"] == pytest.approx(cohen_kappa_score(*votes))
        assert one["share"]["value"] == pytest.approx(sum(a == b for a, b in zip(*votes, strict=True)) / 999)
    kappas = [one["kappa"]["value"] for one in found["pairs"]["kappas"]]
    assert min(kappas) < found["pairs"]["alpha"]["value"] < max(kappas)


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
