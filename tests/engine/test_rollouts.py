"""Rollouts: answers are the policy's own, what is said of them is what plain transformers says, and a run goes on in their midst."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import facts_of, make
from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.errors import RunError
from tunesmith.core.rollout import Rollout
from tunesmith.core.types import Origin, Row, Segment
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.packing import StepPlan
from tunesmith.engine.probe import probe
from tunesmith.engine.rollouts import answered, measure, rollout_steps, write
from tunesmith.model.heads import Head
from tunesmith.objective.grpo import GRPO
from tunesmith.objective.ppo import PPO

HERE = Origin("x", 1)
STOP = 2
every_kind = pytest.mark.parametrize("family", ["llama", "bloom", "t5"])
"""Packed, padded, and an encoder-decoder."""


@cache
def forward_of(family: str) -> PackedForward:
    model = make(family, torch.float32 if family == "bloom" else torch.float64, scale=2.0)  # its padded attention has NaNs in float64
    facts = facts_of(family, model)
    torch.manual_seed(1)
    head = Head("value", facts.hidden_size, 1, pooling="last").to(next(model.parameters()).dtype)
    return PackedForward(model, {"value": head}, facts, probe(model, facts)).eval()


def asked(family: str, tokens: Sequence[int]) -> Row:
    """A prompt: what a causal model goes on with, or what an encoder reads and its decoder's first token."""
    if family == "t5":
        return Row((Segment((0,)),), HERE, answers=(), source=Segment(tuple(tokens)))
    return Row((Segment(tuple(tokens)),), HERE, answers=())


def said_by_transformers(family: str, prompt: Row, answer: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Log-probabilities of every token of one answer, and what the value head says before each."""
    forward = forward_of(family)
    begun = prompt.segments[0].tokens
    tokens = torch.tensor([[*begun, *answer]])
    with torch.no_grad():
        if prompt.source is not None:
            source = torch.tensor([prompt.source.tokens])
            said: Any = forward.trunk(input_ids=source, decoder_input_ids=tokens, output_hidden_states=True)
            hidden = said.decoder_hidden_states[-1][0]
        else:
            said = forward.trunk(input_ids=tokens, output_hidden_states=True)
            hidden = said.hidden_states[-1][0]
        places = range(len(begun) - 1, len(begun) + len(answer) - 1)
        logprobs = said.logits[0].log_softmax(1)[list(places), list(answer)]
        layer: Any = forward.heads["value"].layers[0]  # type: ignore[index,union-attr]
        values = hidden[list(places)] @ layer.weight[0] + layer.bias[0]
    return logprobs, values


def written(family: str, prompts: Sequence[Row], num: int, **options: Any) -> list[list[tuple[int, ...]]]:
    given = {"max_new_tokens": 6, "stop_tokens": [STOP], "seed": 5, "batch_tokens": 8192, **options}
    return [[tuple(one) for one in group.tokens] for group in write(forward_of(family), prompts, num_answers=num, **given)]


def within(found: int, num: int, share: float) -> bool:
    """Whether so many of `num` draws are within five standard deviations of a binomial distribution."""
    return abs(found - num * share) <= 5 * math.sqrt(num * share * (1 - share)) + 1


@every_kind
def test_answers_are_drawn_as_the_policy_has_them(family: str) -> None:
    prompt, num = asked(family, (7, 8, 9, 10)), 3000
    (answers,) = written(family, [prompt], num, max_new_tokens=2, stop_tokens=[])
    firsts = [answer[0] for answer in answers]
    likely = said_by_transformers_everywhere(family, prompt, ())
    assert float(likely.max()) < 0.9
    assert all(within(firsts.count(token), num, float(share)) for token, share in enumerate(likely))
    first = max(set(firsts), key=firsts.count)
    seconds = [answer[1] for answer in answers if answer[0] == first]
    likely = said_by_transformers_everywhere(family, prompt, (first,))
    assert len(seconds) > 50
    assert all(within(seconds.count(token), len(seconds), float(share)) for token, share in enumerate(likely))


def said_by_transformers_everywhere(family: str, prompt: Row, answer: Sequence[int]) -> Tensor:
    """The distribution of the next token."""
    forward, tokens = forward_of(family), torch.tensor([[*prompt.segments[0].tokens, *answer]])
    with torch.no_grad():
        if prompt.source is not None:
            said: Any = forward.trunk(input_ids=torch.tensor([prompt.source.tokens]), decoder_input_ids=tokens)
        else:
            said = forward.trunk(input_ids=tokens)
    found: Tensor = said.logits[0, -1].softmax(0)
    return found


@every_kind
def test_a_seed_gives_the_same_answers_whatever_the_batch_and_another_seed_others(family: str) -> None:
    prompts = [asked(family, tokens) for tokens in ((7, 8, 9, 10, 11), (12, 13), tuple(range(20, 40)))]
    whole = written(family, prompts, 4)
    assert [len(group) for group in whole] == [4, 4, 4]
    assert len({answer for group in whole for answer in group}) > 6  # those to a prompt differ
    for budget in (1, 40, 200):
        assert written(family, prompts, 4, batch_tokens=budget) == whole
    assert written(family, prompts, 4, seed=6) != whole


def test_what_stands_beside_a_prompt_has_a_place_of_its_own() -> None:
    prompts = [asked("llama", (7, 8)), asked("llama", (7, 8))]
    first, second = written("llama", prompts, 3)
    assert first != second  # the same prompt twice is drawn for twice


@every_kind
def test_an_answer_ends_with_the_token_that_ends_it_or_when_it_is_as_long_as_it_may_be(family: str) -> None:
    likely = said_by_transformers_everywhere(family, asked(family, (7, 8)), ())
    stops = likely.topk(20).indices.tolist()
    done = list[int]()
    found = write(
        forward_of(family), [asked(family, (7, 8))], num_answers=60, max_new_tokens=3, stop_tokens=stops, seed=0, batch_tokens=4096, progress=done.append
    )  # fmt: skip
    (group,) = found
    assert done[-1] == 60
    assert {True, False} == set(group.has_ended)
    for answer, has_ended in zip(group.tokens, group.has_ended, strict=True):
        assert not set(answer[:-1]) & set(stops)
        assert has_ended == (answer[-1] in stops)
        assert has_ended or len(answer) == 3
    assert any(len(answer) == 1 and has_ended for answer, has_ended in zip(group.tokens, group.has_ended, strict=True))


ANSWERS = ((20, 21, 22, STOP), (STOP,), (30,), (20, 21, 40, 41, 42, 43), (20, 21, 22, STOP))
"""One that is only its end, one of one token that did not end, two that begin alike, two that are the same."""


@every_kind
def test_answers_in_one_row_are_measured_as_each_alone_by_transformers(family: str) -> None:
    forward = forward_of(family)
    prompts = [asked(family, (5, 6, 7)), asked(family, (8, 9)), asked(family, tuple(range(10, 22)))]
    rows = [answered(prompt, ANSWERS[: 5 - at], forward.facts) for at, prompt in enumerate(prompts)]
    for budget in (1, 4096):
        for prompt, row, found in zip(prompts, rows, measure(forward, rows, micro_batch_tokens=budget, head="value"), strict=True):
            owners = torch.tensor(row.targets.answers)
            assert found.logprobs_N.dtype == torch.float32
            assert found.values_N is not None
            for number in range(len(row.answers)):
                logprobs, values = said_by_transformers(family, prompt, ANSWERS[number])
                torch.testing.assert_close(found.logprobs_N[owners == number].double(), logprobs.double(), atol=2e-6, rtol=2e-6)
                torch.testing.assert_close(found.values_N[owners == number].double(), values.double(), atol=2e-6, rtol=2e-6)
    assert measure(forward, rows, micro_batch_tokens=64)[0].values_N is None
    assert measure(forward, [], micro_batch_tokens=64) == []


def test_a_row_has_its_prompt_once_and_every_token_of_its_answers_is_scored() -> None:
    row = answered(asked("llama", (5, 6, 7)), ANSWERS, forward_of("llama").facts)
    assert row.segments[0] == Segment((5, 6, 7))
    assert row.num_tokens == 3 + sum(len(answer) - 1 for answer in ANSWERS)  # nothing follows an answer's last token
    assert row.targets.labels == tuple(itertools.chain(*ANSWERS))
    assert row.targets.answers == tuple(number for number, answer in enumerate(ANSWERS) for _ in answer)


@pytest.mark.parametrize("length", [57, 58, 59, 60, 75])
def test_a_prompt_that_nearly_fills_the_model_is_answered_and_measured_as_far_as_that_reads(length: int) -> None:
    forward = forward_of("llama")
    most = forward.facts.max_length
    assert most == 60
    prompt = asked("llama", [10 + number % 50 for number in range(length)])
    (answers,) = written("llama", [prompt], 4, stop_tokens=[])
    assert {len(answer) for answer in answers} == {max(1, min(6, most - length))}
    row = answered(prompt, answers, forward.facts)
    kept = prompt.segments[0].tokens[-(most - 1) :]
    assert row.segments[0].tokens == kept
    (found,) = measure(forward, [row], micro_batch_tokens=64)
    expected = torch.cat([said_by_transformers("llama", asked("llama", kept), answer)[0] for answer in answers])
    torch.testing.assert_close(found.logprobs_N.double(), expected, atol=2e-6, rtol=2e-6)


PLAN = StepPlan.of(11, examples_per_step=4, micro_batch_tokens=30, epochs=1, max_steps=11, seed=3, passes=2)
Objective = GRPO | PPO


def ppo() -> PPO:
    return PPO(num_answers=2, target_kl=0.5, minibatches=2, passes=2)


def grpo() -> GRPO:
    return GRPO(num_answers=2)


def makes(objective: Objective, made: list[tuple[int, list[int]]]) -> Callable[[int, Sequence[int]], list[Row]]:
    """Rollouts as if a policy had written them, a little further off its reference each time, so that PPO's pull adapts."""

    def make(number: int, indices: Sequence[int]) -> list[Row]:
        made.append((number, list(indices)))
        draw = np.random.default_rng(number)
        rows = [
            answered(
                asked("llama", (5, 10 + index)), [[*draw.integers(30, 60, draw.integers(0, 4)).tolist(), STOP] for _ in range(2)], FACTS
            )
            for index in indices
        ]
        policy = [torch.from_numpy(draw.standard_normal(len(row.targets.labels))).float() for row in rows]
        reference = [one - 0.1 * number for one in policy]
        rewards, ends = draw.standard_normal((len(rows), 2)).tolist(), [[True, True]] * len(rows)
        return objective.learn_from(Rollout(rows, rewards, policy, reference, [torch.zeros_like(one) for one in policy], {}, ends))

    return make


FACTS = facts_of("llama", make("llama"))


def steps_of(objective: Objective, folder: Path, start: int = 0, made: list[tuple[int, list[int]]] | None = None) -> Iterator[list[Batch]]:
    return rollout_steps(PLAN, objective, FACTS, makes(objective, [] if made is None else made), folder, start_step=start)


def seen(steps: Iterator[list[Batch]]) -> list[Any]:
    """All that a step reads."""
    return [
        [
            (
                batch.stream.tokens_T.tolist(),
                (batch.stream.bounds, batch.stream.parents),
                batch.predict_N.tolist(),
                batch.labels_N.tolist(),
                batch.answers_N.tolist(),
                *({name: value.tolist() for name, value in of.items()} for of in (batch.per_answer, batch.per_target)),
                dict(batch.counts),
                batch.rows,
            )
            for batch in step
        ]
        for step in steps
    ]


def checkpoint(folder: Path, step: int) -> None:
    """As far as it is looked at here."""
    (folder / f"step-{step:06d}").mkdir(parents=True)
    (folder / f"step-{step:06d}" / "state.json").write_text("{}", encoding="utf-8")


def test_a_rollout_is_made_when_its_first_step_is_asked_for_and_each_pass_learns_from_all_of_it(tmp_path: Path) -> None:
    made = list[tuple[int, list[int]]]()
    steps = steps_of(ppo(), tmp_path, made=made)
    rows = list[list[str]]()
    for step, batches in enumerate(steps):
        assert len(made) == step // 4 + 1  # four steps: two passes of two minibatches
        rows.append(sorted(str(row.segments[0].tokens) for batch in batches for row in batch.rows))
    assert [number for number, _ in made] == [0, 1, 2]
    assert len(rows) == PLAN.num_steps == 11  # the last rollout is cut
    for number, indices in made[:2]:
        expected = sorted(str((5, 10 + index)) for index in indices)
        for turn in (0, 1):
            at = 4 * number + 2 * turn
            assert sorted(rows[at] + rows[at + 1]) == expected
    # the prompts come as rows of any training do: all of an epoch before one comes again
    assert sorted(made[0][1] + made[1][1][:3]) == list(range(11))


@pytest.mark.parametrize("objective", [ppo, grpo])
def test_a_run_goes_on_with_the_same_steps_wherever_it_was_interrupted(objective: Callable[[], Objective], tmp_path: Path) -> None:
    whole = seen(steps_of(objective(), tmp_path / "whole"))
    assert len(whole) == 11
    assert whole[0] != whole[4]
    for stop in range(1, 11):
        folder = tmp_path / str(stop)
        begun = seen(itertools.islice(steps_of(objective(), folder), stop))
        checkpoint(folder, stop)
        assert begun + seen(steps_of(objective(), folder, stop)) == whole, stop


@pytest.mark.parametrize("objective", [ppo, grpo])
def test_a_run_that_failed_goes_on_from_a_checkpoint_of_long_before(objective: Callable[[], Objective], tmp_path: Path) -> None:
    whole = seen(steps_of(objective(), tmp_path / "whole"))
    for kept, failed in [(1, 10), (3, 11), (4, 11), (5, 11), (2, 3)]:
        folder = tmp_path / f"{kept}-{failed}"
        for number, _ in enumerate(steps_of(objective(), folder), 1):
            if number == kept:
                checkpoint(folder, kept)
            if number == failed:
                break
        assert seen(steps_of(objective(), folder, kept)) == whole[kept:], (kept, failed)
        assert len(list(folder.glob("rollout-*.json"))) <= 3


def test_the_pull_that_adapts_is_what_it_was(tmp_path: Path) -> None:
    first, second = ppo(), ppo()
    list(itertools.islice(steps_of(first, tmp_path), 8))
    list(steps_of(second, tmp_path, 8))
    whole = ppo()
    list(steps_of(whole, tmp_path / "whole"))
    assert second.state() == whole.state() != {}
    # the distances are 0, then 0.1 a token and more: e = clip(KL / 0.5 - 1, -0.2, 0.2)
    assert whole.state()["beta"] != pytest.approx(0.05)


@pytest.mark.parametrize("start", [4, 5])
@pytest.mark.parametrize("broken", [False, True])
def test_a_rollout_that_is_gone_or_broken_is_told_in_one_line(start: int, broken: bool, tmp_path: Path) -> None:
    list(itertools.islice(steps_of(ppo(), tmp_path), start))
    file = tmp_path / f"rollout-{(start - 1) // 4:06d}.json"
    if broken:
        file.write_text('{"state": {}', encoding="utf-8")
    else:
        file.unlink()
    with pytest.raises(
        RunError, match=rf"{file.name}: the rollout that this run was learning from is missing or broken\. Train anew\.$"
    ) as error:
        next(steps_of(ppo(), tmp_path, start))
    assert "\n" not in str(error.value)


def test_a_kept_rollout_of_an_encoder_decoder_has_its_source(tmp_path: Path) -> None:
    facts = forward_of("t5").facts
    plan = replace(PLAN, num_steps=4)

    def make(number: int, indices: Sequence[int]) -> list[Row]:
        rows = [answered(asked("t5", (20 + index, 21)), [[30, 1], [31, 32, 1]], facts) for index in indices]
        blank = [torch.zeros(len(row.targets.labels)) for row in rows]
        return objective.learn_from(Rollout(rows, [[1.0, 0.0]] * len(rows), blank, blank, blank, {}, [[True, False]] * len(rows)))

    objective = ppo()
    whole = [
        [batch.source.tokens_T.tolist() for batch in step if batch.source] for step in rollout_steps(plan, objective, facts, make, tmp_path)
    ]
    again = [
        [batch.source.tokens_T.tolist() for batch in step if batch.source]
        for step in rollout_steps(plan, ppo(), facts, make, tmp_path, start_step=1)
    ]
    assert again == whole[1:]
    assert all(whole)


def test_the_last_rollout_holds_what_steps_are_left_to_learn_from(tmp_path: Path) -> None:
    objective, made = ppo(), list[tuple[int, list[int]]]()
    per_rollout = objective.minibatches * objective.passes
    plan = replace(PLAN, num_steps=per_rollout + objective.passes)  # room for one minibatch more, in each pass
    steps = list(rollout_steps(plan, objective, FACTS, makes(objective, made), tmp_path))
    assert len(steps) == plan.num_steps
    assert [len(prompts) for _, prompts in made] == [8, 3]  # of eleven rows four a step, the last of which has three
    assert not set(made[0][1]) & set(made[1][1])
    learned = [sorted(row.segments[0].tokens for batch in step for row in batch.rows) for step in steps[per_rollout:]]
    assert learned == [sorted((5, 10 + index) for index in made[1][1])] * objective.passes
