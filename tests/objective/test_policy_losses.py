"""The losses of policies: each number worked by hand, advantages by their definition, and PPO on problems whose answers are known."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from families import facts_of, make
from torch import Tensor, nn

from tunesmith.core.batch import Batch, collate
from tunesmith.core.errors import RecipeError
from tunesmith.core.rollout import Rollout
from tunesmith.core.types import Origin, Row, Segment
from tunesmith.engine.rollouts import answered
from tunesmith.objective._policy import clipped_loss, kl_of_answers
from tunesmith.objective.best_of_n import BestOfN
from tunesmith.objective.grpo import GRPO, group_advantages, kl_estimate
from tunesmith.objective.ppo import PPO, advantages, value_loss, whitened

HERE = Origin("x", 1)
FACTS = facts_of("llama", make("llama"))


def wide(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_nothing_is_gained_by_going_further_than_the_clip() -> None:
    ratios, gains = wide(1.5, 1.5, 0.5, 0.5, 1.1, 1.0), wide(2.0, -2.0, 2.0, -2.0, 3.0, 5.0)
    found = clipped_loss(ratios.log(), gains, 0.2)
    # -min(r A, clip(r) A): min(3, 1.2 * 2), min(-3, -2.4), min(1, 0.8 * 2), min(-1, -1.6), 1.1 * 3, 5
    torch.testing.assert_close(found, wide(-2.4, 3.0, -1.0, 1.6, -3.3, -5.0))
    # upwards as far as 1.4: min(3, 1.4 * 2); downwards as before
    torch.testing.assert_close(clipped_loss(ratios.log(), gains, 0.2, 0.4)[:4], wide(-2.8, 3.0, -1.0, 1.6))


def test_where_the_clip_holds_there_is_no_gradient_and_else_it_is_the_ratio_times_the_advantage() -> None:
    logs = wide(1.5, 1.5, 0.5, 0.5).log().requires_grad_()
    clipped_loss(logs, wide(2.0, -2.0, 2.0, -2.0), 0.2).sum().backward()
    assert logs.grad is not None
    torch.testing.assert_close(logs.grad, wide(0.0, 3.0, -1.0, 0.0))  # d(-r A) / d log r = -r A


def test_advantages_of_a_group_are_its_rewards_in_standard_deviations() -> None:
    # mean 2; deviations -1, 0, 1 of n - 1 = 2 degrees of freedom: sqrt((1 + 0 + 1) / 2) = 1
    torch.testing.assert_close(group_advantages(wide(1.0, 2.0, 3.0)), wide(-1.0, 0.0, 1.0) / 1.0001)
    torch.testing.assert_close(group_advantages(wide(1.0, 2.0, 3.0), is_scaled=False), wide(-1.0, 0.0, 1.0))
    torch.testing.assert_close(group_advantages(wide(5.0, 5.0)), wide(0.0, 0.0))  # nothing is to be learned


def test_the_estimate_of_the_divergence_is_never_below_nothing_and_its_mean_is_the_divergence() -> None:
    torch.testing.assert_close(kl_estimate(wide(0.0, math.log(2), -math.log(2))), wide(0.0, 1 - math.log(2), math.log(2) - 0.5))
    policy, reference = wide(0.7, 0.2, 0.1), wide(0.2, 0.5, 0.3)
    divergence = 0.7 * math.log(0.7 / 0.2) + 0.2 * math.log(0.2 / 0.5) + 0.1 * math.log(0.1 / 0.3)
    assert float((policy * kl_estimate((reference / policy).log())).sum()) == pytest.approx(divergence, rel=1e-12)


def test_advantages_worked_by_hand() -> None:
    # gamma 1/2, lambda 1/2; deltas: 1 + 2/2 - 1 = 1, 0 + 4/2 - 2 = 0, 8 + 0 - 4 = 4
    # from the end: 4, 0 + 4/4 = 1, 1 + 1/4
    torch.testing.assert_close(advantages(wide(1.0, 0.0, 8.0), wide(1.0, 2.0, 4.0), 0.5, 0.5), wide(1.25, 1.0, 4.0))


@pytest.mark.parametrize(("gamma", "gae_lambda"), [(1.0, 0.95), (0.9, 0.8), (1.0, 0.0), (0.7, 1.0), (0.0, 1.0)])
def test_advantages_are_the_double_sum_of_their_definition(gamma: float, gae_lambda: float) -> None:
    draw = np.random.default_rng(0)
    for length in (1, 2, 9):
        rewards, values = draw.standard_normal(length), draw.standard_normal(length)
        following = [*values[1:], 0.0]  # an episode ends with its last step
        expected = [
            sum((gamma * gae_lambda) ** (k - t) * (rewards[k] + gamma * following[k] - values[k]) for k in range(t, length))
            for t in range(length)
        ]
        found = advantages(torch.from_numpy(rewards), torch.from_numpy(values), gamma, gae_lambda)
        torch.testing.assert_close(found, wide(*expected))


def test_whitened_numbers_have_mean_0_and_deviation_1_over_all_rows() -> None:
    # 1, 2, 3 and 6: mean 3, deviations -2, -1, 0, 3, variance (4 + 1 + 0 + 9) / 4
    found = whitened([torch.tensor([1.0, 2.0]), torch.tensor([3.0, 6.0])])
    torch.testing.assert_close(torch.cat(found), torch.tensor([-2.0, -1.0, 0.0, 3.0]) / math.sqrt(3.5))
    assert [one.tolist() for one in whitened([torch.tensor([2.0]), torch.tensor([2.0, 2.0])])] == [[0.0], [0.0, 0.0]]


def test_a_value_gains_nothing_by_moving_further_than_the_clip() -> None:
    values, old, returns = wide(1.0, 1.0, 0.1, -1.0), wide(0.0, 0.0, 0.0, 0.0), wide(2.0, 0.0, 2.0, -2.0)
    # half of max((v - R)^2, (clipped - R)^2), clipped to 0.2, 0.2, 0.1, -0.2
    expected = wide(1.8**2, 1.0, 1.9**2, 1.8**2) / 2
    torch.testing.assert_close(value_loss(values, old, returns, 0.2), expected)


class Table(nn.Module):
    """What a policy objective reads of a model: logits and a value for each state, which the token before a target names."""

    def __init__(self, first_state: int, choose: Callable[[Tensor, Tensor], Tensor], num_states: int, num_actions: int) -> None:
        """`choose`: from the states and the labels of targets to the actions that they are."""
        super().__init__()
        self._first, self._choose = first_state, choose
        self.logits_SA = nn.Parameter(torch.zeros(num_states, num_actions, dtype=torch.float64))
        self.values_S = nn.Parameter(torch.zeros(num_states, dtype=torch.float64))

    def once(self, batch: Batch) -> AbstractContextManager[None]:
        return nullcontext()

    def logprobs(self, batch: Batch, *, with_entropy: bool = True) -> tuple[Tensor, Tensor]:
        states_N = self.states(batch)
        logprobs_NA = F.log_softmax(self.logits_SA[states_N], dim=1)
        chosen_N = logprobs_NA.gather(1, self._choose(states_N, batch.labels_N)[:, None])[:, 0]
        return chosen_N, -(logprobs_NA.exp() * logprobs_NA).sum(1)

    def head(self, name: str, batch: Batch, at: str = "answer") -> Tensor:
        assert (name, at) == ("value", "target")
        return self.values_S[self.states(batch)][:, None]

    def states(self, batch: Batch) -> Tensor:
        return batch.stream.tokens_T[batch.predict_N] - self._first


def row_of(prompt: Sequence[int], answers: Sequence[Sequence[int]]) -> Row:
    return answered(Row((Segment(tuple(prompt)),), HERE, answers=()), answers, FACTS)


def rolled_out(table: Table, reference: Table, rows: Sequence[Row], rewards: Sequence[Sequence[float]]) -> Rollout:
    def said(of: Table, row: Row) -> Tensor:
        with torch.no_grad():
            return of.logprobs(collate([row], FACTS))[0]

    with torch.no_grad():
        values = [table.head("value", collate([row], FACTS), at="target")[:, 0] for row in rows]
    return Rollout(
        rows, rewards, [said(table, row) for row in rows], [said(reference, row) for row in rows], values, {},
        [[True] * len(one) for one in rewards],
    )  # fmt: skip


def learn(objective: PPO, table: Table, rollout: Rollout, optimizer: torch.optim.Optimizer) -> None:
    """Passes over a rollout, each in one step."""
    batch = collate(objective.learn_from(rollout), FACTS)
    for _ in range(objective.passes):
        loss = objective.loss(table, batch)  # type: ignore[arg-type]
        optimizer.zero_grad()
        (loss.sums["target"] / batch.counts["target"]).backward()
        optimizer.step()


def test_ppo_gives_each_token_its_pull_and_the_last_one_the_reward() -> None:
    """Two answers to one prompt, of two tokens and of one; lambda and gamma 1, and values of 0."""
    row = row_of([5], [[6, 7], [8]])
    rollout = Rollout(
        [row],
        [[1.0, -1.0]],
        [torch.tensor([-1.0, -2.0, -3.0])],
        [torch.tensor([-1.5, -1.0, -3.0])],
        [torch.tensor([0.0, 0.5, 0.25])],
        {},
        [[True, True]],
    )
    (found,) = PPO(beta=0.1, gamma=1.0, gae_lambda=1.0, whitens=False).learn_from(rollout)
    # pulls: -0.1 * (0.5, -1, 0) = -0.05, 0.1, 0; rewards to come: -0.05 + 0.1 + 1 = 1.05 and 1.1; -1
    assert found.targets.values["return"] == pytest.approx((1.05, 1.1, -1.0))
    assert found.targets.values["advantage"] == pytest.approx((1.05, 0.6, -1.25))
    assert kl_of_answers(rollout) == [[pytest.approx(-0.5), 0.0]]
    assert found.values["kl"] == pytest.approx((-0.5, 0.0))
    assert found.values["reward"] == (1.0, -1.0)


def test_the_adaptive_pull_follows_the_distance_by_a_tenth_of_at_most_a_fifth() -> None:
    """Ziegler et al. (2019), section 2.2: e = clip(KL / target - 1, -0.2, 0.2), beta <- beta (1 + 0.1 e)."""
    row = row_of([5], [[6]])

    def at(distance: float) -> Rollout:
        return Rollout([row], [[0.0]], [torch.tensor([distance - 1.0])], [torch.tensor([-1.0])], [torch.zeros(1)], {}, [[True]])

    objective = PPO(beta=0.5, target_kl=2.0)
    objective.learn_from(at(8.0))  # 8 / 2 - 1 = 3, cut to 0.2
    assert objective.state() == {"beta": pytest.approx(0.5 * 1.02)}
    objective.learn_from(at(1.8))  # 1.8 / 2 - 1 = -0.1
    assert objective.state()["beta"] == pytest.approx(0.5 * 1.02 * 0.99)
    other = PPO(beta=0.5, target_kl=2.0)
    other.go_on(objective.state())
    assert other.state() == objective.state()
    assert PPO(beta=0.5).state() == {}


def test_ppos_loss_is_its_parts_added_up() -> None:
    table = Table(5, lambda states, labels: labels - 6, 1, 2)
    with torch.no_grad():
        table.logits_SA[0] = torch.log(wide(0.75, 0.25))
        table.values_S[0] = 1.0
    row = row_of([5], [[6], [7]])
    rollout = Rollout(
        [row], [[2.0, 0.0]], [torch.log(wide(0.5, 0.5))], [torch.log(wide(0.5, 0.5))], [torch.tensor([0.5, 0.5])], {}, [[True, True]]
    )
    objective = PPO(beta=0.1, whitens=False, value_weight=0.5, entropy_weight=0.1)
    found = objective.loss(table, collate(objective.learn_from(rollout), FACTS))  # type: ignore[arg-type]
    # advantages 2 - 0.5 and 0 - 0.5; ratios 1.5 and 0.5, clipped to 1.2 and 0.8: -(1.2 * 1.5) and -min(-0.25, -0.4) = 0.4
    # values 1, old 0.5, clipped to 0.7; returns 2 and 0: max(1, 1.3^2) / 2 and max(1, 0.7^2) / 2
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    expected = (-1.8 + 0.4) + 0.5 * (1.69 + 1.0) / 2 - 0.1 * 2 * entropy
    assert float(found.sums["target"].detach()) == pytest.approx(expected, rel=1e-6)
    assert {name: float(value) for name, value in found.metrics.items()} == pytest.approx(
        {
            "reward": 1.0,
            "ended": 1.0,
            "kl": 0.0,
            "answer_tokens": 1.0,
            "entropy": entropy,
            "value loss": (1.69 + 1.0) / 4,
            "clipped share": 1.0,
        }
    )


def test_the_losses_of_grpo_worked_by_hand() -> None:
    """Two answers, of one and of three tokens, advantages 1 and -1 before they are scaled; no clip, no pull."""
    table = Table(5, lambda states, labels: labels % 2, 4, 2)
    row = row_of([5], [[6], [7, 8, 7]])
    rollout = Rollout([row], [[1.0, -1.0]], [], [], [], {}, [[True, True]])
    expected = {
        "grpo": {"answer": (-1 + 1) * (1 / (math.sqrt(2) + 1e-4))},  # a mean a token in each
        "dr_grpo": {"answer": (-1 + 3) / 8},
        "dapo": {"target": (-1 + 3) / (math.sqrt(2) + 1e-4)},
    }
    for form, sums in expected.items():
        objective = GRPO(num_answers=2, beta=0.0, loss_type=form, max_new_tokens=8)  # type: ignore[arg-type]
        found = objective.loss(table, collate(objective.learn_from(rollout), FACTS))  # type: ignore[arg-type]
        assert {name: float(value.detach()) for name, value in found.sums.items()} == pytest.approx(sums, abs=1e-6), form


@pytest.mark.parametrize("objective", [PPO, GRPO])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("num_answers", 0),
        ("max_new_tokens", 0),
        ("passes", 0),
        ("minibatches", 0),
        ("clip", 0.0),
        ("max_kl", 0.0),
        ("beta", -1.0),
        ("beta", math.nan),
    ],
)
def test_a_number_out_of_its_range_is_named(objective: Any, option: str, value: float) -> None:
    with pytest.raises(RecipeError, match=rf"^objective\.{option}: {value:g}: expected"):
        objective(**{option: value})


@pytest.mark.parametrize(("option", "value"), [("gamma", 1.1), ("gae_lambda", -0.1), ("target_kl", 0.0), ("value_clip", 0.0)])
def test_a_number_of_ppos_out_of_its_range_is_named(option: str, value: float) -> None:
    with pytest.raises(RecipeError, match=rf"^objective\.{option}: {value:g}: expected"):
        PPO(**{option: value})  # type: ignore[arg-type]


def test_grpo_needs_answers_to_hold_against_each_other() -> None:
    with pytest.raises(RecipeError, match=r"num_answers: 1: expected at least 2"):
        GRPO(num_answers=1)


def test_the_distance_of_best_of_n_is_that_of_the_order_statistic() -> None:
    """The best of n draws of a continuous reward has the density n u^(n - 1) over ranks u: its divergence is the integral of f log f."""
    num = 8
    u = (np.arange(200_000) + 0.5) / 200_000
    density = num * u ** (num - 1)
    assert BestOfN(num_tried=num).most_kl == pytest.approx(float((density * np.log(density)).mean()), rel=1e-4)


def test_ppo_finds_the_tilted_distribution_of_a_bandit() -> None:
    """Five arms: pi*(a) is proportional to pi_ref(a) exp(r(a) / beta) (Ziegler et al., 2019, section 2.1)."""
    torch.manual_seed(0)
    arms, rewards, beta = range(5), wide(0.0, 0.3, 0.6, 0.2, 0.5), 0.4
    table, reference = (Table(5, lambda states, labels: labels - 10, 1, len(arms)) for _ in range(2))
    with torch.no_grad():
        start = torch.log(wide(0.3, 0.1, 0.1, 0.3, 0.2))
        table.logits_SA[0], reference.logits_SA[0] = start, start
    expected = F.softmax(start + rewards / beta, dim=0)
    assert float((start.exp() - expected).abs().max()) > 0.1
    objective, optimizer = PPO(beta=beta, whitens=False, clip=0.2, passes=4), torch.optim.Adam(table.parameters(), lr=0.02)
    for _ in range(250):
        drawn = torch.multinomial(F.softmax(table.logits_SA[0].detach(), dim=0), 48, replacement=True).tolist()
        row = row_of([5], [[10 + arm] for arm in drawn])
        learn(objective, table, rolled_out(table, reference, [row], [[float(rewards[arm]) for arm in drawn]]), optimizer)
    found = F.softmax(table.logits_SA[0].detach(), dim=0)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)
    # at the optimum every arm is worth the same: beta log(sum of pi_ref exp(r / beta))
    assert float(table.values_S[0].detach()) == pytest.approx(
        beta * math.log(float((start.exp() * (rewards / beta).exp()).sum())), abs=0.02
    )


def test_ppo_walks_a_chain_to_its_end_and_knows_what_each_state_is_worth() -> None:
    """Twenty states; a token says which state comes next, to the left or to the right; who comes to the last one is rewarded, and that is the end."""
    torch.manual_seed(0)
    draw, last, first, gamma, longest = np.random.default_rng(0), 19, 30, 0.9, 80
    table, reference = (Table(first, lambda states, labels: (labels - first > states).long(), last, 2) for _ in range(2))
    objective = PPO(beta=1e-4, gamma=gamma, gae_lambda=0.95, passes=4, clip=0.2)
    optimizer = torch.optim.Adam([{"params": [table.logits_SA], "lr": 0.1}, {"params": [table.values_S], "lr": 0.05}])
    for _ in range(80):
        goes_right_S = F.softmax(table.logits_SA.detach(), dim=1)[:, 1].numpy()
        rows, rewards = list[Row](), list[list[float]]()
        for start in draw.integers(0, last, 12).tolist():
            state, walk = start, list[int]()
            while state < last and len(walk) < longest:
                state = state + 1 if draw.random() < goes_right_S[state] else max(0, state - 1)
                walk.append(first + state)
            rows.append(row_of([first + start], [walk]))
            rewards.append([float(state == last)])
        learn(objective, table, rolled_out(table, reference, rows, rewards), optimizer)
    policy_SA = F.softmax(table.logits_SA.detach(), dim=1)
    assert policy_SA.argmax(1).tolist() == [1] * last
    # what the policy is worth: V = P (gamma V + reward of the last state), solved
    moves_SS, paid_S = torch.zeros(last, last, dtype=torch.float64), torch.zeros(last, dtype=torch.float64)
    for state in range(last):
        moves_SS[state, max(0, state - 1)] += policy_SA[state, 0]
        if state + 1 < last:
            moves_SS[state, state + 1] += policy_SA[state, 1]
    paid_S[last - 1] = policy_SA[last - 1, 1]
    known_S = torch.linalg.solve(torch.eye(last, dtype=torch.float64) - gamma * moves_SS, paid_S)
    torch.testing.assert_close(table.values_S.detach(), known_S, atol=0.05, rtol=0)
    # and nearly what always going right is worth: gamma^(steps to go - 1)
    best_S = gamma ** (last - 1 - torch.arange(last, dtype=torch.float64))
    torch.testing.assert_close(table.values_S.detach(), best_S, atol=0.1, rtol=0)
