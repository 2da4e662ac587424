"""Choices scored over a tree of shared beginnings, against one plain sequence at a time."""

import random
from collections.abc import Callable

import pytest
import torch
from families import facts_of, make
from torch import nn

from tunesmith.core.batch import Batch
from tunesmith.core.types import Origin, Row, Segment, Targets
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.probe import probe
from tunesmith.engine.scoring import Question, at_once, score, score_greedily, score_rows


def _questions() -> list[Question]:
    draw = random.Random(0)

    def tokens(least: int, most: int) -> list[int]:
        return [draw.randrange(5, 60) for _ in range(draw.randint(least, most))]

    few_shot = tokens(20, 20)
    found = [Question([*few_shot, *tokens(3, 13)], [tokens(1, 3) for _ in range(4)]) for _ in range(6)]
    nested = [Question(few_shot, [[5], [5, 6]]), Question([9, 8, 7], [[1], [1, 2], [*range(1, 12)]]), found[0]]
    return [*found, *nested]


def _counted(forward: PackedForward, monkeypatch: pytest.MonkeyPatch, of: Callable[[Batch], int]) -> list[int]:
    """A number of every batch that is read from now on."""
    found, plain = list[int](), forward.logprobs

    def counted(batch: Batch, *, with_entropy: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
        found.append(of(batch))
        return plain(batch, with_entropy=with_entropy)

    monkeypatch.setattr(forward, "logprobs", counted)
    return found


def _plain(model: nn.Module, question: Question) -> list[float]:
    found = []
    for choice in question.choices:
        logprobs = model(torch.tensor([[*question.prompt, *choice]])).logits[0].log_softmax(-1)
        start = len(question.prompt) - 1
        found.append(sum(float(logprobs[start + i, token]) for i, token in enumerate(choice)))
    return found


@pytest.mark.parametrize("budget", [30, 100, 8192])
@pytest.mark.parametrize("name", ["llama", "mistral", "gemma2", "bloom"])  # packed; with a window; with a softcap; padded
def test_scores_are_those_of_one_sequence_at_a_time_whatever_the_budget(name: str, budget: int) -> None:
    model = make(name)
    facts = facts_of(name, model)
    forward = PackedForward(model, {}, facts, probe(model, facts)).eval()
    with torch.no_grad():
        expected = [_plain(model, question) for question in _questions()]
    for found, wanted in zip(score(forward, _questions(), micro_batch_tokens=budget), expected, strict=True):
        assert found == pytest.approx(wanted, abs=2e-4)


def test_a_shared_beginning_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("llama")
    facts = facts_of("llama", model)
    forward = PackedForward(model, {}, facts, probe(model, facts)).eval()
    sizes = _counted(forward, monkeypatch, lambda batch: batch.stream.num_tokens)
    few_shot = list(range(5, 35))
    questions = [Question([*few_shot, *[40 + i] * 9], [[50], [51, 52]]) for i in range(4)]
    score(forward, questions)
    assert sizes == [30 + 4 * (9 + 1)]  # nothing follows the last token of a choice: it is not read


@pytest.mark.parametrize("name", ["llama", "gemma2", "bloom"])
def test_greedy_is_what_greedy_decoding_writes(name: str) -> None:
    model = make(name)
    facts = facts_of(name, model)
    forward = PackedForward(model, {}, facts, probe(model, facts)).eval()
    prompts, questions = [q.prompt for q in _questions()], list[Question]()
    for prompt in prompts:
        tokens = list(prompt)
        for _ in range(3):
            tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
        written = tokens[len(prompt) :]
        questions.append(Question(prompt, [written, written[:1], [*written[:2], (written[2] + 1) % 90]]))
    found = score_greedily(forward, questions)
    assert [[one.is_greedy for one in choices] for choices in found] == [[True, True, False]] * len(questions)
    assert [[one.nats for one in choices] for choices in found] == [pytest.approx(nats, abs=1e-6) for nats in score(forward, questions)]


def test_a_sequence_may_be_one_token_longer_than_the_model_has_positions_for() -> None:
    model = make("gpt2")
    facts = facts_of("gpt2", model)
    forward = PackedForward(model, {}, facts, probe(model, facts)).eval()
    question = Question(list(range(5, 5 + 63)), [[9, 10]])
    with torch.no_grad():
        logprobs = model(torch.tensor([[*question.prompt, 9]])).logits[0].log_softmax(-1)
    assert score(forward, [question]) == [[pytest.approx(float(logprobs[62, 9] + logprobs[63, 10]), abs=2e-4)]]


def test_progress_counts_questions_and_an_empty_one_is_refused() -> None:
    model = make("llama")
    facts = facts_of("llama", model)
    forward = PackedForward(model, {}, facts, probe(model, facts)).train()
    seen = list[int]()
    score(forward, _questions(), micro_batch_tokens=60, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == len(_questions())
    assert forward.training
    with pytest.raises(ValueError, match="at least one token"):
        score(forward, [Question([1], [[]])])


def _rows() -> list[Row]:
    """Of four lengths, most of which begin alike; some score pieces in the middle, and one nothing but its last token."""
    draw = random.Random(1)
    begin = [draw.randrange(5, 60) for _ in range(12)]
    found = list[Row]()
    for number in range(9):
        own = [draw.randrange(5, 60) for _ in range(3 + number % 4)]
        tokens = (*(begin if number % 3 else begin[:5]), *own)
        places = tuple(range(4, 6)) + tuple(range(len(tokens) - 1 - number % 2, len(tokens) - 1))
        labels = tuple(tokens[place + 1] for place in places)
        weights = tuple(1.0 if place % 2 else 0.5 for place in places)
        found.append(Row((Segment(tokens),), Origin("x", number), Targets(places, labels, weights, (0,) * len(places))))
    return [*found, found[3], Row((Segment((7,)),), Origin("x", 9))]


@pytest.mark.parametrize("budget", [20, 60, 8192])
@pytest.mark.parametrize("name", ["llama", "mistral", "gemma2"])
def test_rows_that_begin_alike_score_as_each_alone(name: str, budget: int) -> None:
    model = make(name)
    facts = facts_of(name, model)
    forward = PackedForward(model, {}, facts, probe(model, facts))
    rows = _rows()
    expected = []
    for row in rows:
        logprobs = model(torch.tensor([row.segments[0].tokens])).logits[0].log_softmax(-1).detach()
        targets = zip(row.targets.positions, row.targets.labels, row.targets.weights, strict=True)
        expected.append(sum(weight * float(logprobs[place, label]) for place, label, weight in targets))
    done = list[int]()
    assert score_rows(forward.train(), rows, micro_batch_tokens=budget, progress=done.append) == pytest.approx(expected, abs=2e-4)
    assert done[-1] == len(rows)
    assert forward.training


def test_what_rows_begin_with_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("llama")
    facts = facts_of("llama", model)
    forward = PackedForward(model, {}, facts, probe(model, facts)).eval()
    sizes = _counted(forward, monkeypatch, lambda batch: batch.stream.num_tokens)
    begin = tuple(range(5, 35))
    score_rows(forward, [Row((Segment((*begin, 40 + i, 50, 51)),), Origin("x", i), Targets((31,), (51,), (1.0,), (0,))) for i in range(4)])
    assert sizes == [30 + 4 * 2]


def test_rows_that_are_alike_do_not_score_more_at_a_time_than_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("llama")
    facts = facts_of("llama", model)
    forward = PackedForward(model, {}, facts, probe(model, facts)).eval()
    sizes = _counted(forward, monkeypatch, lambda batch: len(batch.labels_N))
    row = Row((Segment((5, 6, 7, 8, 9)),), Origin("x", 1), Targets((1, 2, 3), (7, 8, 9), (1.0,) * 3, (0,) * 3))
    found = score_rows(forward, [row] * 20, micro_batch_tokens=12)
    assert max(sizes) <= at_once(12, 5) < 60 == sum(sizes)
    assert found == pytest.approx([found[0]] * 20, abs=1e-5)
