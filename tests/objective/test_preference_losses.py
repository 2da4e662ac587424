"""Losses of judged answers, worked by hand."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tunesmith.core.errors import RecipeError
from tunesmith.core.types import Objective
from tunesmith.objective.dpo import DPO, preference_loss
from tunesmith.objective.kto import KTO, prospect_loss
from tunesmith.objective.orpo import ORPO, log_odds
from tunesmith.objective.reward import order_loss


def logsigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


@pytest.mark.parametrize(
    ("form", "smoothing", "expected"),
    [
        ("sigmoid", 0.0, -logsigmoid(0.2) - logsigmoid(-0.1)),
        ("sigmoid", 0.1, -0.9 * (logsigmoid(0.2) + logsigmoid(-0.1)) - 0.1 * (logsigmoid(-0.2) + logsigmoid(0.1))),
        ("robust", 0.1, (-0.9 * (logsigmoid(0.2) + logsigmoid(-0.1)) + 0.1 * (logsigmoid(-0.2) + logsigmoid(0.1))) / 0.8),
        ("ipo", 0.0, (2.0 - 5.0) ** 2 + (-1.0 - 5.0) ** 2),
        ("hinge", 0.0, (1 - 0.2) + (1 + 0.1)),
    ],
)
def test_the_loss_of_pairs_is_the_papers_equation_worked_by_hand(form: Any, smoothing: float, expected: float) -> None:
    margins = torch.tensor([2.0, -1.0], dtype=torch.float64)
    assert float(preference_loss(margins, 0.1, form, smoothing)) == pytest.approx(expected, rel=1e-12)


def test_the_gradient_of_a_pair_is_beta_times_how_wrong_it_is() -> None:
    margins = torch.tensor([2.0, -1.0], dtype=torch.float64, requires_grad=True)
    preference_loss(margins, 0.1).backward()  # eq. 7 derived: - beta * sigmoid(- beta * margin)
    assert margins.grad is not None
    assert margins.grad.tolist() == pytest.approx([-0.1 / (1 + math.exp(0.2)), -0.1 / (1 + math.exp(-0.1))], rel=1e-12)


def test_single_answers_lose_what_their_side_of_the_reference_says() -> None:
    ratios, liked = torch.tensor([3.0, 1.0], dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64)
    expected = 1.5 * (1 - 1 / (1 + math.exp(-0.1 * (3.0 - 2.0)))) + 0.5 * (1 - 1 / (1 + math.exp(-0.1 * (2.0 - 1.0))))
    assert float(prospect_loss(ratios, liked, 2.0, 0.1, 1.5, 0.5)) == pytest.approx(expected, rel=1e-12)


def test_the_odds_of_a_mean_likelihood() -> None:
    found = log_odds(torch.tensor([math.log(0.25), math.log(0.9)], dtype=torch.float64))
    assert found.tolist() == pytest.approx([math.log(0.25 / 0.75), math.log(0.9 / 0.1)], rel=1e-12)


def test_a_certain_answer_has_odds_and_a_gradient() -> None:
    mean = torch.tensor([0.0, -0.5], requires_grad=True)
    (log_odds(mean[:1]) - log_odds(mean[1:])).sum().backward()
    assert mean.grad is not None
    assert bool(torch.isfinite(mean.grad).all())


def test_orders_are_plackett_and_luces_and_of_two_bradley_and_terrys() -> None:
    rewards = torch.tensor([0.5, 2.0, -1.0, 0.3, 0.1], dtype=torch.float64)
    ranks, rows = torch.tensor([1.0, 2.0, 7.0, 1.0, 2.0]), torch.tensor([0, 0, 0, 1, 1])  # ranks may have gaps
    of_three = -(0.5 - math.log(sum(map(math.exp, (0.5, 2.0, -1.0))))) - (2.0 - math.log(math.exp(2.0) + math.exp(-1.0)))
    none = torch.zeros(5)
    assert float(order_loss(rewards, ranks, rows, none)) == pytest.approx(of_three - logsigmoid(0.2), rel=1e-12)
    margin = torch.tensor([0.0, 0.0, 0.0, 0.7, 0.7])
    assert float(order_loss(rewards, ranks, rows, margin)) == pytest.approx(of_three - logsigmoid(0.2 - 0.7), rel=1e-6)


def test_answers_of_one_rank_are_best_where_they_are_equal() -> None:
    ranks, rows, none = torch.tensor([1.0, 1.0]), torch.tensor([0, 0]), torch.zeros(2)
    equal, apart = (float(order_loss(torch.tensor(r), ranks, rows, none)) for r in ([1.0, 1.0], [2.0, 0.0]))
    assert equal == pytest.approx(2 * math.log(2))
    assert apart > equal


@pytest.mark.parametrize(
    ("make_it", "said"),
    [
        (lambda: DPO(beta=0.0), "objective.beta: 0: expected a number above 0"),
        (lambda: DPO(label_smoothing=0.5), "objective.label_smoothing: 0.5: expected a number from 0 to below 0.5"),
        (lambda: DPO(loss_type="ipo", label_smoothing=0.1), "objective.label_smoothing: ipo has none"),
        (lambda: ORPO(weight=-1.0), "objective.weight: -1: expected a number from 0"),
        (lambda: KTO(desirable_weight=0.0), "objective.desirable_weight: 0: expected a number above 0"),
    ],
)
def test_options_out_of_range_are_refused(make_it: Callable[[], Objective], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        make_it()
