"""Generation says what each prompt alone would, token by token, whichever way it runs."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from families import CAUSAL, PADDED_ONLY, facts_of, make
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from tunesmith.engine import cached
from tunesmith.engine import generate as generating
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.generate import generate, stream
from tunesmith.engine.probe import caches_exactly, probe

PROMPTS = [[7, 8, 9, 10, 11], [12, 13], [20, 21, 22, 23, 24, 25, 26, 27]]
UNEQUAL = [[7 + (3 * i * i + n) % 60 for i in range(length)] for n, length in enumerate((1, 30, 3, 17, 2, 44, 9, 23))]


def _forward(name: str, dtype: torch.dtype = torch.float32) -> PackedForward:
    model = make(name, dtype)
    facts = facts_of(name, model)
    return PackedForward(model, {}, facts, probe(model, facts)).eval()


@torch.no_grad()
def _step_by_step(model: Any, prompt: Sequence[int], num: int, stop_tokens: Sequence[int] = ()) -> list[int]:
    """transformers itself, over the whole sequence anew for each token."""
    tokens = list(prompt)
    while len(tokens) - len(prompt) < num:
        token = int(model(torch.tensor([tokens])).logits[0, -1].argmax())
        if token in stop_tokens:
            break
        tokens.append(token)
    return tokens[len(prompt) :]


class _Words:
    """A tokenizer of one word a token."""

    def decode(self, tokens: Sequence[int], **_options: Any) -> str:
        return "".join(f"{token} " for token in tokens)


class _Bytes:
    """A tokenizer of which two tokens make one character."""

    def decode(self, tokens: Sequence[int], **_options: Any) -> str:
        return "é" * (len(tokens) // 2) + "\N{REPLACEMENT CHARACTER}" * (len(tokens) % 2)


@pytest.mark.parametrize("name", ["llama", "mistral", "gpt2", "gemma2", "bloom", "t5", "lstm", "attending"])
def test_a_batch_says_what_each_prompt_alone_says(name: str) -> None:
    forward = _forward(name)
    together = generate(forward, PROMPTS, max_new_tokens=6, stop_tokens=[])
    alone = [generate(forward, [p], max_new_tokens=6, stop_tokens=[])[0] for p in PROMPTS]
    assert together == alone
    assert all(len(answer) == 6 for answer in together)


@pytest.mark.parametrize("name", sorted(set(CAUSAL) - PADDED_ONLY))
def test_every_family_that_packs_is_cached_and_says_the_argmax_step_by_step(name: str) -> None:
    # torch's grouped product of gpt_oss's experts knows no float64
    forward = _forward(name, torch.float32 if name == "gpt_oss" else torch.float64)
    assert caches_exactly(forward)
    found = generate(forward, UNEQUAL, max_new_tokens=9, stop_tokens=[], batch_tokens=90)  # slots of 53 tokens, later more and smaller ones
    assert found == [_step_by_step(forward.trunk, prompt, 9) for prompt in UNEQUAL]


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3", "gpt2", "opt"])
def test_what_prompts_begin_with_in_common_is_read_once(name: str) -> None:
    forward = _forward(name, torch.float64)
    assert caches_exactly(forward)
    common = UNEQUAL[5][:12]
    prompts = [[*common, *prompt] for prompt in (PROMPTS[0], PROMPTS[1], PROMPTS[1])] + [common]  # one twice, one that ends there
    fed = list[int]()
    forward.trunk.get_input_embeddings().register_forward_hook(lambda module, inputs, output: fed.append(inputs[0].shape[1]))
    found = generate(forward, prompts, max_new_tokens=9, stop_tokens=[])
    assert fed[0] == 11 + (1 + 5) + (1 + 2) + (1 + 2) + 1
    assert found == [_step_by_step(forward.trunk, prompt, 9) for prompt in prompts]


def test_what_some_prompts_begin_with_is_read_once_too() -> None:
    forward = _forward("llama", torch.float64)
    assert caches_exactly(forward)
    first, second = UNEQUAL[5][:10], UNEQUAL[1][:12]
    prompts = [[*first, 7], [*second, 8], [*first, 9, 9], [*second, 10]]
    fed = list[int]()
    forward.trunk.get_input_embeddings().register_forward_hook(lambda module, inputs, output: fed.append(inputs[0].shape[1]))
    found = generate(forward, prompts, max_new_tokens=9, stop_tokens=[])
    assert fed[0] == (10 + 1 + 2) + (12 + 1 + 1)
    assert found == [_step_by_step(forward.trunk, prompt, 9) for prompt in prompts]


@pytest.mark.parametrize("name", ["llama", "bloom", "t5"])
def test_an_answer_ends_where_it_is_said_to_and_keeps_its_end(name: str) -> None:
    forward = _forward(name)
    free = generate(forward, UNEQUAL, max_new_tokens=12, stop_tokens=[])

    def ends(tokens: Sequence[int]) -> bool:
        return sum(tokens) % 5 == 0

    expected = [answer[: next((place for place in range(1, 13) if ends(answer[:place])), 12)] for answer in free]
    assert len({len(answer) for answer in expected}) > 1
    assert generate(forward, UNEQUAL, max_new_tokens=12, stop_tokens=[], ends=ends, batch_tokens=130) == expected


def test_adapters_answer_unmerged() -> None:
    forward = _forward("qwen2", torch.float64)
    plain = generate(forward, UNEQUAL, max_new_tokens=9, stop_tokens=[])
    torch.manual_seed(0)
    inject_adapter_in_model(LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"), forward.trunk)
    for path, parameter in forward.trunk.named_parameters():
        if "lora_" in path:
            parameter.data = torch.randn_like(parameter, dtype=torch.float64) * 0.3
    expected = [_step_by_step(forward.trunk, prompt, 9) for prompt in UNEQUAL]
    assert forward.use_fused_layers() > 0
    assert generate(forward, UNEQUAL, max_new_tokens=9, stop_tokens=[], batch_tokens=90) == expected != plain


@pytest.mark.parametrize("batch_tokens", [1, 60, 130, 4096])
def test_answers_do_not_depend_on_how_many_run_together(batch_tokens: int) -> None:
    forward = _forward("mistral", torch.float64)
    free = [_step_by_step(forward.trunk, prompt, 12) for prompt in UNEQUAL]
    stops = [free[1][0], free[3][2], free[5][4]]  # answers end at different times; one at its first token
    expected = [_step_by_step(forward.trunk, prompt, 12, stops) for prompt in UNEQUAL]
    assert expected[1] == []
    assert len({len(answer) for answer in expected}) > 2
    assert generate(forward, UNEQUAL, max_new_tokens=12, stop_tokens=stops, batch_tokens=batch_tokens) == expected


def test_a_slot_that_is_free_goes_to_a_prompt_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = _forward("llama", torch.float64)
    free = [_step_by_step(forward.trunk, prompt, 12) for prompt in UNEQUAL]
    assert caches_exactly(forward)
    rows = list[int]()
    step = cached.Cache.step

    def counted(self: cached.Cache, tokens: Sequence[int]) -> Tensor:
        rows.append(len(tokens))
        return step(self, tokens)

    monkeypatch.setattr(cached.Cache, "step", counted)
    stops = [free[5][3]]
    found = generate(forward, UNEQUAL, max_new_tokens=12, stop_tokens=stops, batch_tokens=2 * (44 + 12))
    assert found == [_step_by_step(forward.trunk, prompt, 12, stops) for prompt in UNEQUAL]
    assert sum(rows) == sum(len(answer) + (len(answer) < 12) - 1 for answer in found)  # no step computes an answer that has ended
    assert rows[0] == 2
    assert max(rows) > 2  # more slots once the longest have gone


def test_short_prompts_that_begin_like_a_long_one_leave_room_for_the_longer_ones_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generating, "_BEGINNING_TOKENS", 4)
    forward = _forward("llama", torch.float64)
    like_the_first = [[*UNEQUAL[5][:4], *(9 + i for i in range(length))] for length in (40, 2, 3, 2, 3, 2)]
    others = [[*UNEQUAL[1][:4], *(30 + i for i in range(length))] for length in (26, 25)]
    prompts = [*like_the_first, *others]
    found = generate(forward, prompts, max_new_tokens=4, stop_tokens=[], batch_tokens=48)
    assert found == [_step_by_step(forward.trunk, prompt, 4) for prompt in prompts]


def test_a_wrong_cache_is_found_and_left_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: with the model's mask ignored, Mistral's window is lost, and transformers generates."""
    own = cached._own_mask
    monkeypatch.setattr(cached, "_own_mask", lambda cache, window, dtype: own(cache, None, dtype))
    attention = cached._cached_attention

    def unmasked(module: nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, **others: Any) -> Any:
        return attention(module, q, k, v, None, **others)

    monkeypatch.setitem(cached.AttentionInterface._global_mapping, cached._CACHED, unmasked)
    assert caches_exactly(_forward("llama"))
    forward = _forward("mistral")
    assert not caches_exactly(forward)
    assert generate(forward, PROMPTS, max_new_tokens=6, stop_tokens=[]) == [_step_by_step(forward.trunk, p, 6) for p in PROMPTS]


@pytest.mark.parametrize("name", ["llama", "bloom"])
def test_it_stops_before_the_stop_token(name: str) -> None:
    forward = _forward(name)
    free = generate(forward, PROMPTS, max_new_tokens=8, stop_tokens=[])
    stop = free[0][3]
    stopped = generate(forward, PROMPTS, max_new_tokens=8, stop_tokens=[stop])
    assert stopped == [row[: row.index(stop)] if stop in row else row for row in free]


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_progress_counts_prompts_up_to_all(name: str) -> None:
    told = list[int]()
    generate(_forward(name), PROMPTS, max_new_tokens=4, stop_tokens=[], progress=told.append)
    assert told == [1, 2, 3]


def test_no_prompts_no_answers() -> None:
    assert generate(_forward("llama"), [], max_new_tokens=4, stop_tokens=[]) == []


def test_a_prompt_longer_than_the_model_loses_its_oldest_tokens() -> None:
    forward = _forward("llama")
    assert caches_exactly(forward)
    long = [7 + i % 60 for i in range(100)]
    fed = list[int]()
    forward.trunk.get_input_embeddings().register_forward_hook(lambda module, inputs, output: fed.append(inputs[0].shape[1]))
    (answer,) = generate(forward, [long], max_new_tokens=4, stop_tokens=[])
    assert fed == [59]  # of 60: one is left for the answer
    assert answer == _step_by_step(forward.trunk, long[-59:], 1)


@pytest.mark.parametrize("name", ["llama", "bloom"])
def test_a_prompt_that_fits_is_never_cut_for_a_long_answer(name: str) -> None:
    forward = _forward(name)
    prompt = [7 + i % 60 for i in range(40)]
    answers = generate(forward, [prompt, prompt[:5]], max_new_tokens=64, stop_tokens=[])
    assert [len(answer) for answer in answers] == [20, 55]
    assert answers[0] == _step_by_step(forward.trunk, prompt, 20)


@pytest.mark.parametrize("name", ["llama", "bloom"])
def test_what_a_checkpoint_asks_for_is_left_out_and_comes_back_afterwards(name: str) -> None:
    forward = _forward(name)
    model: Any = forward.trunk
    plain = generate(forward, PROMPTS, max_new_tokens=6, stop_tokens=[])
    model.generation_config.no_repeat_ngram_size = 1
    model.generation_config.suppress_tokens = sorted({token for row in plain for token in row})
    model.generation_config.do_sample = True
    model.train()
    assert generate(forward, PROMPTS, max_new_tokens=6, stop_tokens=[]) == plain
    assert model.generation_config.no_repeat_ngram_size == 1
    assert model.training
    assert model.config._attn_implementation != cached._CACHED
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("name", ["llama", "bloom", "t5"])
def test_a_stream_is_what_generate_says_and_tells_where_it_was_cut(name: str) -> None:
    forward = _forward(name)
    (answer,) = generate(forward, PROMPTS[:1], max_new_tokens=6, stop_tokens=[])
    pieces = stream(forward, PROMPTS[0], tokenizer=_Words(), max_new_tokens=6, stop_tokens=[])
    found = list[str]()
    with pytest.raises(StopIteration) as cut:
        while True:
            found.append(next(pieces))
    assert "".join(found) == _Words().decode(answer)
    assert len([piece for piece in found if piece]) > 1
    assert cut.value.value == 6
    ended = stream(forward, PROMPTS[0], tokenizer=_Words(), max_new_tokens=6, stop_tokens=answer[-1:])
    with pytest.raises(StopIteration) as end:
        while True:
            next(ended)
    assert end.value.value is None


def test_a_character_of_two_tokens_is_not_broken() -> None:
    pieces = list(stream(_forward("llama"), PROMPTS[0], tokenizer=_Bytes(), max_new_tokens=6, stop_tokens=[]))
    assert "".join(pieces) == "ééé"


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_a_stream_that_nobody_reads_on_ends_and_leaves_the_model_as_it_was(name: str) -> None:
    forward = _forward(name)
    forward.trunk.train()
    threads = threading.active_count()
    pieces = stream(forward, PROMPTS[0], tokenizer=_Words(), max_new_tokens=40, stop_tokens=[])
    next(pieces)
    assert torch.is_grad_enabled()
    pieces.close()
    assert threading.active_count() == threads
    assert forward.trunk.training


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_a_stream_tells_what_the_model_raises(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = _forward(name)
    caches_exactly(forward)
    monkeypatch.setattr(forward.trunk.get_output_embeddings(), "forward", lambda hidden: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(stream(forward, PROMPTS[0], tokenizer=_Words(), max_new_tokens=4, stop_tokens=[]))
