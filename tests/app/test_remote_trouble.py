"""What an endpoint cannot give, will not give, or gives another time otherwise."""

import json
from pathlib import Path
from typing import Any

import pytest
from remote_model import PRICES, Server, completion, labels, right, texts

from tunesmith.app import remote
from tunesmith.app.tune import tune
from tunesmith.cli.main import run
from tunesmith.core import endpoint
from tunesmith.core.errors import DataError, FetchError, RecipeError, TunesmithError
from tunesmith.core.events import Notice
from tunesmith.core.run import RunDirectory


def refused(message: str, source: str, data: Path, **changes: Any) -> None:
    with pytest.raises(RecipeError, match=message):
        tune(labels(source, data, Path("refused"), **changes))
    assert not Path("refused").exists()
    assert not Server.asked


def test_a_changing_endpoint_is_told(api: str, reviews_csv: Path) -> None:
    Server.say = staticmethod(
        lambda messages: (
            200,
            completion(right(messages) if len(Server.asked) <= 20 else "negative", system_fingerprint=f"fp{len(Server.asked) > 20}"),
            {},
        )
    )
    report = tune(labels(api, reviews_csv, Path("out"))).report
    assert report["endpoint"]["asked_again"] == 5
    assert 0 < report["endpoint"]["differed"] <= 5
    assert sorted(report["endpoint"]["fingerprints"]) == ["fpFalse", "fpTrue"]
    assert f"Of 5 rows that were asked twice, {report['endpoint']['differed']} were answered otherwise" in " ".join(report["warnings"])
    assert "system_fingerprint was" in " ".join(report["warnings"])


def test_a_budget_stops_before_the_request_that_could_exceed_it(api: str, reviews_csv: Path) -> None:
    with pytest.raises(
        TunesmithError, match=r"budget_usd: 0\.00\d+ of 0\.002 USD were spent, and the next request may cost 0\.00"
    ) as stopped:
        tune(labels(api, reviews_csv, Path("out"), model=PRICES, budget_usd=0.002))
    assert stopped.value.exit_code == 1
    assert 0 < len(Server.asked) < 45
    assert len(Server.asked) * 40 / 1e6 <= 0.002
    before = len(Server.asked)
    report = tune(labels(api, reviews_csv, Path("again"), model=PRICES, budget_usd=0.01)).report
    assert report["endpoint"]["requests"] == 45 - before


def test_a_request_that_is_refused_is_a_wrong_answer_and_three_in_a_row_are_an_error(api: str, reviews_csv: Path) -> None:
    Server.say = staticmethod(
        lambda messages: (400, {"error": "not allowed"}, {}) if "dog" in messages[-1]["content"] and len(messages) == 2 else right(messages)
    )
    file = Path("rows.csv")
    rows = [f"the {'dog' if n % 40 == 7 else 'cat'} {n} is good,positive" for n in range(200)] + [
        f"the cat {n} is bad,negative" for n in range(200)
    ]
    file.write_text("\n".join(["review,sentiment", *rows]) + "\n", encoding="utf-8")
    report = tune(labels(api, file, Path("out"), num_test=80)).report
    unanswered = report["endpoint"]["unanswered"]
    assert unanswered["base"] > 0 == unanswered["tuned"]
    assert any(
        f"Rows that the endpoint gave no answer to: {unanswered['base']} of" in one and "not allowed" in one for one in report["warnings"]
    )
    Server.say = staticmethod(lambda messages: (200, {"choices": []}, {}))
    with pytest.raises(FetchError, match="expected a chat completion"):
        tune(labels(api, reviews_csv, Path("broken")))
    assert RunDirectory(Path("broken")).status == "failed"


def test_a_pause_that_the_endpoint_asks_for_is_granted_and_told(api: str, reviews_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept, told = list[float](), list[str]()
    monkeypatch.setattr(endpoint, "sleep", slept.append)
    monkeypatch.setattr(remote, "_AT_A_TIME", 1)
    Server.say = staticmethod(
        lambda messages: (429, {"error": "slow down"}, {"Retry-After": "7"}) if len(Server.asked) == 3 else right(messages)
    )
    tune(labels(api, reviews_csv, Path("out")), progress=lambda event: told.append(event.text) if isinstance(event, Notice) else None)
    assert [seconds for seconds in slept if seconds] == [7.0]
    assert "the endpoint is asked again in 7 s: HTTP 429 slow down." in told


def test_a_key_that_is_not_accepted_is_one_line(api: str, reviews_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Server.say = staticmethod(lambda messages: (401, "", {}))
    columns = ["data.columns.text=review", "data.columns.label=sentiment"]
    given = ["reviews", f"model={api}", "method=none", "context=zero_shot", f"data.train={reviews_csv}", *columns, "evaluate.domains={}"]
    assert run(["tune", *given]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert "Set the key in the environment variable OPENAI_API_KEY" in lines[-1]
    assert len(Server.asked) <= 4


def test_what_needs_weights_is_refused_in_one_line(api: str, reviews_csv: Path, pairs_csv: Path) -> None:
    refused(
        "lora trains weights.*is behind an endpoint.*Set method=none and context=few_shot", api, reviews_csv, method="lora", context=None
    )
    refused("calibrate needs the probabilities", api, reviews_csv, context={"name": "few_shot", "calibrate": True})
    refused("retention is measured by likelihoods", api, reviews_csv, evaluate={"retention": {"ours": str(pairs_csv)}})
    refused("evaluate.metrics: ece is made of likelihoods", api, reviews_csv, evaluate={"metrics": ["ece"]})
    refused("model.quantization: is for a model on this machine", api, reviews_csv, model={"quantization": "int8"})
    refused("chat_template is for a tokenizer of this machine", api, reviews_csv, chat_template="chatml")
    refused("rewards: are of answers that a model of this machine draws", api, reviews_csv, rewards=["length"])
    refused("evaluate: rewards are of answers that a model", api, reviews_csv, evaluate={"rewards": ["length"]})
    refused("budget_usd: needs what .* costs", api, reviews_csv, budget_usd=1)
    refused("price_per_million_output: missing", api, reviews_csv, model={"price_per_million_input": 1})
    refused("price_per_million_input: is for a model behind an endpoint", "minilm-l6", reviews_csv, model=PRICES)
    refused("expected openai:NAME@URL", "openai:tiny", reviews_csv)
    text = Path("text.txt")
    text.write_text("\n\n".join(f"words {n} and more of them" for n in range(60)), encoding="utf-8")
    with pytest.raises(RecipeError, match="causal_lm is measured by likelihoods"):
        tune(texts(api, text, Path("raw")))


def test_commands_that_need_weights_say_so(api: str, reviews_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tune(labels(api, reviews_csv, Path("out")))
    commands = (["chat", api], ["models", "show", api], ["axes", "out"], ["merge", "out"], ["evaluate", api, "--suite", "gsm8k"])
    for command in commands:
        capsys.readouterr()
        assert run(command) == 2
        assert "\nerror: " in f"\n{capsys.readouterr().err.splitlines()[-1]}"


def test_tools_are_not_passed_over(api: str, tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
    turns = [{"role": "user", "content": "Look {}"}, {"role": "assistant", "content": "I did."}]
    rows = [{"messages": [{**turns[0], "content": f"Look {n}"}, turns[1]], "tools": [tool]} for n in range(40)]
    file = tmp_path / "tools.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(DataError, match="has tools, which an endpoint is not sent"):
        tune(texts(api, file, Path("out")))
    assert not Path("out").exists()
