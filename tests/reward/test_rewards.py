"""What every reward says of answers, worked by hand, and what all of them promise."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rewarded_answers import PROMPT, nobody, response

from tunesmith.core import registry
from tunesmith.core.errors import RunError, UsageError
from tunesmith.core.rewards import Ask, Reward
from tunesmith.core.types import Chat, Completion, Example, Labelled, Message, Origin, Output, Preference, Prompt, Ranked

HERE = Origin("asked.jsonl", 3)


def made(name: str, **options: Any) -> Reward:
    found: Reward = registry.create("reward", name, **options)
    return found


def test_an_answer_that_was_cut_gets_minus_one() -> None:
    assert list(made("ended").score([response("yes"), response("yes", has_ended=False)], nobody)) == [0.0, -1.0]


def test_each_so_many_tokens_beyond_the_longest_cost_one() -> None:
    answers = [response("", num_tokens=num) for num in (1, 4, 5, 9)]
    # (num - 4) / 5 where that is above 0
    assert list(made("length", longest=4, per_tokens=5).score(answers, nobody)) == [0.0, 0.0, -1 / 5, -1.0]
    # 1 / 10, 4 / 10, ...: by default every token costs a tenth
    assert list(made("length").score(answers, nobody)) == [-0.1, -0.4, -0.5, -0.9]


def test_repetition_is_the_share_of_word_pairs_that_came_before() -> None:
    # a b, b a, a b: 2 of 3 pairs are new, 1 of 3 came before; c c c c: 1 of 3 is new
    texts = ["a b a b", "c c c c", "a b c", "a", ""]
    assert list(made("repetition").score([response(text) for text in texts], nobody)) == pytest.approx([-1 / 3, -2 / 3, 0.0, 0.0, 0.0])


def test_a_pattern_is_of_the_whole_answer_or_of_a_part() -> None:
    answers = [response(text) for text in ("Answer: 42", "The Answer: 42.", "answer: 42", "Answer: \n42")]
    assert list(made("regex", pattern=r"Answer: \d+").score(answers, nobody)) == [1.0, 0.0, 0.0, 0.0]
    assert list(made("regex", pattern=r"Answer: \d+", match="part").score(answers, nobody)) == [1.0, 1.0, 0.0, 0.0]
    assert list(made("regex", pattern=r"(?is)answer:.*\d+\.?", match="part").score(answers, nobody)) == [1.0, 1.0, 1.0, 1.0]


def test_a_pattern_that_is_none_is_named() -> None:
    with pytest.raises(UsageError, match=r"^reward regex: pattern: '\(': missing \).*position 0\. Mend it"):
        made("regex", pattern="(")


@pytest.mark.parametrize("options", [{"longest": -1}, {"per_tokens": 0}])
def test_a_length_that_cannot_be_is_named(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"reward length: expected longest >= 0 and per_tokens >= 1, found"):
        made("length", **options)


def test_a_metric_rewards_each_answer_by_what_it_says_of_it_alone() -> None:
    answers = [
        response("the cat sat", reference="the cat sat"),
        response("the cat", reference="the cat sat"),
        response("", reference="the cat sat"),
    ]
    assert list(made("metric", metric="exact_match").score(answers, nobody)) == [1.0, 0.0, 0.0]
    # of "the cat" all 2 words are in the reference's 3, in that order: precision 1, recall 2/3, F1 = 2 * (2/3) / (5/3) = 4/5
    assert list(made("metric", metric="rougeL").score(answers, nobody)) == pytest.approx([1.0, 0.8, 0.0])


def test_the_options_of_a_metric_stand_beside_its_name(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "object", "required": ["name"]}), encoding="utf-8")
    reward = made("metric", metric="json_schema", schema=str(schema), weight=0.5)
    assert reward.weight == 0.5
    assert list(reward.score([response('{"name": "x"}'), response("{}"), response("no")], nobody)) == [1.0, 0.0, 0.0]
    with pytest.raises(UsageError, match=r"json_schema: schema: missing"):
        made("metric", metric="json_schema")
    with pytest.raises(UsageError, match=r"metric exact_match: schema: unknown option"):
        made("metric", metric="exact_match", schema=str(schema))


def test_a_metric_that_says_nothing_of_an_answer_gives_nothing(tmp_path: Path) -> None:
    file = tmp_path / "asked.jsonl"
    asked = {"prompt": "Say it without commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    file.write_text(json.dumps(asked), encoding="utf-8")
    reward = made("metric", metric="instructions_followed", instructions=str(file))
    known, other = Completion("Say it without commas.", "", HERE), Completion("Say it.", "", HERE)
    answers = [response("a b", example=known), response("a, b", example=known), response("a b", example=other)]
    assert list(reward.score(answers, nobody)) == [1.0, 0.0, 0.0]
    # one word has no pair of words: distinct-2 is no number
    assert list(made("metric", metric="distinct_2").score([response("a b"), response("a")], nobody)) == [1.0, 0.0]


def test_a_metric_that_reads_no_text_is_refused_and_those_that_do_are_named() -> None:
    with pytest.raises(UsageError, match=r"metric: accuracy reads label, and an answer is text\. Use one of: .*exact_match.*rougeL"):
        made("metric", metric="accuracy")
    with pytest.raises(UsageError, match=r'exact_mach.*Did you mean "exact_match"\?'):
        made("metric", metric="exact_mach")


def says(outputs: Callable[[Example], Output], seen: list[Example]) -> Ask:
    def ask(run: str, examples: Sequence[Example]) -> list[Output]:
        assert run == "judge"
        seen.extend(examples)
        return [outputs(example) for example in examples]

    return ask


def test_a_classifier_gives_the_probability_of_its_class() -> None:
    seen = list[Example]()
    ask = says(lambda one: Output(probabilities=(0.25, 0.75) if "good" in one.text else (0.9, 0.1), classes=("bad", "fine")), seen)  # type: ignore[union-attr]
    assert list(made("classifier", run="judge", label="fine").score([response("good"), response("no")], ask)) == [0.75, 0.1]
    assert list(made("classifier", run="judge", label="bad", reads="prompt and answer").score([response("good")], ask)) == [0.25]
    assert [one.text for one in seen if isinstance(one, Labelled)] == ["good", "no", f"{PROMPT} good"]


def test_a_class_that_a_classifier_does_not_know_is_named() -> None:
    ask = says(lambda one: Output(probabilities=(1.0, 0.0), classes=("bad", "fine")), [])
    with pytest.raises(RunError, match=r'rewards: classifier: judge has no class fin\. Did you mean "fine"\? Known: bad, fine\.'):
        made("classifier", run="judge", label="fin").score([response("good")], ask)


def test_a_classifier_asked_of_no_answers_says_nothing() -> None:
    assert list(made("classifier", run="judge", label="x").score([], says(lambda one: Output(), []))) == []


USER, SAID = Message("user", "hi"), Message("assistant", "hello")


@pytest.mark.parametrize(
    ("example", "asked"),
    [
        (Prompt((USER, SAID, USER), HERE), (USER, SAID, USER)),
        (Chat((USER, SAID), HERE), (USER,)),
        (Preference((USER,), (SAID,), (USER,), HERE), (USER,)),
        (Ranked((USER,), ("a", "b"), (1, 2), HERE), (USER,)),
        (Completion("hi", "hello", HERE), (USER,)),
    ],
)
def test_a_reward_model_reads_the_conversation_with_the_answer(example: Example, asked: tuple[Message, ...]) -> None:
    seen = list[Example]()
    ask = says(lambda one: Output(scores=(-1.5,)), seen)
    assert list(made("model", run="judge").score([response("yes", example=example)], ask)) == [-1.5]
    (shown,) = seen
    assert isinstance(shown, Ranked)
    assert (shown.prompt, shown.answers) == (asked, ("yes",))


def test_a_reward_model_that_says_nothing_names_the_row() -> None:
    with pytest.raises(RunError, match=r"rewards: model: judge says nothing of the answer to asked\.jsonl:3"):
        made("model", run="judge").score([response("yes")], says(lambda one: Output(), []))


def _function(folder: Path) -> str:
    file = folder / "conformance.py"
    file.write_text("def words(answer):\n    return len(answer.split())\n", encoding="utf-8")
    return f"{file}:words"


OPTIONS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "classifier": lambda folder: {"run": "judge", "label": "fine"},
    "ended": lambda folder: {},
    "function": lambda folder: {"function": _function(folder)},
    "length": lambda folder: {},
    "metric": lambda folder: {"metric": "distinct_2"},
    "model": lambda folder: {"run": "judge"},
    "regex": lambda folder: {"pattern": "a+"},
    "repetition": lambda folder: {},
}
"""Reward -> what it needs: a reward that is added needs an entry."""


@pytest.mark.parametrize("name", registry.names("reward"))
def test_every_reward_weighs_and_gives_each_answer_one_finite_number_whatever_stands_beside_it(name: str, tmp_path: Path) -> None:
    if name not in OPTIONS:
        pytest.fail(f"the reward {name} has no options here: add them to OPTIONS of tests/reward/test_rewards.py")
    options = OPTIONS[name](tmp_path)
    reward = made(name, **options)
    assert isinstance(reward, Reward)
    assert reward.weight == 1.0
    assert made(name, **options, weight=-0.25).weight == -0.25

    def ask(run: str, examples: Sequence[Example]) -> list[Output]:
        return [Output(probabilities=(0.5, 0.5), classes=("fine", "bad"), scores=(float(len(str(one))),)) for one in examples]

    answers = [response(text) for text in ("", "a", "a b a b", "ünï ☃ code", "long " * 50)] + [response("cut", has_ended=False)]
    together = list(reward.score(answers, ask))
    assert len(together) == len(answers)
    assert all(type(one) is float and math.isfinite(one) for one in together)
    assert together == [one for answer in answers for one in reward.score([answer], ask)]
    assert list(reward.score([], ask)) == []
