"""Log-probabilities and entropies through the head against plain log_softmax and its autograd."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tunesmith.engine.kernels import linear_cross_entropy, linear_log_probability
from tunesmith.engine.kernels.linear_log_probability import linear_log_probability as of_labels

N, H, V = 7, 5, 11
HEADS = {
    "frozen": (False, False),
    "trained": (True, True),
    "bias only": (False, True),
    "frozen, no bias": (False, None),
    "trained, no bias": (True, None),
}


@pytest.fixture(autouse=True)
def _three_positions_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(linear_cross_entropy._CHUNK_BYTES, "cpu", 4 * V * 3)


def _inputs(weight_trains: bool, bias_trains: bool | None, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """Hidden states, weight, bias and labels; no bias where it is None whether it trains."""
    draw = torch.Generator().manual_seed(0)
    hidden, weight, bias = (scale * torch.randn(shape, generator=draw, dtype=torch.float64) for shape in ((N, H), (V, H), (V,)))
    labels = torch.randint(0, V, (N,), generator=draw)
    given = bias.requires_grad_(bias_trains) if bias_trains is not None else None
    return hidden.requires_grad_(), weight.requires_grad_(weight_trains), given, labels


def _plain(hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor) -> tuple[Tensor, Tensor]:
    logprobs = F.log_softmax(F.linear(hidden, weight, bias), 1)
    return logprobs.gather(1, labels[:, None])[:, 0], -(logprobs.exp() * logprobs).sum(1)


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Positions whose logits were made, a number a product."""
    made: list[int] = []
    plain = linear_log_probability.head_logits

    def counting(hidden: Tensor, *others: Any) -> Tensor:
        made.append(len(hidden))
        return plain(hidden, *others)

    monkeypatch.setattr(linear_log_probability, "head_logits", counting)
    return made


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("with_entropy", [False, True])
def test_the_gradient_is_that_of_finite_differences(head: str, with_entropy: bool) -> None:
    hidden, weight, bias, labels = _inputs(*HEADS[head])

    def read(*leaves: Tensor | None) -> tuple[Tensor, ...]:
        return of_labels(*leaves, labels, with_entropy=with_entropy)[: 1 + with_entropy]  # type: ignore[arg-type]

    assert torch.autograd.gradcheck(read, (hidden, weight, bias))


@pytest.mark.parametrize("used", ["log-probabilities", "entropies", "both"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("scale", [1.0, 200.0])
def test_values_and_gradients_are_those_of_log_softmax(head: str, used: str, scale: float) -> None:
    hidden, weight, bias, labels = _inputs(*HEADS[head], scale)
    leaves = [x for x in (hidden, weight, bias) if x is not None and x.requires_grad]
    ours, plain = of_labels(hidden, weight, bias, labels, with_entropy=True), _plain(hidden, weight, bias, labels)
    upstream = torch.randn((2, N), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    chosen = [0, 1] if used == "both" else [["log-probabilities", "entropies"].index(used)]
    losses = [sum(((found[at] * upstream[at]).sum() for at in chosen), torch.zeros(())) for found in (ours, plain)]
    for found, expected in zip(ours, plain, strict=True):
        torch.testing.assert_close(found, expected)
    for found, expected in zip(*(torch.autograd.grad(loss, leaves) for loss in losses), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("head", "times"), [("frozen", 1), ("trained", 2), ("bias only", 2)])
def test_logits_are_made_twice_only_where_the_head_trains(head: str, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made, (*given, labels) = _counted(monkeypatch), _inputs(*HEADS[head])
    logprobs, entropies = of_labels(*given, labels, with_entropy=True)  # type: ignore[arg-type]
    assert entropies.requires_grad
    (logprobs.sum() + entropies.detach().sum()).backward()
    assert made == [3, 3, 1] * times


def test_a_gradient_of_entropies_makes_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made, (*given, labels) = _counted(monkeypatch), _inputs(False, None)
    logprobs, entropies = of_labels(*given, labels, with_entropy=True)  # type: ignore[arg-type]
    (logprobs.sum() + 0.01 * entropies.sum()).backward()
    assert made == [3, 3, 1] * 2


@pytest.mark.parametrize("head", HEADS)
def test_nothing_as_wide_as_the_vocabulary_is_kept_but_the_head(head: str) -> None:
    hidden, weight, bias, labels = _inputs(*HEADS[head])
    kept = list[Tensor]()

    def keep(x: Tensor) -> Tensor:
        kept.append(x)
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        of_labels(hidden, weight, bias, labels)
    own = {x.data_ptr() for x in (weight, bias) if x is not None}
    assert any(x.shape == (N, H) for x in kept)
    assert not [x.shape for x in kept if x.data_ptr() not in own and V in x.shape]


def test_without_gradients_a_head_that_trains_costs_no_more() -> None:
    hidden, weight, bias, labels = _inputs(True, True)
    with torch.no_grad():
        logprobs, entropies = of_labels(hidden, weight, bias, labels)
    assert not logprobs.requires_grad
    torch.testing.assert_close(logprobs, _plain(hidden, weight, bias, labels)[0].detach())
    assert not entropies.any()


def test_no_positions_have_no_log_probabilities_and_gradients_of_zeros() -> None:
    hidden, weight, bias, labels = _inputs(True, True)
    found = of_labels(hidden[:0], weight, bias, labels[:0], with_entropy=True)
    assert [x.shape for x in found] == [(0,), (0,)]
    assert bias is not None
    (found[0].sum() + found[1].sum()).backward()
    assert not any(x.grad.any() for x in (hidden, weight, bias) if x.grad is not None)


@pytest.mark.parametrize("head_dtype", [torch.bfloat16, torch.float32])
def test_in_bfloat16_logits_are_summed_in_float32(head_dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(linear_cross_entropy._CHUNK_BYTES, "cpu", 4 * 500 * 64)
    draw = torch.Generator().manual_seed(0)
    hidden, weight, bias = (torch.randn(shape, generator=draw).bfloat16() for shape in ((300, 32), (500, 32), (500,)))
    labels, upstream = torch.randint(0, 500, (300,), generator=draw), torch.randn((2, 300), generator=draw)
    given = [hidden.requires_grad_(), *(x.to(head_dtype).requires_grad_() for x in (weight, bias))]
    exact = [x.detach().double().requires_grad_() for x in given]
    ours, plain = of_labels(*given, labels, with_entropy=True), _plain(*exact, labels)  # type: ignore[arg-type]
    for one, expected in zip(ours, plain, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double(), expected, atol=1e-4, rtol=1e-5)  # logits rounded to bfloat16 would be 1e-1 off
    found, reference = (
        torch.autograd.grad([*one], given_or_exact, [*upstream.to(one[0].dtype)]) for one, given_or_exact in ((ours, given), (plain, exact))
    )
    for got, wanted, leaf in zip(found, reference, given, strict=True):
        assert got.dtype == leaf.dtype
        assert float((got.double() - wanted).norm() / wanted.norm()) < 5e-3
