"""Objectives of judged answers: rows, losses worked by hand, and losses and gradients against plain transformers in float64."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from families import facts_of, make
from judged_answers import CHOSEN, HERE, PROMPTS, REJECTED
from plain import without_dropout
from torch import Tensor, nn

from tunesmith.core import registry
from tunesmith.core.batch import Batch, collate
from tunesmith.core.types import Encoded, Message, ModelFacts, Objective, Preference, Ranked, Row, Unpaired
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.probe import probe
from tunesmith.engine.scoring import score_answers
from tunesmith.model.heads import Head
from tunesmith.objective._answers import answered_row
from tunesmith.objective.dpo import DPO
from tunesmith.objective.kto import KTO
from tunesmith.objective.orpo import ORPO
from tunesmith.objective.reward import Reward

PLAN = TrainingPlan(num_steps=1, steps_per_epoch=1, learning_rate=1.0, schedule="constant", num_warmup_steps=0, max_grad_norm=None)


@dataclass
class _Encoder:
    """A conversation is the numbers that its messages hold."""

    facts: ModelFacts
    max_length: int = 60

    def _tokens(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return tuple(int(number) for message in messages for number in message.content.split())

    def prompt(self, example: Any) -> tuple[int, ...]:
        return self._tokens(example.messages)

    def encode(self, example: Any) -> Encoded:
        whole = [
            (number, message.learned and message.role == "assistant") for message in example.messages for number in self._tokens([message])
        ]
        tokens, scored = tuple(n for n, _ in whole), tuple(s for _, s in whole)
        cut = tokens[: self.max_length]
        return Encoded(cut, (0,) * len(cut), scored[: self.max_length], num_cut=len(tokens) - len(cut))


def spoken(role: Any, tokens: Sequence[int]) -> tuple[Message, ...]:
    return (Message(role, " ".join(map(str, tokens))),)


def preference(number: int = 0) -> Preference:
    return Preference(spoken("user", PROMPTS[number]), spoken("assistant", CHOSEN[number]), spoken("assistant", REJECTED[number]), HERE)


def unpaired(number: int) -> Unpaired:
    answers = CHOSEN if number % 2 == 0 else REJECTED
    return Unpaired(spoken("user", PROMPTS[number]), spoken("assistant", answers[number]), number % 2 == 0, HERE)


def encoder(name: str = "llama", max_length: int = 60) -> Any:
    return _Encoder(facts_of(name, make(name)), max_length)


def test_a_prompt_stands_in_a_row_once_and_both_answers_continue_it() -> None:
    (row,) = DPO().encode(preference(), encoder())
    assert [(segment.tokens, segment.parent) for segment in row.segments] == [((5, 6, 7), -1), ((20, 21), 0), ((30,), 0)]
    assert row.targets.positions == (2, 3, 4, 2, 5)  # the end of the prompt predicts the first token of both
    assert row.targets.labels == (20, 21, 2, 30, 2)
    assert row.targets.answers == (0, 0, 0, 1, 1)
    assert row.answers == (1, 2)


def test_an_answer_of_one_token_has_no_segment_of_its_own() -> None:
    row = answered_row(
        (5, 6), [Encoded((5, 6, 2), (0,) * 3, (False, False, True)), Encoded((5, 6, 7, 2), (0,) * 4, (False, False, True, True))], HERE
    )
    assert row is not None
    assert [segment.tokens for segment in row.segments] == [(5, 6), (7,)]
    assert (row.targets.positions, row.targets.labels) == ((1, 1, 2), (2, 7, 2))


@pytest.mark.parametrize(("max_length", "is_learned"), [(3, False), (4, True), (5, True)])
def test_answers_that_do_not_fit_are_cut_and_a_prompt_without_room_makes_no_row(max_length: int, is_learned: bool) -> None:
    rows = DPO().encode(preference(), encoder(max_length=max_length))
    assert bool(rows) == is_learned
    alike = replace(preference(), rejected=spoken("assistant", (20, 30)))
    assert DPO().encode(alike, encoder(max_length=4)) == []  # what is left of both is the same


def test_the_rejected_answer_weighs_nothing_beside_the_odds() -> None:
    (row,) = ORPO().encode(preference(), encoder())
    assert row.targets.weights == (1.0, 1.0, 1.0, 0.0, 0.0)
    assert collate([row], encoder().facts).counts["target"] == 3


# Against plain transformers: each answer with its prompt as a sequence of its own.


def _forward(name: str, method: str = "full", **options: Any) -> tuple[PackedForward, list[Any]]:
    trunk = without_dropout(make(name, torch.float64))
    facts = facts_of(name, trunk)
    made = registry.create("method", method, **options)
    torch.manual_seed(1)
    groups = made.apply(trunk)
    torch.manual_seed(2)
    heads = {"reward": Head("reward", facts.hidden_size, 1, pooling="last").double()}
    forward = PackedForward(trunk.double(), heads, facts, probe(trunk, facts))
    forward.use_virtual_tokens(made.virtual_tokens)
    return forward, groups


def _rows(objective: Objective, name: str) -> list[Row]:
    one = unpaired if isinstance(objective, KTO) else preference
    found = [row for number in range(4) for row in objective.encode(one(number), encoder(name))]
    if name == "t5":  # an encoder-decoder reads its prompt as a source
        return [replace(row, source=row.segments[0]) for row in found]
    return found


def _moved(forward: PackedForward) -> None:
    """Let the model be another than its reference."""
    torch.manual_seed(3)
    with torch.no_grad():
        for p in forward.trunk.parameters():
            if p.requires_grad:
                p.add_(0.05 * torch.randn_like(p))


def _with_reference(forward: PackedForward, rows: list[Row]) -> list[Row]:
    found = score_answers(forward, rows, micro_batch_tokens=64)
    return [replace(row, values={**row.values, "reference": one}) for row, one in zip(rows, found, strict=True)]


def _plain_sums(model: nn.Module, name: str, prompts: Sequence[Any], answers: Sequence[Any]) -> Tensor:
    """The log-likelihood of each answer after its prompt."""
    found = []
    for prompt, answer in zip(prompts, answers, strict=True):
        ids = torch.tensor([[*prompt, *answer]])
        arguments = {"input_ids": torch.tensor([list(prompt)]), "decoder_input_ids": ids} if name == "t5" else {"input_ids": ids}
        logits = model(**arguments).logits[0, len(prompt) - 1 : -1].double()
        found.append(-F.cross_entropy(logits, torch.tensor(answer), reduction="sum"))
    return torch.stack(found)


@pytest.mark.parametrize("name", ["llama", "mistral", "gpt2", "bloom", "t5"])
@pytest.mark.parametrize("form", ["sigmoid", "ipo"])
def test_dpo_and_its_gradients_equal_plain_transformers(name: str, form: Any) -> None:
    objective = DPO(beta=0.3, loss_type=form)
    forward, _ = _forward(name)
    rows = _with_reference(forward, _rows(objective, name))
    before = [_plain_sums(forward.trunk, name, PROMPTS, answers).detach() for answers in (CHOSEN, REJECTED)]
    _moved(forward)
    batch = collate(rows, forward.facts)
    found = objective.loss(forward, batch).sums["row"]
    found.backward()
    gradients = {n: p.grad.clone() for n, p in forward.trunk.named_parameters() if p.grad is not None}
    forward.zero_grad()
    ratios = [_plain_sums(forward.trunk, name, PROMPTS, answers) - was for answers, was in zip((CHOSEN, REJECTED), before, strict=True)]
    if form == "ipo":
        ratios = [ratio / torch.tensor([len(a) for a in answers]) for ratio, answers in zip(ratios, (CHOSEN, REJECTED), strict=True)]
        expected = (ratios[0] - ratios[1] - 1 / 0.6).square().sum()
    else:
        expected = -F.logsigmoid(0.3 * (ratios[0] - ratios[1])).sum()
    expected.backward()
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    for n, p in forward.trunk.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(gradients[n], p.grad, atol=1e-5, rtol=1e-4, msg=lambda text, n=n: f"{n}: {text}")


OBJECTIVES: dict[str, Callable[[], Any]] = {
    "dpo": lambda: DPO(beta=0.3),
    "robust": lambda: DPO(beta=0.3, loss_type="robust", label_smoothing=0.2),
    "orpo": lambda: ORPO(weight=0.5),
    "kto": lambda: KTO(beta=0.3, undesirable_weight=1.3),
    "reward": Reward,
}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "full": ("full", {}),
    "lora": ("lora", {"r": 2}),
    "prompt": ("prompt", {"num_virtual_tokens": 3}),
}


def _stepped(objective: Any, method: str, size: int) -> tuple[dict[str, Tensor], Any]:
    """The weights after one step of plain gradient descent, cut into micro-batches of so many rows, and the step."""
    name, options = METHODS[method]
    forward, groups = _forward("llama", name, **options)
    rows = _rows(objective, "llama")
    if getattr(objective, "needs_reference", ""):
        rows = _with_reference(forward, rows)
        forward.keep_reference()
    _moved(forward)
    batches = [collate(rows[at : at + size], forward.facts) for at in range(0, len(rows), size)]
    params = [p for group in groups for p in group.params] + (list(forward.heads.parameters()) if isinstance(objective, Reward) else [])
    from tunesmith.core.types import ParamGroup

    state = TrainingState(make_optimizer([ParamGroup("all", params)], name="sgd", weight_decay=0.0, momentum=0.0))
    (step,) = train(forward, objective, [batches], PLAN, state)
    return {n: p.detach().clone() for n, p in forward.named_parameters() if p.requires_grad}, step


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_step_does_not_depend_on_how_it_is_cut(name: str, method: str) -> None:
    whole, step = _stepped(OBJECTIVES[name](), method, 4)
    assert math.isfinite(step.loss)
    assert step.grad_norm > 0
    for size in (1, 3):
        parts, again = _stepped(OBJECTIVES[name](), method, size)
        assert again.loss == pytest.approx(step.loss, rel=1e-6)
        assert again.metrics == pytest.approx(step.metrics, rel=1e-5, abs=1e-6)
        for key, expected in whole.items():
            torch.testing.assert_close(parts[key], expected, atol=1e-6, rtol=1e-5, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("method", METHODS)
def test_before_the_first_step_rewards_are_zero_and_the_loss_is_log_2(method: str) -> None:
    name, options = METHODS[method]
    forward, _ = _forward("llama", name, **options)
    rows = _with_reference(forward, _rows(DPO(), "llama"))
    batch = collate(rows, forward.facts)
    with torch.no_grad():
        assert float(DPO().loss(forward, batch).sums["row"]) / len(rows) == pytest.approx(math.log(2), abs=1e-6)
        assert DPO().scores(forward, batch).abs().max() < 1e-5
        assert DPO().scores(forward, collate(_rows(DPO(), "llama"), forward.facts)).abs().max() == 0  # without a reference it is its own


def test_the_reference_is_the_model_before_training_and_leaves_it_as_it_is() -> None:
    forward, _ = _forward("llama", "lora", r=2)
    batch = collate(_rows(DPO(), "llama"), forward.facts)
    forward.keep_reference()
    before = forward.eval().logprobs(batch)[0].detach()
    _moved(forward)
    forward.train()
    moved = [p.detach().clone() for p in forward.parameters()]
    with forward.as_reference():
        assert not forward.training
        inside = forward.logprobs(batch)[0]
    assert not inside.requires_grad
    torch.testing.assert_close(inside, before)
    assert forward.training
    assert all(torch.equal(a, b) for a, b in zip(moved, forward.parameters(), strict=True))


def test_what_drifts_is_measured_on_the_next_prompts_answer() -> None:
    objective = KTO(beta=0.3)
    forward, _ = _forward("llama")
    rows = _with_reference(forward, _rows(objective, "llama"))
    forward.keep_reference()
    answers = [CHOSEN[0], REJECTED[1], CHOSEN[2], REJECTED[3]]
    crossed = [*answers[1:], answers[0]]
    before = _plain_sums(forward.trunk, "llama", PROMPTS, crossed).detach()
    _moved(forward)
    after = _plain_sums(forward.trunk, "llama", PROMPTS, crossed).detach()
    batch = collate(rows, forward.facts)
    objective.prepare(forward, [batch])
    found = objective.loss(forward, batch)
    assert float(found.metrics["kl"]) / len(rows) == pytest.approx(max(0.0, float((after - before).mean())), abs=1e-4)


def test_a_single_row_has_nothing_to_be_crossed_with_and_validation_needs_no_step() -> None:
    objective = KTO()
    forward, _ = _forward("llama")
    rows = _with_reference(forward, _rows(objective, "llama"))
    forward.keep_reference()
    one = collate(rows[:1], forward.facts)
    objective.prepare(forward, [one])
    assert float(objective.loss(forward, one).metrics["kl"]) == 0.0
    assert math.isfinite(float(objective.loss(forward, collate(rows, forward.facts)).sums["row"].detach()))


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_a_reward_is_read_from_the_whole_of_each_answer(name: str) -> None:
    trunk = without_dropout(make(name, torch.float64))
    facts = facts_of(name, trunk)
    torch.manual_seed(2)
    head = Head("reward", 32, 1, pooling="last").double()
    forward = PackedForward(trunk, {"reward": head}, facts, probe(trunk, facts))
    if name == "llama":
        rows = _rows(Reward(), name)
        wholes = [(*prompt, *answer) for prompt, two in zip(PROMPTS, zip(CHOSEN, REJECTED, strict=True), strict=True) for answer in two]
    else:
        shown = _PairEncoder(facts)
        rows = [row for number in range(4) for row in Reward().encode(preference(number), shown)]  # type: ignore[arg-type]
        wholes = [tuple(segment.tokens) for row in rows for segment in row.segments]
        assert wholes[0] == (3, 5, 6, 7, 4, 20, 21, 2, 4)
    found = forward.head("reward", collate(rows, facts))[:, 0]
    body = trunk.model if name == "llama" else trunk
    types = [{} if name == "llama" else {"token_type_ids": torch.tensor([segment.token_types])} for row in rows for segment in row.segments]
    states = [body(torch.tensor([whole]), **more).last_hidden_state[0, -1] for whole, more in zip(wholes, types, strict=False)]
    expected = head.read(torch.stack(states))[:, 0]
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-6)


@dataclass
class _PairEncoder:
    """[CLS] text [SEP] other [SEP], as BERT's tokenizer lays out two texts."""

    facts: ModelFacts

    def encode(self, example: Any) -> Encoded:
        first, second = (tuple(map(int, text.split())) for text in (example.text, example.text_pair))
        tokens = (3, *first, 4, *second, 4)
        return Encoded(tokens, (0,) * (len(first) + 2) + (1,) * (len(second) + 1), (False,) * len(tokens))


def test_ranked_answers_are_one_row_and_one_answer_can_be_asked_about() -> None:
    ranked = Ranked(spoken("user", (5, 6)), ("20 2", "21 2", "22 2"), (1, 1, 4), HERE)
    (row,) = Reward().encode(ranked, encoder())
    assert (row.values["rank"], row.answers) == ((1.0, 1.0, 4.0), (1, 2, 3))
    assert [segment.tokens for segment in row.segments] == [(5, 6), (20, 2), (21, 2), (22, 2)]
    (alone,) = Reward().encode(Ranked(spoken("user", (5, 6)), ("20 2",), (1,), HERE), encoder())
    assert alone.answers == (1,)


def test_length_alone_is_what_a_reward_model_has_to_beat() -> None:
    long, short = (Message("assistant", "a" * 9),), (Message("assistant", "a" * 3),)
    prompt = (Message("user", "b"),)
    train = [Preference(prompt, long, short, HERE)] * 3 + [Preference(prompt, short, long, HERE)]
    (said,) = Reward().constant(train, [Preference(prompt, short, long, HERE)])
    assert said.scores is not None
    assert said.scores[1] - said.scores[0] == pytest.approx(math.log(3), rel=1e-6)  # three of four: sigmoid(log 3) = 3 / 4
    assert Reward().constant([Preference(prompt, long, long, HERE)], [train[0]])[0].scores == (0.0, 0.0)


def test_batches_of_pairs_split_and_keep_their_values() -> None:
    forward, _ = _forward("llama")
    rows = _with_reference(forward, _rows(DPO(), "llama"))
    batch: Batch = collate(rows, forward.facts)
    halves = batch.split()
    assert torch.equal(torch.cat([half.per_answer["reference"] for half in halves]), batch.per_answer["reference"])
