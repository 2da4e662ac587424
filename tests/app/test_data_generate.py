"""`tunesmith data generate`, as a person runs it, with a server of the standard library as the model, and with models on this machine."""

import hashlib
import http.server
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app import writers
from tunesmith.cli.main import run
from tunesmith.core import endpoint
from tunesmith.core.fetch import IndexSettings
from tunesmith.core.types import Chat, Completion, Labelled
from tunesmith.data import read

WORDS = "river stone cloud apple tiger piano candle ladder window basket pepper rocket".split()
SEEDS = [{"question": f"What is a {word} good for, in a word?", "answer": f"For {number} things."} for number, word in enumerate(WORDS)]
Say = Callable[[int, list[dict[str, str]]], tuple[int, str, str]]


class Model(http.server.BaseHTTPRequestHandler):
    """Answers what `say` makes of the request's place and messages: (status, text, finish reason)."""

    say: Say
    asked: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        kind = type(self)
        kind.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        status, text, reason = kind.say(len(kind.asked), kind.asked[-1]["messages"])
        body = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": reason}]}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(endpoint, "index_settings", IndexSettings)
    monkeypatch.setattr(endpoint, "_PAUSES_SECONDS", (0.0,))
    monkeypatch.setattr(writers, "_AT_A_TIME", 1)  # requests come in their order
    lines("seeds.jsonl", SEEDS)


@pytest.fixture
def url() -> Iterator[str]:
    Model.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"m@http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def lines(name: str, records: Sequence[Any]) -> None:
    Path(name).write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def rows_of(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def answering(*texts: str) -> None:
    """The model says these, one after the other, and goes on with new questions."""

    def say(number: int, messages: list[dict[str, str]]) -> tuple[int, str, str]:
        text = texts[number - 1] if number <= len(texts) else fresh(number)
        return 200, text.removesuffix(" <cut>"), "length" if text.endswith("<cut>") else "stop"

    Model.say = staticmethod(say)


def fresh(number: int) -> str:
    name = hashlib.sha256(str(number).encode()).hexdigest()
    return f"Question: {name}?\nAnswer: {number}"


def made(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["data", "generate", *arguments, "--json"]) == 0, capsys.readouterr().err
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["data", "generate", *arguments]) in (1, 2, 3)
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return error


def test_rows_are_as_the_seeds_and_each_says_where_it_came_from(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    answering()
    document = made(capsys, "seeds.jsonl", "--endpoint", url, "--rows", "3", "--examples", "2", "--seed", "5", "--out", "new.jsonl")
    assert {name: document[name] for name in ("format", "wanted", "asked", "parsed", "model", "seed", "near_threshold")} == {
        "format": "pairs", "wanted": 3, "asked": 3, "parsed": 3, "model": "m", "seed": 5, "near_threshold": 0.7,
    }  # fmt: skip
    rows = rows_of("new.jsonl")
    assert [row["completion"] for row in rows] == ["1", "2", "3"]
    for number, (row, asked) in enumerate(zip(rows, Model.asked, strict=True), start=1):
        origin = row["origin"]
        assert (origin["model"], origin["request"], origin["seed"]) == ("m", number, 5)
        sent = json.dumps(asked["messages"], ensure_ascii=False).encode()
        assert origin["request_sha256"] == hashlib.sha256(sent).hexdigest()
        shown = [SEEDS[int(name.removeprefix("seeds.jsonl:")) - 1] for name in origin["seeds"]]
        answers = [message["content"] for message in asked["messages"] if message["role"] == "assistant"]
        assert answers == [f"Question: {one['question']}\nAnswer: {one['answer']}" for one in shown]
        assert len(set(origin["seeds"])) == 2
    (first, *_) = read("new.jsonl").examples
    assert isinstance(first, Completion)
    assert first.source == rows[0]["prompt"]


def test_every_answer_is_counted_once_by_what_becomes_of_it(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines("test.csv", [])
    Path("test.csv").write_text("prompt,completion\nHow far away is the moon from here?,Far.\n", encoding="utf-8")
    lines("held.jsonl", [{"text": "Which animals can fly and swim?", "label": "x"}])
    answering(
        "I cannot do that.",
        "Question: a\nAnswer: b <cut>",
        "Question: Why not?\nAnswer: why  not?",
        "Question: What is a tiger good for, in a  word?\nAnswer: x",
        "Question: How far away is the moon from here??\nAnswer: x",
        "Question: Which animals can fly and swim??\nAnswer: x",
        "Question: Who wrote the first novel?\nAnswer: x",
        "Question: Who wrote the first novels?\nAnswer: y",
    )
    against = ["--against", "test.csv", "--against", "held.jsonl"]
    document = made(capsys, "seeds.jsonl", "--endpoint", url, "--rows", "5", *against, "--out", "new.jsonl")
    assert document["outcomes"] == {
        "kept": 5, "too_long": 0, "cut": 1, "unparsed": 1, "echo": 1, "not_in_passage": 0, "like_seed": 1, "like_other": 2, "like_row": 1,
    }  # fmt: skip
    assert document["asked"] == len(Model.asked) == 12
    assert document["parsed"] == 10
    assert [row["origin"]["request"] for row in rows_of("new.jsonl")] == [7, 9, 10, 11, 12]


def test_the_same_seed_asks_the_same_and_another_one_something_else(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    answering()
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        made(capsys, "seeds.jsonl", "--endpoint", url, "--rows", "2", "--seed", seed, "--out", f"{name}.jsonl")
    requests = [(asked["seed"], asked["messages"]) for asked in Model.asked]
    assert requests[0:2] == requests[2:4]
    assert all(one[0] != other[0] and one[1] != other[1] for one, other in zip(requests[2:4], requests[4:6], strict=True))
    assert requests[0][0] != requests[1][0]


def test_each_label_is_asked_for_in_turn_and_half_of_what_is_shown_has_it(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines("labelled.jsonl", [{"text": f"{word} text", "label": "rare" if place < 2 else "usual"} for place, word in enumerate(WORDS)])
    Model.say = staticmethod(lambda number, messages: (200, fresh(number).partition("\n")[0].replace("Question", "Text"), "stop"))
    document = made(capsys, "labelled.jsonl", "--endpoint", url, "--rows", "6", "--out", "new.jsonl")
    assert document["labels"] == {"rare": 3, "usual": 3}
    assert [example.label for example in read("new.jsonl").examples if isinstance(example, Labelled)] == ["rare", "usual"] * 3
    label_of = {f"Text: {word} text": "rare" if place < 2 else "usual" for place, word in enumerate(WORDS)}
    for asked in Model.asked:
        wanted = asked["messages"][-1]["content"].rpartition(" ")[2]
        shown = Counter(label_of[message["content"]] for message in asked["messages"] if message["role"] == "assistant")
        assert shown.total() == 4
        assert shown[wanted] >= 2


def test_conversations_come_as_conversations(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}]
    tool = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "t", "arguments": "{}"}}]}
    lines("talk.jsonl", [{"messages": turns}, {"messages": [*turns, {"role": "user", "content": "Look."}, tool]}])
    answering("User: Which way?\nAssistant: Left.\nUser: And then?\nAssistant: Right.")
    document = made(capsys, "talk.jsonl", "--endpoint", url, "--rows", "1", "--out", "new.jsonl")
    assert (document["format"], document["seeds_left_out"]) == ("messages", 1)
    (example,) = read("new.jsonl").examples
    assert isinstance(example, Chat)
    assert [message.content for message in example.messages] == ["Which way?", "Left.", "And then?", "Right."]


def test_of_documents_only_answers_that_stand_in_the_passage_are_kept(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("papers").mkdir()
    text = "Lake Constance lies on the borders of Germany, Switzerland and Austria. It is 63 kilometres long and up to 251 metres deep."
    Path("papers/lake.md").write_text(f"# Lake\n\n{text}\n", encoding="utf-8")
    answering("Question: How long is it?\nAnswer: 64 kilometres", "Question: How deep is the lake?\nAnswer: Up to 251 metres.")
    document = made(capsys, "--from-documents", "papers", "--endpoint", url, "--rows", "1", "--out", "new.jsonl")
    assert (document["outcomes"]["not_in_passage"], document["outcomes"]["kept"]) == (1, 1)
    (row,) = rows_of("new.jsonl")
    assert (row["prompt"], row["completion"], row["passage"]) == ("How deep is the lake?", "Up to 251 metres.", f"# Lake\n\n{text}")
    assert (row["origin"]["document"], row["origin"]["passage"]) == ("papers/lake.md:1", 1)
    assert isinstance(read("new.jsonl").examples[0], Completion)


def test_where_too_few_come_what_there_is_is_written_with_a_warning(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    answering(fresh(1), *["no"] * 20)
    assert run(["data", "generate", "seeds.jsonl", "--endpoint", url, "--rows", "3", "--out", "new.jsonl"]) == 0
    said = capsys.readouterr()
    assert "warning: 1 of 3 wanted rows after 12 requests" in said.err
    assert "not one example in the form" in said.out
    assert len(rows_of("new.jsonl")) == 1


def test_where_none_comes_nothing_is_written(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    answering(*["Question: a\nAnswer: b <cut>"] * 4)
    error = refused(capsys, "seeds.jsonl", "--endpoint", url, "--rows", "1", "--out", "deep/new.jsonl")
    assert "of 4 answers none makes a new row (cut 4); nothing was written. Answers did not end: raise --max-new-tokens" in error
    assert not Path("deep").exists()


def test_where_the_server_gives_up_nothing_is_written(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    Model.say = staticmethod(lambda number, messages: (200 if number < 3 else 503, fresh(number), "stop"))
    error = refused(capsys, "seeds.jsonl", "--endpoint", url, "--rows", "5", "--out", "new.jsonl")
    assert "no answer after 1 attempts: HTTP 503" in error
    assert len(Model.asked) == 3
    assert sorted(path.name for path in Path().iterdir()) == ["seeds.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "m"], "either seeds, rows such as those that are wanted, or --from-documents"),
        (["seeds.jsonl", "--from-documents", ".", "--model", "m"], "either seeds"),
        (["seeds.jsonl"], "either --model, a model on this machine, or --endpoint"),
        (["seeds.jsonl", "--model", "m", "--endpoint", "m@http://localhost"], "either --model"),
        (["seeds.jsonl", "--model", "m", "--near", "0.1"], "--near 0.1: expected a similarity from 0.3 to 1"),
        (["seeds.jsonl", "--endpoint", "localhost"], "--endpoint localhost: expected NAME@URL"),
        (["missing.jsonl", "--model", "m"], "missing.jsonl: no such file"),
        (["--from-documents", "missing", "--model", "m"], "missing: no such folder"),
        (["texts.jsonl", "--model", "m"], "rows of the kind Text are no seeds"),
        (["marked.jsonl", "--model", "m"], "none of 1 rows can be shown to a model"),
        (["--from-documents", "short", "--model", "m"], "short: no document with a passage of 100 characters"),
        (["seeds.jsonl", "--model", "m", "--column", "source=nothing"], '--column source=COLUMN: no column "nothing"'),
    ],
)
def test_what_cannot_be_is_told_before_a_model_is_asked(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines("texts.jsonl", [{"text": "a"}])
    lines("marked.jsonl", [{"question": "a\nAnswer: b", "answer": "c"}])
    Path("short").mkdir()
    Path("short/a.txt").write_text("Too short.", encoding="utf-8")
    assert message in refused(capsys, *arguments, "--out", "new.jsonl")
    assert not Path("new.jsonl").exists()


def test_nothing_is_replaced_unless_told_to_and_never_what_is_read(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("new.jsonl").write_text("mine", encoding="utf-8")
    arguments = ["seeds.jsonl", "--endpoint", url, "--rows", "1"]
    assert "new.jsonl: exists" in refused(capsys, *arguments, "--out", "new.jsonl")
    assert "seeds.jsonl: is a file that is read" in refused(capsys, *arguments, "--out", "seeds.jsonl", "--force")
    assert "new.csv: expected a file that ends in .jsonl" in refused(capsys, *arguments, "--out", "new.csv")
    answering()
    made(capsys, *arguments, "--out", "new.jsonl", "--force")
    assert len(rows_of("new.jsonl")) == 1


def test_a_request_that_is_longer_than_the_model_reads_is_not_shortened(decoder_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, "seeds.jsonl", "--model", str(decoder_folder), "--rows", "1", "--out", "new.jsonl")
    assert "(too_long 4); nothing was written. The requests are longer than the model reads: lower --examples" in error


@pytest.mark.embedded
def test_a_model_on_this_machine_writes_the_same_file_again(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["seeds.jsonl", "--model", "smollm2-135m-instruct", "--rows", "2", "--max-new-tokens", "48"]
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        made(capsys, *options, "--seed", seed, "--out", f"{name}.jsonl")
    a, b, c = (Path(f"{name}.jsonl").read_bytes() for name in "abc")
    assert a == b
    assert a != c
