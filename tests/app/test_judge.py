"""Judges, as a person meets them: a server of the standard library that speaks OpenAI's words, and a tiny model on this machine."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_recipes import classifier, writer

from tests.real_data import real_data
from tunesmith.app import concurrent, judges
from tunesmith.app.judge_check import human_pairs
from tunesmith.app.judges import judge_named
from tunesmith.app.pairwise import judge_pairs
from tunesmith.app.tune import plan, tune
from tunesmith.cli.main import run
from tunesmith.core import endpoint
from tunesmith.core.errors import DataError, FetchError, ModelError, RecipeError, TunesmithError
from tunesmith.core.fetch import IndexSettings
from tunesmith.evaluation.pairwise import BEST, Pair, question

GOOD, BAD = "a good answer", "a bad answer"


class Server(http.server.BaseHTTPRequestHandler):
    """Answers what `say` makes of the two answers that it is shown: (status, text)."""

    say: Callable[[str, str], tuple[int, str]]
    asked: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        kind = type(self)
        kind.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        text = kind.asked[-1]["messages"][0]["content"]
        a, b = (text.partition(f"[Answer {letter}]\n")[2].partition(f"\n[End of answer {letter}]")[0] for letter in "AB")
        status, said = kind.say(a, b)
        body = json.dumps({"choices": [{"message": {"content": said}, "finish_reason": "stop"}]}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def fair(a: str, b: str) -> tuple[int, str]:
    return 200, f"Because.\nVerdict: {'tie' if ('good' in a) == ('good' in b) else 'A' if 'good' in a else 'B'}"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(endpoint, "index_settings", IndexSettings)
    monkeypatch.setattr(endpoint, "_PAUSES_SECONDS", (0.0,))
    monkeypatch.setattr(judges, "_AT_A_TIME", 1)  # questions come in their order


@pytest.fixture
def url() -> Iterator[str]:
    Server.asked, Server.say = [], staticmethod(fair)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"openai:m@http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Llama of two layers that knows A and B, and reads 400 tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("models") / "tiny-judge"
    words = ["[PAD]", "[UNK]", "</s>", "A", "B", *"two answers the request which is better good bad answer first second end of a".split()]
    built = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))  # type: ignore[call-arg]
    built.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=built, pad_token="[PAD]", unk_token="[UNK]", eos_token="</s>")
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }} </s> {% endfor %}"
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=32, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=400,
        eos_token_id=2, pad_token_id=0, bos_token_id=None, initializer_range=0.5,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def pairs(*answers: tuple[str, str]) -> list[Pair]:
    return [Pair(f"Request {number}", first, second) for number, (first, second) in enumerate(answers)]


def verdicts(model: str, *answers: tuple[str, str]) -> list[str | None]:
    return [one.verdict for one in judge_pairs(judge_named(model), pairs(*answers), lambda done: None)]


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["judge", *arguments, "--json"]) == 0, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["judge", *arguments]) in (1, 2, 3)
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return error


def test_both_orders_are_asked_and_the_better_answer_wins(url: str) -> None:
    assert verdicts(url, (BAD, GOOD), (GOOD, BAD), (GOOD, "good too")) == ["second", "first", "tie"]
    assert len(Server.asked) == 6
    assert Server.asked[0]["temperature"] == 0


def test_a_judge_that_favours_a_place_makes_ties(url: str) -> None:
    Server.say = staticmethod(lambda a, b: (200, "Verdict: A"))
    (judged,) = judge_pairs(judge_named(url), pairs((BAD, GOOD)), lambda done: None)
    assert (judged.verdict, judged.agrees) == ("tie", False)


def test_the_same_answer_is_a_tie_that_nobody_is_asked_about(url: str) -> None:
    assert verdicts(url, ("same", " same\n")) == ["tie"]
    assert not Server.asked


def test_what_was_answered_is_not_asked_again(url: str) -> None:
    first = verdicts(url, (BAD, GOOD), (GOOD, BAD))
    Server.say = staticmethod(lambda a, b: (500, ""))
    assert verdicts(url, (BAD, GOOD), (GOOD, BAD)) == first
    assert len(Server.asked) == 4


def test_a_damaged_cache_is_asked_anew(url: str, tmp_path: Path) -> None:
    verdicts(url, (BAD, GOOD))
    for file in (tmp_path / "cache" / "answers").iterdir():
        file.write_text("{")
    assert verdicts(url, (BAD, GOOD)) == ["second"]
    assert len(Server.asked) == 4


def test_nonsense_and_silence_are_counted_and_leave_the_others_be(url: str) -> None:
    def say(a: str, b: str) -> tuple[int, str]:
        return (200, "Both are fine.") if "odd" in a else (404, "") if "gone" in b else fair(a, b)

    Server.say = staticmethod(say)
    judged = judge_pairs(judge_named(url), pairs((BAD, GOOD), ("odd", GOOD), ("gone", GOOD), (GOOD, BAD)), lambda done: None)
    assert [(one.verdict, one.why_not) for one in judged] == [
        ("second", None),
        (None, "unreadable"),
        (None, "unanswered"),
        ("first", None),
    ]


def test_a_judge_that_talks_nonsense_only_is_an_error_that_shows_it(url: str) -> None:
    Server.say = staticmethod(lambda a, b: (200, "I like\nturtles."))
    with pytest.raises(
        TunesmithError, match=r"judge m: none of 2 pairs could be judged: it said 'I like turtles\.', expected a line such as Verdict: A"
    ):
        verdicts(url, (BAD, GOOD), (GOOD, BAD))


def test_a_judge_that_cannot_be_reached_is_given_up_after_three_questions(url: str) -> None:
    Server.say = staticmethod(lambda a, b: (503, ""))
    with pytest.raises(FetchError, match=r"judge m: none of 50 pairs could be judged\. http://127.*no answer after 1 attempts: HTTP 503"):
        verdicts(url, *[(BAD, GOOD)] * 50)
    assert len(Server.asked) <= 4  # one may have been on its way


def test_questions_are_sent_no_faster_than_asked_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = list[float]()
    monkeypatch.setattr(concurrent, "monotonic", lambda: 100.0)
    monkeypatch.setattr(concurrent, "sleep", slept.append)
    judge_pairs(judge_named(url, requests_per_minute=30), pairs((BAD, GOOD), (GOOD, BAD)), lambda done: None)
    assert slept == [0, 2, 4, 6]


def test_a_local_judge_says_the_likelier_letter(local: str) -> None:
    given = pairs(("good", "bad"), ("the first", "a second"), ("bad bad", "good"))
    judge = judge_named(local)
    questions = [question(pair, BEST, swapped=swapped) for pair in given for swapped in (False, True)]
    heard = [one.letter for one in judge.ask(questions, lambda done: None)]
    model, tokenizer = transformers.AutoModelForCausalLM.from_pretrained(local), transformers.AutoTokenizer.from_pretrained(local)
    for text, letter in zip(questions, heard, strict=True):
        asked = tokenizer.apply_chat_template([{"role": "user", "content": f"{text}\n- A\n- B"}], return_tensors="pt", return_dict=True)
        with torch.no_grad():
            logits = model(asked["input_ids"]).logits[0, -1]
        a, b = (tokenizer.convert_tokens_to_ids(name) for name in "AB")
        assert letter == ("A" if logits[a] > logits[b] else "B")


def test_an_encoder_decoder_is_no_judge(seq2seq_folder: Path) -> None:
    with pytest.raises(ModelError, match="an encoder-decoder. Name a model that goes on with a text"):
        judge_named(str(seq2seq_folder))


def test_what_a_local_judge_cannot_read_whole_is_left_out(local: str) -> None:
    judged = judge_pairs(judge_named(local), pairs(("good", "bad"), ("good " * 500, "bad")), lambda done: None)
    assert judged[0].verdict is not None
    assert (judged[1].verdict, judged[1].why_not) == (None, "too_long")
    with pytest.raises(TunesmithError, match="none of 1 pairs could be judged: 1 are longer than it reads"):
        judge_pairs(judge_named(local), pairs(("good " * 500, "bad")), lambda done: None)


def human_file(*votes: tuple[Any, ...], answers: tuple[str, str] = (BAD, GOOD)) -> str:
    rows = [
        {
            "instruction": f"Do {n}.",
            "input": "",
            "response1": answers[0],
            "response2": answers[1],
            **{f"annotator{i}": v for i, v in enumerate(vote, start=1)},
        }
        for n, vote in enumerate(votes)
    ]
    Path("people.json").write_text(json.dumps(rows), encoding="utf-8")
    return "people.json"


def test_a_check_compares_the_judge_with_most_people(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = human_file((2, 2, 1), (2, 2, 2), (1, 1, 2), (0, 1, 2))
    found = document(capsys, "check", file, "--model", url)
    assert found["schema"] == "tunesmith/judge-check/1"
    assert {name: found[name] for name in ("rows", "judged", "no_majority", "excluded")} == {
        "rows": 4,
        "judged": 3,
        "no_majority": 1,
        "excluded": {},
    }
    assert found["agreement"]["value"] == pytest.approx(2 / 3)
    assert found["constant"] == pytest.approx(2 / 3)
    assert found["consistency"]["value"] == 1
    assert found["people"]["annotators"] == 3
    assert found["people"]["agreement"] == pytest.approx((1 / 3 + 3 / 3 + 1 / 3 + 0) / 4)
    assert found["verdicts"] == {"judge": {"second": 3}, "people": {"second": 2, "first": 1}}


def test_a_check_of_some_rows_draws_them_by_a_seed(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = human_file(*[(2, 2, 2)] * 30)
    assert document(capsys, "check", file, "--model", url, "--limit", "5")["judged"] == 5
    asked = {one["messages"][0]["content"] for one in Server.asked}
    document(capsys, "check", file, "--model", url, "--limit", "5", "--seed", "1")
    assert len({one["messages"][0]["content"] for one in Server.asked} - asked) > 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"instruction": "Do.", "response1": "a"}, "response2: missing, or no text"),
        ({"instruction": "Do.", "response1": "a", "response2": "b"}, "annotator1: missing"),
        ({"instruction": "Do.", "response1": "a", "response2": "b", "annotator1": 3}, "annotator1: found 3, expected 1 or 2"),
    ],
)
def test_rows_of_another_layout_are_named(row: dict[str, Any], message: str) -> None:
    Path("people.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"people.jsonl:1: {message}"):
        human_pairs("people.jsonl")


@pytest.mark.parametrize(
    "others", [{"annotator1": 1}, {"annotator1": 1, "annotator2": 1, "annotator3": 2}, {"annotator1": 1, "annotator4": 1}]
)
def test_a_row_of_other_annotators_is_named_before_anything_is_judged(
    others: dict[str, int], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {"instruction": "Do.", "response1": "a", "response2": "b"}
    rows = [texts | {"annotator1": 1, "annotator2": 2}, texts | others]
    Path("people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    message = refused(capsys, "check", "people.jsonl", "--model", url)
    assert f"people.jsonl:2: found verdicts of {', '.join(others)}, expected those of annotator1, annotator2" in message
    assert Server.asked == []


def test_the_published_test_set_is_read_whole() -> None:
    found = human_pairs(str(real_data("pandalm_testset") / "testset-v1.json"))
    assert len(found) == 999
    assert all(len(row.votes) == 3 for row in found)
    assert found[157].pair.first == "True"


def test_where_people_never_agree_there_is_nothing_to_compare_with(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "more than half of the annotators" in refused(capsys, "check", human_file((0, 1, 2)), "--model", url)


def test_a_run_before_a_judge_and_the_judges_agreement_beside_it(
    url: str, decoder_folder: Path, pairs_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Server.say = staticmethod(lambda a, b: (200, f"Verdict: {'A' if a in ('yes yes', 'no no') else 'B'}"))
    document(capsys, "check", human_file((2, 2, 2), answers=("nothing", "yes yes")), "--model", url)
    done = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", evaluate={"max_new_tokens": 2, "judge": {"model": url, "limit": 6}}))
    judged = done.report["judge"]
    assert judged["rows"] == 6
    assert judged["wins"] + judged["ties"] + judged["losses"] == judged["judged"] == 6
    assert judged["win_rate"]["value"] > 0.9
    assert judged["agreement"]["agreement"]["value"] == 1
    lines = [json.loads(line) for line in done.directory.predictions.read_text(encoding="utf-8").splitlines()]
    assert [line.get("better") for line in lines].count("tuned") == judged["wins"]
    assert lines[0]["prompt"]
    page = done.directory.report_html.read_text(encoding="utf-8")
    assert 'id="judge"' in page
    assert "Agreement of the judge with people" in page
    asked = len(Server.asked)
    compared = document(capsys, "compare", str(done.path), "--model", url, "--limit", "6")
    assert compared["win_rate"] == judged["win_rate"]
    assert (compared["first"], compared["second"]) == ("base", done.id)
    assert len(compared["verdicts"]) == 6
    assert len(Server.asked) == asked  # the answers come from the cache
    assert document(capsys, "compare", str(done.path), str(done.path), "--model", url)["win_rate"]["value"] == 0.5
    assert run(["judge", "compare", str(done.path), "--model", url]) == 0
    assert "agreement of the judge with people  1.00" in capsys.readouterr().out


def test_a_judge_that_fails_costs_no_run(url: str, decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    Server.say = staticmethod(lambda a, b: (404, ""))
    done = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", evaluate={"max_new_tokens": 2, "judge": url}))
    assert "none of" in done.report["judge"]["error"]
    assert done.directory.status == "done"
    assert "gave no verdict" in done.directory.report_html.read_text(encoding="utf-8")


def test_runs_without_answers_in_common_are_refused(
    url: str, encoder_folder: Path, reviews_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"max_steps": 1}))
    assert "has no answers to test prompts that its base answered too" in refused(capsys, "compare", str(done.path), "--model", url)


def test_a_judge_of_a_classifier_is_refused_before_anything_is_written(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    recipe = classifier(encoder_folder, reviews_csv, tmp_path / "out", evaluate={"judge": "minilm-l6"})
    for verb in (plan, tune):
        with pytest.raises(RecipeError, match=r"evaluate\.judge: compares written answers, and the objective classify gives none"):
            verb(recipe)
    assert not (tmp_path / "out").exists()
