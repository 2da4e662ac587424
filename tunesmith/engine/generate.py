"""Generation, greedy or drawn: with cached keys and values where that is exact, else through transformers' own `generate`.

A sequence that has ended leaves its slot to one that waits, so that every step has as many as fit.
"""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer
from transformers.generation.streamers import BaseStreamer

from tunesmith.core.evaluating import evaluating
from tunesmith.core.types import ModelFacts
from tunesmith.engine.cached import Cache
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.kernels.lora import unchanging
from tunesmith.engine.probe import caches_exactly
from tunesmith.engine.sampling import Choose, Sampling, Scattered, most_likely
from tunesmith.engine.virtual import cache_of

__all__ = ["Ends", "generate", "longest_prompt", "stream"]

_WORTH_COPYING = 1.25
"""So many times more slots are worth moving answers to a new cache."""
_WORTH_READING = 0.25
"""Such a share of the slots has to be free before more prompts are read: together, what they begin with is read once."""
_READ_TOKENS = 8192
"""Tokens of prompts that are read at a time, unless one has more."""
_BEGINNING_TOKENS = 64
"""Prompts that begin with so many equal tokens are read together where that can be."""

Ends = Callable[[Sequence[int]], bool]
"""Whether an answer has come to its end, from its tokens so far."""


def generate(
    forward: PackedForward,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop_tokens: Sequence[int],
    batch_tokens: int = 8192,
    sampling: Sampling | None = None,
    ends: Ends | None = None,
    keeps_stop: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[list[int]]:
    """The continuation of each prompt, token by token, without its stop token.

    Args:
        forward: a causal language model or an encoder-decoder, adapters unmerged.
        prompts: token ids; one longer than `longest_prompt` loses its oldest tokens. An answer ends where the model's length does.
        batch_tokens: tokens of prompts and answers that are kept at a time.
        sampling: how tokens are drawn; None: as the model was set to (`forward.decoding`), which is always the most likely one unless something else was found better.
        ends: is asked after each token whether the answer ends with it, as with a stop token, but that it stays.
        keeps_stop: whether the token that ends an answer stays.
        progress: called with the number of prompts done.
    """
    facts = forward.facts
    kept = [tuple(prompt[-longest_prompt(facts) :]) for prompt in prompts]
    answers: list[list[int]] = [[] for _ in kept]
    num_done = 0
    rooms = [_room(facts, len(p), max_new_tokens) for p in kept]
    with evaluating(forward.trunk), unchanging(forward.trunk):
        write = _write if caches_exactly(forward) else _write_in_batches
        choose = _chooser(forward, sampling, len(kept))
        for written in write(forward, [(*forward.virtual_ids, *p) for p in kept], rooms, _Ending(stop_tokens, ends), batch_tokens, choose):
            answers[written.prompt].append(written.token)
            num_done += written.is_last
            if written.is_last and progress is not None:
                progress(num_done)
    return answers if keeps_stop else [answer[:-1] if answer[-1] in stop_tokens else answer for answer in answers]


def stream(
    forward: PackedForward, prompt: Sequence[int], *, tokenizer: Any, max_new_tokens: int, stop_tokens: Sequence[int]
) -> Generator[str, None, int | None]:
    """The continuation of one prompt, piece by piece, as text.

    Returns: at how many tokens it was cut; None where it came to its end.
    Raises: whatever the model raises.
    """
    kept = tuple(prompt[-longest_prompt(forward.facts) :])
    room = _room(forward.facts, len(kept), max_new_tokens)
    kept = (*forward.virtual_ids, *kept)
    text = TextIteratorStreamer(tokenizer, skip_special_tokens=True)
    tokens, choose = list[int](), _chooser(forward, None, 1)
    with evaluating(forward.trunk):
        if caches_exactly(forward):
            coming = (written.token for written in _write(forward, [kept], [room], _Ending(stop_tokens), 1, choose))
        else:
            coming = _overheard(forward, kept, room, stop_tokens, choose)
        with contextlib.closing(coming):
            for token in coming:
                tokens.append(token)
                text.put(torch.tensor([token]))  # type: ignore[no-untyped-call]
                yield text.text_queue.get()
        text.end()  # type: ignore[no-untyped-call]
        yield text.text_queue.get()
    return None if tokens[-1] in stop_tokens else len(tokens)


def _chooser(forward: PackedForward, sampling: Sampling | None, num_prompts: int) -> Choose:
    sampling = sampling or forward.decoding
    return most_likely if sampling is None else sampling.chooser(num_prompts)


def longest_prompt(facts: ModelFacts) -> int:
    """The most tokens of a prompt: as many as the model takes, with room for one more where the answer follows it."""
    return facts.max_length if facts.is_encoder_decoder else max(1, facts.max_length - 1)


def _room(facts: ModelFacts, num_prompt_tokens: int, max_new_tokens: int) -> int:
    return max_new_tokens if facts.is_encoder_decoder else max(1, min(max_new_tokens, facts.max_length - num_prompt_tokens))


@dataclass(frozen=True, slots=True)
class _Written:
    """A token of an answer; the stop token too."""

    prompt: int
    token: int
    is_last: bool


@dataclass(slots=True)
class _Answer:
    """What stands in a slot."""

    prompt: int
    room: int
    """Tokens that it may still get."""
    tokens: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Ending:
    """What ends an answer before its room does."""

    stop_tokens: Sequence[int]
    ends: Ends | None = None

    def __call__(self, tokens: Sequence[int]) -> bool:
        return tokens[-1] in self.stop_tokens or (self.ends is not None and self.ends(tokens))


def _write(
    forward: PackedForward, prompts: Sequence[tuple[int, ...]], rooms: Sequence[int], ending: _Ending, batch_tokens: int, choose: Choose
) -> Iterator[_Written]:
    """Tokens as they come, from slots that are filled again."""
    sizes = [len(prompt) + room for prompt, room in zip(prompts, rooms, strict=True)]
    waiting = _order(prompts, sizes)
    cache, slots = Cache(forward), list[_Answer | None]()
    while waiting or any(slots):
        if waiting:
            _make_room(cache, slots, [sizes[a.prompt] for a in slots if a], [sizes[i] for i in waiting], batch_tokens)
        free = [slot for slot, answer in enumerate(slots) if answer is None]
        if waiting and len(free) >= _WORTH_READING * len(slots):
            places = _fill(slots, free, waiting, prompts, rooms)
            logits = cache.start([prompts[a.prompt] for a in map(slots.__getitem__, places) if a], places)
        else:
            _close_gaps(cache, slots)
            places = list(range(sum(answer is not None for answer in slots)))
            logits = cache.step([answer.tokens[-1] for answer in slots if answer])
        chosen = choose(logits, [answer.prompt for answer in map(slots.__getitem__, places) if answer])
        for slot, token in zip(places, chosen, strict=True):
            answer = slots[slot]
            assert answer is not None
            answer.tokens.append(token)
            answer.room -= 1
            is_last = answer.room == 0 or ending(answer.tokens)
            if is_last:
                slots[slot] = None
            yield _Written(answer.prompt, token, is_last)


def _order(prompts: Sequence[tuple[int, ...]], sizes: Sequence[int]) -> list[int]:
    """Prompts with the same beginning side by side, the longest last: they are taken from the end, so that those of a step are alike in length."""
    beginnings = [prompt[:_BEGINNING_TOKENS] for prompt in prompts]
    longest = dict[tuple[int, ...], int]()
    for beginning, size in zip(beginnings, sizes, strict=True):
        longest[beginning] = max(size, longest.get(beginning, 0))
    return sorted(range(len(prompts)), key=lambda i: (longest[beginnings[i]], beginnings[i], sizes[i]))


def _make_room(cache: Cache, slots: list[_Answer | None], sizes: Sequence[int], waiting: Sequence[int], batch_tokens: int) -> None:
    """Make more slots where more fit: what waits may be shorter than what has gone. What still goes on has to be copied."""
    capacity = max([*sizes, *waiting])  # the next one may be short, and begin like one that is gone
    num_slots = max(1, min(batch_tokens // capacity, len(sizes) + len(waiting)))
    if num_slots > len(slots) * (_WORTH_COPYING if sizes else 1):
        _close_gaps(cache, slots)
        cache.resize(num_slots, capacity)
        slots += [None] * (num_slots - len(slots))


def _fill(
    slots: list[_Answer | None], free: Sequence[int], waiting: list[int], prompts: Sequence[tuple[int, ...]], rooms: Sequence[int]
) -> list[int]:
    """Give free slots to prompts that wait. Returns: the slots."""
    places, num_tokens = list[int](), 0
    for slot in free:
        if not waiting or (places and num_tokens + len(prompts[waiting[-1]]) > _READ_TOKENS):
            break
        index = waiting.pop()
        slots[slot] = _Answer(index, rooms[index])
        num_tokens += len(prompts[index])
        places.append(slot)
    return places


def _close_gaps(cache: Cache, slots: list[_Answer | None]) -> None:
    """Put the last answers where others have ended: a step takes the first slots."""
    used = [slot for slot, answer in enumerate(slots) if answer is not None]
    gaps = [slot for slot in range(len(used)) if slots[slot] is None]
    for gap, last in zip(gaps, reversed(used), strict=False):
        cache.move(last, gap)
        slots[gap], slots[last] = slots[last], None


def _write_in_batches(
    forward: PackedForward, prompts: Sequence[tuple[int, ...]], rooms: Sequence[int], ending: _Ending, batch_tokens: int, choose: Choose
) -> Iterator[_Written]:
    """The same through transformers, in padded batches; prompts of similar length share a batch."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]), reverse=True)
    while order:
        width, room = len(prompts[order[0]]), rooms[order[0]]
        # An answer's room depends on its own prompt alone: where the model's length is near, only equal lengths share a batch.
        chosen = [i for i in order if rooms[i] == room][: max(1, batch_tokens // (width + room))]
        order = [i for i in order if i not in set(chosen)]
        draws = [] if choose is most_likely else [Scattered(choose, chosen)]
        for index, tokens in zip(chosen, _generate_batch(forward, [prompts[i] for i in chosen], room, ending, draws), strict=True):
            end = next((place for place in range(len(tokens)) if ending(tokens[: place + 1])), len(tokens) - 1)
            yield from (_Written(index, token, place == end) for place, token in enumerate(tokens[: end + 1]))


@contextlib.contextmanager
def _greedy(trunk: Any, facts: ModelFacts, max_new_tokens: int, stop_tokens: Sequence[int]) -> Iterator[None]:
    """Greedy whatever the checkpoint's own generation_config asks for, without gradients."""
    own = trunk.generation_config
    options: dict[str, Any] = {"eos_token_id": list(stop_tokens)} if stop_tokens else {}
    if facts.is_encoder_decoder:
        options["decoder_start_token_id"] = facts.decoder_start_token_id
    trunk.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=max_new_tokens, do_sample=False, num_beams=1, pad_token_id=facts.pad_token_id, **options
    )
    try:
        with torch.no_grad():  # not inference_mode: what the model caches here (rotary tables) must still serve in training
            yield
    finally:
        trunk.generation_config = own


def _generate_batch(
    forward: PackedForward, prompts: Sequence[Sequence[int]], max_new_tokens: int, ending: _Ending, draws: Sequence[Scattered]
) -> list[list[int]]:
    facts, width = forward.facts, max(len(p) for p in prompts)
    tokens = torch.full((len(prompts), width), facts.pad_token_id)
    mask = torch.zeros_like(tokens)
    for row, prompt in enumerate(prompts):  # a decoder goes on from the right end, an encoder starts at the left one
        place = slice(0, len(prompt)) if facts.is_encoder_decoder else slice(width - len(prompt), width)
        tokens[row, place] = torch.tensor(list(prompt))
        mask[row, place] = 1
    past = _past(forward, tokens, mask)
    begin = 1 if facts.is_encoder_decoder else width
    with _greedy(forward.trunk, facts, max_new_tokens, ending.stop_tokens):
        processors = LogitsProcessorList(draws)
        criteria = StoppingCriteriaList([_Ended(ending.ends, begin)] if ending.ends is not None else [])
        output = forward.trunk.generate(  # type: ignore[operator]
            tokens.to(forward.device),
            attention_mask=mask.to(forward.device),
            logits_processor=processors,
            stopping_criteria=criteria,
            **past,
        )
    return output[:, begin:].tolist()  # type: ignore[no-any-return]


class _Ended(StoppingCriteria):
    """Tells transformers which answers of a batch have come to their end. `begin`: where answers begin in its rows."""

    def __init__(self, ends: Ends, begin: int) -> None:
        self._ends, self._begin = ends, begin

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        """(rows,), bool."""
        return torch.tensor([self._ends(row) for row in input_ids[:, self._begin :].tolist()], device=input_ids.device)


def _past(forward: PackedForward, tokens: Tensor, mask: Tensor) -> dict[str, Any]:
    """A learned prefix as transformers takes it: the cache's tokens stand before all others, padding too. `tokens` and `mask` are changed in place."""
    if not forward.prefixes:
        return {}
    num = len(forward.virtual_ids)
    is_own = mask.bool() & (tokens >= 0)
    tokens[~is_own], mask[~is_own] = forward.facts.pad_token_id, 0
    mask[:, :num] = 1
    with torch.no_grad():
        return {"past_key_values": cache_of(forward.prefixes, len(tokens), forward.computes_in)}


class _NobodyListens(Exception):
    """Ends an answer that is being written."""


class _Handed(BaseStreamer):
    """Hands each token of an answer to another thread; None after the last one."""

    def __init__(self) -> None:
        self.tokens = SimpleQueue[int | None]()
        self.nobody_listens = False
        self._has_started = False

    def put(self, value: Tensor) -> None:
        """The prompt, or a decoder's first token; after that one token at a time."""
        if self.nobody_listens:
            raise _NobodyListens
        if self._has_started:
            self.tokens.put(int(value))
        self._has_started = True

    def end(self) -> None:
        """Called by transformers at the end of an answer, and by the thread at its own."""
        self.tokens.put(None)


def _overheard(
    forward: PackedForward, prompt: Sequence[int], room: int, stop_tokens: Sequence[int], choose: Choose
) -> Generator[int, None, None]:
    """The tokens of one answer while transformers writes it, in a thread of its own, which ends where nobody listens any more."""
    handed, failures = _Handed(), list[BaseException]()
    tokens = torch.tensor([list(prompt)])
    mask = torch.ones_like(tokens)
    past = _past(forward, tokens, mask)
    draws = LogitsProcessorList([] if choose is most_likely else [Scattered(choose, [0])])

    def run() -> None:
        try:
            with _greedy(forward.trunk, forward.facts, room, stop_tokens):
                forward.trunk.generate(  # type: ignore[operator]
                    tokens.to(forward.device), attention_mask=mask.to(forward.device), streamer=handed, logits_processor=draws, **past
                )
        except BaseException as error:  # the one who listens is told, in its own thread
            failures.append(error)
        finally:
            handed.end()

    thread = Thread(target=run, name="tunesmith: an answer", daemon=True)
    thread.start()
    try:
        yield from iter(handed.tokens.get, None)
    finally:
        handed.nobody_listens = True
        thread.join()
    if failures:
        raise failures[0]
