"""Greedy generation in batches, through transformers' own `generate`."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from threading import Thread
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig, TextIteratorStreamer

from tunesmith.core.types import ModelFacts

__all__ = ["generate", "longest_prompt", "stream"]


def generate(
    trunk: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    facts: ModelFacts,
    max_new_tokens: int,
    stop_tokens: Sequence[int],
    batch_tokens: int = 4096,
    progress: Callable[[int], None] | None = None,
) -> list[list[int]]:
    """The most likely continuation of each prompt, token by token, without its stop token.

    Args:
        trunk: a causal language model or an encoder-decoder, adapters unmerged.
        prompts: token ids; one longer than `longest_prompt` loses its oldest tokens. An answer ends where the model's length does.
        batch_tokens: prompt tokens run together; prompts of similar length share a batch.
        progress: called with the number of prompts done.
    """
    kept = [prompt[-longest_prompt(facts) :] for prompt in prompts]
    order = sorted(range(len(kept)), key=lambda i: len(kept[i]), reverse=True)
    answers: list[list[int]] = [[] for _ in kept]
    num_done = 0
    while order:
        width = len(kept[order[0]])
        room = _room(facts, width, max_new_tokens)
        # An answer's room depends on its own prompt alone: where the model's length is near, only equal lengths share a batch.
        alike = [i for i in order if _room(facts, len(kept[i]), max_new_tokens) == room]
        chosen = alike[: max(1, batch_tokens // (width + room))]
        order = [i for i in order if i not in set(chosen)]
        for index, tokens in zip(chosen, _generate_batch(trunk, [kept[i] for i in chosen], facts, room, stop_tokens), strict=True):
            answers[index] = tokens
        num_done += len(chosen)
        if progress is not None:
            progress(num_done)
    return answers


def longest_prompt(facts: ModelFacts) -> int:
    """The most tokens of a prompt: as many as the model takes, with room for one more where the answer follows it."""
    return facts.max_length if facts.is_encoder_decoder else max(1, facts.max_length - 1)


def _room(facts: ModelFacts, num_prompt_tokens: int, max_new_tokens: int) -> int:
    return max_new_tokens if facts.is_encoder_decoder else max(1, min(max_new_tokens, facts.max_length - num_prompt_tokens))


@contextlib.contextmanager
def _greedy(trunk: Any, facts: ModelFacts, max_new_tokens: int, stop_tokens: Sequence[int]) -> Iterator[None]:
    """Greedy whatever the checkpoint's own generation_config asks for, without gradients or dropout: the same answer every time."""
    own, modes = trunk.generation_config, [(module, module.training) for module in trunk.modules()]
    options: dict[str, Any] = {"eos_token_id": list(stop_tokens)} if stop_tokens else {}
    if facts.is_encoder_decoder:
        options["decoder_start_token_id"] = facts.decoder_start_token_id
    trunk.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=max_new_tokens, do_sample=False, num_beams=1, pad_token_id=facts.pad_token_id, **options
    )
    trunk.eval()
    try:
        with torch.no_grad():  # not inference_mode: what the model caches here (rotary tables) must still serve in training
            yield
    finally:
        trunk.generation_config = own
        for module, training in modes:
            module.training = training


def _generate_batch(
    trunk: nn.Module, prompts: Sequence[Sequence[int]], facts: ModelFacts, max_new_tokens: int, stop_tokens: Sequence[int]
) -> list[list[int]]:
    width = max(len(p) for p in prompts)
    tokens = torch.full((len(prompts), width), facts.pad_token_id)
    mask = torch.zeros_like(tokens)
    for row, prompt in enumerate(prompts):  # a decoder goes on from the right end, an encoder starts at the left one
        place = slice(0, len(prompt)) if facts.is_encoder_decoder else slice(width - len(prompt), width)
        tokens[row, place] = torch.tensor(list(prompt))
        mask[row, place] = 1
    device = next(trunk.parameters()).device
    with _greedy(trunk, facts, max_new_tokens, stop_tokens):
        output = trunk.generate(tokens.to(device), attention_mask=mask.to(device))  # type: ignore[operator]
    new = output[:, 1 if facts.is_encoder_decoder else width :].tolist()
    return [_until(row, stop_tokens) for row in new]


def _until(tokens: list[int], stop_tokens: Sequence[int]) -> list[int]:
    for place, token in enumerate(tokens):
        if token in stop_tokens:
            return tokens[:place]
    return tokens


def stream(
    trunk: nn.Module, prompt: Sequence[int], *, tokenizer: Any, facts: ModelFacts, max_new_tokens: int, stop_tokens: Sequence[int]
) -> Iterator[str]:
    """The continuation of one prompt, piece by piece, as text. Raises: whatever the model raises."""
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=not facts.is_encoder_decoder, skip_special_tokens=True)
    kept = prompt[-longest_prompt(facts) :]
    tokens = torch.tensor([list(kept)], device=next(trunk.parameters()).device)
    failures = list[BaseException]()

    def run() -> None:
        try:
            with _greedy(trunk, facts, _room(facts, len(kept), max_new_tokens), stop_tokens):
                trunk.generate(tokens, attention_mask=torch.ones_like(tokens), streamer=streamer)  # type: ignore[operator]
        except BaseException as error:  # the one who reads the pieces is told, in its own thread
            failures.append(error)
        finally:
            streamer.end()  # type: ignore[no-untyped-call]

    thread = Thread(target=run, daemon=True)
    thread.start()
    yield from streamer
    thread.join()
    if failures:
        raise failures[0]
