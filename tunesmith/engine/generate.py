"""Greedy generation in batches, through transformers' own `generate`."""

from collections.abc import Callable, Iterator, Sequence
from threading import Thread
from typing import Any

import torch
from torch import nn

from tunesmith.core.types import ModelFacts

__all__ = ["generate", "stream"]


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
        prompts: token ids; a prompt too long for the model loses its oldest tokens.
        batch_tokens: prompt tokens run together; prompts of similar length share a batch.
        progress: called with the number of prompts done.
    """
    longest = max(1, facts.max_length - (0 if facts.is_encoder_decoder else max_new_tokens))
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]), reverse=True)
    answers: list[list[int]] = [[] for _ in prompts]
    num_done = 0
    while order:
        width = min(longest, len(prompts[order[0]]))
        size = max(1, batch_tokens // max(1, width + max_new_tokens))
        chosen, order = order[:size], order[size:]
        for index, tokens in zip(
            chosen, _generate_batch(trunk, [prompts[i][-longest:] for i in chosen], facts, max_new_tokens, stop_tokens), strict=True
        ):
            answers[index] = tokens
        num_done += len(chosen)
        if progress is not None:
            progress(num_done)
    return answers


def _options(facts: ModelFacts, max_new_tokens: int, stop_tokens: Sequence[int]) -> dict[str, Any]:
    # Greedy whatever the checkpoint's own generation_config asks for: the same answer every time.
    return {
        "max_new_tokens": max_new_tokens,
        "do_sample": False,
        "num_beams": 1,
        "temperature": None,
        "top_p": None,
        "top_k": None,
        "repetition_penalty": None,
        "eos_token_id": list(stop_tokens) or None,
        "pad_token_id": facts.pad_token_id,
    }


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
    was_training = trunk.training
    trunk.eval()
    with torch.inference_mode():
        output = trunk.generate(tokens.to(device), attention_mask=mask.to(device), **_options(facts, max_new_tokens, stop_tokens))  # type: ignore[operator]
    trunk.train(was_training)
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
    """The continuation of one prompt, piece by piece, as text."""
    from transformers import TextIteratorStreamer

    streamer = TextIteratorStreamer(tokenizer, skip_prompt=not facts.is_encoder_decoder, skip_special_tokens=True)
    longest = max(1, facts.max_length - (0 if facts.is_encoder_decoder else max_new_tokens))
    tokens = torch.tensor([list(prompt[-longest:])], device=next(trunk.parameters()).device)

    def run() -> None:
        try:
            with torch.inference_mode():
                options = _options(facts, max_new_tokens, stop_tokens)
                trunk.generate(tokens, attention_mask=torch.ones_like(tokens), streamer=streamer, **options)  # type: ignore[operator]
        finally:
            streamer.end()  # type: ignore[no-untyped-call]

    trunk.eval()
    thread = Thread(target=run, daemon=True)
    thread.start()
    yield from streamer
    thread.join()
