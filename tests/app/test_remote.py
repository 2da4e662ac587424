"""Models behind an endpoint as the models of runs: what they are sent, how they are read, what it costs, and what is kept."""

import json
import os
import signal
from pathlib import Path

import pytest
from remote_model import PRICES, Server, labels, texts

from tunesmith.app import remote
from tunesmith.app.run import Run
from tunesmith.app.tune import plan, resume, tune
from tunesmith.app.tuned import load_tuned
from tunesmith.cli.main import run
from tunesmith.core.errors import Interrupted, ModelError, UsageError
from tunesmith.core.events import Event, Progress


def test_examples_in_the_request_are_measured_against_the_question_alone(api: str, reviews_csv: Path) -> None:
    done = tune(labels(api, reviews_csv, Path("out"), model=PRICES))
    report = done.report
    accuracy = report["metrics"]["accuracy"]
    assert (accuracy["rows"], accuracy["tuned"]["value"]) == (20, 1.0)
    assert accuracy["base"]["value"] < 1
    assert "ece" not in report["metrics"]
    assert report["task"] == {"objective": "classify", "method": "none", "kind": "classification", "base": "zero_shot"}
    assert report["baselines"]["zero_shot"]["accuracy"] == accuracy["base"]
    shown = next(one for one in Server.asked if len(one["messages"]) > 2)
    assert [message["role"] for message in shown["messages"]] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert shown["messages"][0]["content"] == "Answer with one of these labels, and with nothing else:\n- negative\n- positive"
    assert (shown["model"], shown["temperature"], shown["max_tokens"]) == ("tiny", 0.0, 64)
    cost, asked = report["cost"], len(Server.asked)
    assert asked == 20 + 5 + 20  # the question alone, five of these twice, and in context
    assert (cost["tokens_in"], cost["tokens_out"]) == (20 * asked, 2 * asked)
    assert cost["usd"] == pytest.approx(asked * (20 * 1 + 2 * 10) / 1e6)
    assert cost["usd_per_answer"] == pytest.approx(40 / 1e6)
    assert report["endpoint"] | {"url": ""} == {
        "model": "tiny", "url": "", "is_here": True, "requests": asked, "from_cache": 5, "rows": {"base": 20, "tuned": 20},
        "unnamed": {"base": 0, "tuned": 0}, "unanswered": {"base": 0, "tuned": 0}, "asked_again": 5, "differed": 0, "fingerprints": ["fp1"],
    }  # fmt: skip
    assert report["context"]["tokens"] == report["context"]["plain_tokens"] == {"mean": 20, "max": 20}
    assert report["warnings"] == []
    assert done.directory.report_html.is_file()


def test_the_same_run_again_costs_nothing_and_a_damaged_answer_is_asked_anew(api: str, reviews_csv: Path, tmp_path: Path) -> None:
    first = tune(labels(api, reviews_csv, Path("out"), model=PRICES)).report
    asked = len(Server.asked)
    second = tune(labels(api, reviews_csv, Path("again"), model=PRICES)).report
    assert len(Server.asked) == asked
    assert second["metrics"] == first["metrics"]
    assert (second["cost"]["usd"], second["cost"]["tokens_in"], second["endpoint"]["requests"]) == (0, 0, 0)
    assert second["endpoint"]["from_cache"] == 50
    assert second["cost"]["usd_per_answer"] == first["cost"]["usd_per_answer"] > 0
    next((tmp_path / "cache" / "answers").iterdir()).write_text("{", encoding="utf-8")
    assert tune(labels(api, reviews_csv, Path("third"))).report["endpoint"]["requests"] == 1


def test_an_interrupted_run_goes_on_and_asks_only_what_is_missing(api: str, reviews_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_AT_A_TIME", 1)

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "test" and event.done == 7:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="Go on with: tunesmith runs resume out"):
        tune(labels(api, reviews_csv, Path("out"), model=PRICES), progress=stop)
    before = len(Server.asked)
    assert 7 <= before <= 8  # one may have been on its way
    report = resume(Path("out")).report
    assert len(Server.asked) == 45
    assert report["cost"]["usd"] == pytest.approx(45 * 40 / 1e6)
    assert report["endpoint"]["requests"] == 45


def test_answers_that_name_no_label_count_as_wrong_and_are_counted(api: str, reviews_csv: Path) -> None:
    Server.say = staticmethod(lambda messages: "positive or negative" if "good" in messages[-1]["content"] else "I cannot say.")
    done = tune(labels(api, reviews_csv, Path("out")))
    report = done.report
    assert report["metrics"]["accuracy"]["tuned"]["value"] == 0
    assert report["endpoint"]["unnamed"] == {"base": 20, "tuned": 20}
    assert "Answers that name no label, or several: 20 of 20 of the base, 20 of 20 of the model in its context." in report["warnings"][0]
    assert report["confusion"]["tuned"] == [[0, 0], [0, 0]]
    assert report["cost"]["usd"] is None
    line = json.loads(done.directory.predictions.read_text(encoding="utf-8").splitlines()[0])
    assert line["tuned"]["text"] in ("positive or negative", "I cannot say.")


def test_a_label_is_asked_for_by_its_words_and_understood_by_its_name_too(api: str, reviews_csv: Path) -> None:
    Server.say = staticmethod(lambda messages: "I liked it." if "good" in messages[-1]["content"] else "negative")
    words = {"positive": "I liked it", "negative": "I did not"}
    report = tune(labels(api, reviews_csv, Path("out"), label_texts=words)).report
    assert report["metrics"]["accuracy"]["base"]["value"] == 1.0
    assert Server.asked[0]["messages"][0]["content"].endswith(":\n- I did not\n- I liked it")


def test_the_number_of_examples_is_chosen_on_validation_rows(api: str, reviews_csv: Path) -> None:
    context = {"name": "few_shot", "shots": [0, 2, 4]}
    report = tune(labels(api, reviews_csv, Path("out"), context=context)).report
    assert [(one["num_shots"], one["tokens"]) for one in report["context"]["tried"]] == [(0, 20), (2, 20), (4, 20)]
    assert report["context"]["chosen"]["num_shots"] == 2  # as good as four, and cheaper
    assert (report["context"]["metric"], report["context"]["validation_rows"]) == ("accuracy", 10)


def test_a_context_is_fitted_into_the_window_by_a_guess_that_is_told(api: str, reviews_csv: Path) -> None:
    report = tune(labels(api, reviews_csv, Path("out"), model={"max_length": 96}, evaluate={"max_new_tokens": 40})).report
    assert report["context"]["window_tokens"] == 96
    assert report["context"]["num_left_out"] > 0
    assert report["context"]["num_short"] == 20
    assert any("by a guess, a token for every four characters" in warning for warning in report["warnings"])


def test_a_writers_answers_are_measured_as_texts(api: str, pairs_csv: Path) -> None:
    Server.say = staticmethod(lambda messages: " yes yes " if "good" in messages[-1]["content"] else "no no")
    measured = {"generate_limit": 8, "prompts": ["is it good?"], "metrics": ["exact_match", "chrf"]}
    report = tune(texts(api, pairs_csv, Path("out"), evaluate=measured)).report
    assert {name: (one["rows"], one["tuned"]["value"]) for name, one in report["metrics"].items()} == {
        "exact_match": (8, 1.0), "chrf": (8, 100.0)
    }  # fmt: skip
    assert report["samples"][0] == {"prompt": "is it good?", "reference": None, "base": "yes yes", "tuned": "yes yes"}
    assert report["context"]["plain_tokens"]["mean"] == 20
    usual = tune(texts(api, pairs_csv, Path("usual"))).report["metrics"]
    assert next(iter(usual)) == "rougeL"
    assert not {"bits_per_byte", "perplexity"} & usual.keys()


def test_choices_are_named_and_not_scored(api: str, tmp_path: Path) -> None:
    rows = [{"question": f"Which one, {n}?", "choices": ["the cat", "the dog"], "answer": n % 2} for n in range(60)]
    file = tmp_path / "choices.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    Server.say = staticmethod(lambda messages: "The dog.")
    done = tune(texts(api, file, Path("out")))
    value = done.report["metrics"]["accuracy"]["tuned"]["value"]
    assert value == done.report["metrics"]["accuracy"]["base"]["value"]
    lines = [json.loads(line) for line in done.directory.predictions.read_text(encoding="utf-8").splitlines()]
    assert value == sum(line["reference"] == "the dog" for line in lines) / len(lines)
    assert {line["tuned"]["label"] for line in lines} == {"the dog"}


def test_a_plan_sends_nothing(api: str, reviews_csv: Path) -> None:
    planned = plan(labels(api, reviews_csv, Path("out"), context={"name": "few_shot", "shots": [0, 2]})).to_dict()
    assert (planned["num_requests"], planned["most_tokens_out"]) == (2 * 20 + 2 * 10, 64 * 60)
    assert not Server.asked
    assert not Path("out").exists()


def test_a_run_predicts_as_it_was_judged(api: str, reviews_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = tune(labels(api, reviews_csv, Path("out"), model=PRICES))
    new = Path("new.csv")
    new.write_text("review\nthe cat is good\nthe cat is bad\n", encoding="utf-8")
    assert run(["predict", "out", str(new), "-o", "said.csv"]) == 0
    assert Path("said.csv").read_text(encoding="utf-8") == ("review,predicted_label\nthe cat is good,positive\nthe cat is bad,negative\n")
    assert "2 requests: 40 tokens read, 4 written, 0.0001 USD; 0 answers from the cache." in capsys.readouterr().err
    assert Run("out").predict(["the cat is good"]) == [{"label": "positive"}]
    shown = [one["messages"] for one in Server.asked if len(one["messages"]) > 2]
    assert shown[-1][:-1] == shown[0][:-1]  # the same examples
    with pytest.raises(ModelError, match="its weights are not here"):
        load_tuned(done.directory)


def test_a_writing_run_generates(api: str, pairs_csv: Path) -> None:
    Server.say = staticmethod(lambda messages: f"heard {messages[-1]['content']}")
    done = tune(texts(api, pairs_csv, Path("out")))
    assert done.generate(["who?"]) == ["heard who?"]
    with pytest.raises(UsageError, match="this run tuned a language model"):
        done.predict(["who?"])


def test_passages_of_documents_are_looked_up_here_and_sent_with_the_question(api: str, encoder_folder: Path, pairs_csv: Path) -> None:
    Path("library").mkdir()
    for word in ("cat", "dog", "mat", "film"):
        (Path("library") / f"{word}.txt").write_text(f"the {word} is very good", encoding="utf-8")
    context = {"name": "retrieval", "documents": "library", "embedded_by": str(encoder_folder), "passages": [1]}
    Server.say = staticmethod(lambda messages: "yes yes" if "very good" in messages[-1]["content"] else "no no")
    done = tune(texts(api, pairs_csv, Path("out"), context=context, evaluate={"generate_limit": 4, "prompts": ["who?"]}))
    assert done.report["context"]["index_seconds"] > 0
    assert done.report["samples"][0] == {"prompt": "who?", "reference": None, "base": "no no", "tuned": "yes yes"}
    assert done.generate(["the cat?"]) == ["yes yes"]
    assert "very good" in Server.asked[-1]["messages"][-1]["content"]
