"""Tokens are drawn with the probabilities that temperature and nucleus give them, by each prompt's own numbers."""

import math

import pytest
import torch
from families import facts_of, make
from transformers import RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopPLogitsWarper

from tunesmith.engine.forward import PackedForward
from tunesmith.engine.generate import generate
from tunesmith.engine.probe import probe
from tunesmith.engine.sampling import Sampling, drawn, nucleus, penalized

PROMPTS = [[7, 8, 9, 10, 11], [12, 13], [20, 21, 22, 23, 24, 25, 26, 27], [30] * 17]
LOGITS = torch.tensor([[math.log(x) for x in (0.1, 0.4, 0.2, 0.3)]])


def _forward(name: str) -> PackedForward:
    model = make(name, torch.float32 if name == "bloom" else torch.float64)  # its padded attention has NaNs in float64
    facts = facts_of(name, model)
    return PackedForward(model, {}, facts, probe(model, facts)).eval()


def test_a_nucleus_keeps_the_fewest_tokens_that_reach_top_p_and_their_proportions() -> None:
    assert nucleus(LOGITS, 1.0, 1.0).tolist()[0] == pytest.approx([0.1, 0.4, 0.2, 0.3])
    assert nucleus(LOGITS, 1.0, 0.65).tolist()[0] == pytest.approx([0, 4 / 7, 0, 3 / 7])  # 0.4 + 0.3 reach it
    assert nucleus(LOGITS, 1.0, 0.01).tolist()[0] == [0, 1, 0, 0]


def test_a_temperature_of_a_half_squares_the_proportions() -> None:
    assert nucleus(LOGITS, 0.5, 1.0).tolist()[0] == pytest.approx([1 / 30, 16 / 30, 4 / 30, 9 / 30])


@pytest.mark.parametrize(("temperature", "top_p"), [(0.7, 0.9), (1.3, 0.5), (1.0, 0.99)])
def test_the_probabilities_are_those_of_transformers(temperature: float, top_p: float) -> None:
    logits = torch.randn(5, 40, generator=torch.Generator().manual_seed(0)) * 3
    tokens = torch.zeros(5, 1, dtype=torch.long)
    warped = TopPLogitsWarper(top_p)(tokens, TemperatureLogitsWarper(temperature)(tokens, logits))  # type: ignore[no-untyped-call]
    torch.testing.assert_close(nucleus(logits, temperature, top_p), warped.softmax(1))


def test_a_number_draws_the_token_at_which_the_sum_passes_it() -> None:
    probabilities = torch.tensor([[0.0, 0.5, 0.0, 0.25, 0.25, 0.0]]).expand(5, 6)
    numbers = torch.tensor([0.0, 0.49, 0.5, 0.74, math.nextafter(1, 0)], dtype=torch.float64)
    assert drawn(probabilities, numbers) == [1, 1, 3, 3, 4]


def test_tokens_come_as_often_as_they_are_likely() -> None:
    choose = Sampling(seed=3).chooser(20_000)
    counts = torch.bincount(torch.tensor(choose(LOGITS.expand(20_000, 4), range(20_000))), minlength=4) / 20_000
    assert counts.tolist() == pytest.approx([0.1, 0.4, 0.2, 0.3], abs=0.015)  # four standard errors


@pytest.mark.parametrize("name", ["llama", "bloom", "t5"])
def test_a_prompt_gets_the_same_whatever_runs_beside_it_and_another_seed_gets_others(name: str) -> None:
    forward, sampling = _forward(name), Sampling(temperature=1.5, seed=1)
    options = {"max_new_tokens": 8, "stop_tokens": []}
    together = generate(forward, PROMPTS, sampling=sampling, **options)  # type: ignore[arg-type]
    assert together == generate(forward, PROMPTS, sampling=sampling, batch_tokens=1, **options)  # type: ignore[arg-type]
    assert together != generate(forward, PROMPTS, sampling=Sampling(temperature=1.5, seed=2), **options)  # type: ignore[arg-type]
    assert len(set(map(tuple, generate(forward, [PROMPTS[0]] * 8, sampling=sampling, **options)))) == 8  # type: ignore[arg-type]


def test_the_likeliest_token_alone_is_the_greedy_answer() -> None:
    forward = _forward("llama")
    greedy = generate(forward, PROMPTS, max_new_tokens=8, stop_tokens=[])
    assert generate(forward, PROMPTS, max_new_tokens=8, stop_tokens=[], sampling=Sampling(top_p=1e-6)) == greedy


@pytest.mark.parametrize("options", [{"temperature": -0.1}, {"top_p": 0.0}, {"top_p": 1.1}, {"repetition_penalty": 0.0}])
def test_what_is_no_temperature_and_no_share_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="temperature >= 0"):
        Sampling(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("most", [0, -4])
def test_an_answer_of_no_token_is_refused(most: int) -> None:
    with pytest.raises(ValueError, match=f"expected max_new_tokens >= 1, found {most}"):
        Sampling(max_new_tokens=most)
    assert Sampling(max_new_tokens=1).max_new_tokens == 1


def test_a_penalty_divides_what_is_positive_multiplies_what_is_not_and_is_that_of_transformers() -> None:
    logits = torch.tensor([[3.0, -2.0, 1.0, 0.5], [1.0, 2.0, 3.0, 4.0]])
    found = penalized(logits, [[0, 1], []], 2.0)
    assert found.tolist() == [[1.5, -4.0, 1.0, 0.5], [1.0, 2.0, 3.0, 4.0]]
    theirs = RepetitionPenaltyLogitsProcessor(2.0)(torch.tensor([[0, 1, 0]]), logits[:1])  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found[:1], theirs)


@pytest.mark.parametrize("name", ["llama", "bloom", "t5"])
def test_a_temperature_of_nothing_is_greedy_and_a_penalty_keeps_an_answer_from_its_own_words(name: str) -> None:
    forward = _forward(name)
    options = {"max_new_tokens": 8, "stop_tokens": []}
    greedy = generate(forward, PROMPTS, **options)  # type: ignore[arg-type]
    assert generate(forward, PROMPTS, sampling=Sampling(temperature=0.0), **options) == greedy  # type: ignore[arg-type]
    varied = generate(forward, PROMPTS, sampling=Sampling(temperature=0.0, repetition_penalty=1e6), **options)  # type: ignore[arg-type]
    assert sum(len(set(answer)) for answer in varied) > sum(len(set(answer)) for answer in greedy)
    forward.decoding = Sampling(temperature=0.0, repetition_penalty=1e6)
    assert generate(forward, PROMPTS, **options) == varied  # type: ignore[arg-type]
