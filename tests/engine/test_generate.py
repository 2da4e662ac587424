"""Generation in padded batches says what each prompt alone would."""

import pytest
import torch
from families import facts_of, make

from tunesmith.engine.generate import generate

PROMPTS = [[7, 8, 9, 10, 11], [12, 13], [20, 21, 22, 23, 24, 25, 26, 27]]


@pytest.mark.parametrize("name", ["llama", "mistral", "gpt2", "gemma2", "t5"])
def test_a_batch_says_what_each_prompt_alone_says(name: str) -> None:
    model = make(name)
    facts = facts_of(name, model)
    together = generate(model, PROMPTS, facts=facts, max_new_tokens=6, stop_tokens=[])
    alone = [generate(model, [p], facts=facts, max_new_tokens=6, stop_tokens=[])[0] for p in PROMPTS]
    assert together == alone
    assert all(len(answer) == 6 for answer in together)


def test_greedy_generation_is_the_argmax_step_by_step() -> None:
    model = make("llama")
    tokens = list(PROMPTS[0])
    for _ in range(5):
        with torch.no_grad():
            tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
    assert generate(model, PROMPTS[:1], facts=facts_of("llama", model), max_new_tokens=5, stop_tokens=[]) == [tokens[5:]]


def test_it_stops_before_the_stop_token() -> None:
    model = make("llama")
    facts = facts_of("llama", model)
    free = generate(model, PROMPTS, facts=facts, max_new_tokens=8, stop_tokens=[])
    stop = free[0][3]
    stopped = generate(model, PROMPTS, facts=facts, max_new_tokens=8, stop_tokens=[stop])
    assert stopped == [row[: row.index(stop)] if stop in row else row for row in free]


def test_a_prompt_longer_than_the_model_loses_its_oldest_tokens() -> None:
    model = make("llama")
    facts = facts_of("llama", model)
    long = [7 + i % 60 for i in range(100)]
    fed = list[int]()
    model.get_input_embeddings().register_forward_hook(lambda module, inputs, output: fed.append(inputs[0].shape[1]))
    (answer,) = generate(model, [long], facts=facts, max_new_tokens=4, stop_tokens=[])
    assert fed == [59]  # of 60: one is left for the answer
    assert len(answer) == 1
    with torch.no_grad():
        assert answer == [int(model(torch.tensor([long[-59:]])).logits[0, -1].argmax())]


def test_a_prompt_that_fits_is_never_cut_for_a_long_answer() -> None:
    model = make("llama")
    facts = facts_of("llama", model)
    prompt = [7 + i % 60 for i in range(40)]
    fed = list[int]()
    model.get_input_embeddings().register_forward_hook(lambda module, inputs, output: fed.append(inputs[0].shape[1]))
    answers = generate(model, [prompt, prompt[:5]], facts=facts, max_new_tokens=64, stop_tokens=[])
    assert 40 in fed
    assert [len(answer) for answer in answers] == [20, 55]


def test_what_a_checkpoint_asks_for_is_left_out_and_comes_back_afterwards() -> None:
    model = make("llama")
    facts = facts_of("llama", model)
    plain = generate(model, PROMPTS, facts=facts, max_new_tokens=6, stop_tokens=[])
    model.generation_config.no_repeat_ngram_size = 1
    model.generation_config.suppress_tokens = sorted({token for row in plain for token in row})
    model.generation_config.do_sample = True
    model.train()
    assert generate(model, PROMPTS, facts=facts, max_new_tokens=6, stop_tokens=[]) == plain
    assert model.generation_config.no_repeat_ngram_size == 1
    assert model.training
