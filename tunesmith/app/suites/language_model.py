"""The engine as lm-eval asks a model: likelihoods over trees of shared beginnings, answers written with cached keys and values.

Texts are cut into tokens as lm-eval's own transformers backend does it, so that its numbers come out.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from tunesmith.app.machine import available_memory_bytes
from tunesmith.app.tuned import Tuned
from tunesmith.core.errors import DataError, ModelError, UsageError
from tunesmith.core.events import Event, Progress
from tunesmith.data.templated import required_chat_template, templated
from tunesmith.engine.generate import generate
from tunesmith.engine.sampling import Sampling
from tunesmith.engine.scoring import Question, Scored, score_greedily

__all__ = ["EngineLM"]

_DEFAULT_TOKENS = 256
"""An answer's length where the task names none: lm-eval's own."""
_MEMORY_SHARE = 0.25
"""Of the memory there is, for keys and values of answers that are being written."""
_MOST_BATCH_TOKENS = 65536
_REMEMBERED_TEXTS = 4096


class EngineLM(TemplateLM):  # type: ignore[misc]  # lm-eval has no types
    """Implements lm-eval's model for a decoder-only language model."""

    backend = "causal"

    def __init__(self, model: Tuned, name: str, say: Callable[[Event], None]) -> None:
        """Ask `model`; `name`: what messages call it. Raises: ModelError, where it is not a decoder-only language model."""
        super().__init__()
        facts = model.model.facts
        if not facts.is_causal or not facts.has_lm_head:
            raise ModelError(
                f"{name}: is no decoder-only language model ({facts.model_type}), and suites are asked of those. Name another."
            )
        self.tokenizer = model.model.tokenizer
        self.num_prompts_cut: Counter[str] = Counter()
        """By task: prompts that were longer than the model reads, and lost their beginning."""
        self.num_answers_cut: Counter[str] = Counter()
        """By task: answers that had not ended when they were as long as they may be."""
        self._model, self._name, self._say = model, name, say
        self._tokens = lru_cache(_REMEMBERED_TEXTS)(self._encode)
        self._asked: Sequence[str] = ()
        """The task of each likelihood that is asked for."""

    @property
    def eot_token_id(self) -> int:
        """The end-of-sequence token; padding where the tokenizer has none."""
        return int(self._model.model.facts.pad_token_id if self.tokenizer.eos_token_id is None else self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text that nothing comes before."""
        return int(self.eot_token_id if self.tokenizer.bos_token_id is None else self.tokenizer.bos_token_id)

    @property
    def max_length(self) -> int:
        """The most tokens that are read."""
        return self._model.model.facts.max_length

    @property
    def tokenizer_name(self) -> str:
        """For lm-eval's own cache, which is not used."""
        return self._name

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """The tokens of a text; with the tokenizer's special ones unless the text begins with them, where nothing else is asked for."""
        return list(self._tokens(string, add_special_tokens))

    def _encode(self, string: str, add_special_tokens: bool | None) -> tuple[int, ...]:
        if add_special_tokens is None and string.startswith(str(self.tokenizer.decode(self.prefix_token_id))):
            add_special_tokens = False
        options = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        return tuple(self.tokenizer.encode(string, **options))

    def apply_chat_template(self, chat_history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> str:
        """A conversation as the model's own template writes it. Raises: ModelError, where it has none, or it fails."""
        return templated(self.tokenizer, self._name, chat_history, answers=add_generation_prompt)

    def require_chat_template(self) -> None:
        """Raises: ModelError, where the model has none."""
        required_chat_template(self.tokenizer, self._name)

    def loglikelihood(self, requests: Sequence[Instance], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """The log-likelihood of each continuation, nats, and whether greedy decoding writes it."""
        self._asked = [str(request.task_name) for request in requests]
        return super().loglikelihood(requests, disable_tqdm=disable_tqdm)  # type: ignore[no-any-return]

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], disable_tqdm: bool = True, **_: Any
    ) -> list[tuple[float, bool]]:
        for task, (_, context, continuation) in zip(self._asked, requests, strict=True):
            self.num_prompts_cut[task] += len(context) + len(continuation) > self.max_length + 1
        return [(one.nats, one.is_greedy) for one in self._scored([(context, continuation) for _, context, continuation in requests])]

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = True) -> list[float]:
        """The log-likelihood of whole texts, nats: one longer than the model reads in windows, each token scored once."""
        windows, owners = list[tuple[list[int], list[int]]](), list[int]()
        for index, request in enumerate(requests):
            found = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]), prefix_token=self.prefix_token_id, max_seq_len=self.max_length, context_len=1
            )
            windows += map(make_disjoint_window, found)
            owners += [index] * (len(windows) - len(owners))
        sums = [0.0] * len(requests)
        for owner, one in zip(owners, self._scored(windows), strict=True):
            sums[owner] += one.nats
        return sums

    def _scored(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[Scored]:
        """Each continuation after its context, of which the end is read where both are longer than the model reads."""
        questions = []
        for context, continuation in pairs:
            if not 0 < len(continuation) <= self.max_length:
                raise DataError(
                    f"{self._name}: a task asks for the likelihood of {len(continuation)} tokens, and the model reads 1 to {self.max_length}."
                )
            read = [*context, *continuation][-(self.max_length + 1) :]
            questions.append(Question(read[: -len(continuation)], [continuation]))
        found = score_greedily(self._model.forward, questions, progress=lambda done: self._say(Progress("score", done, len(questions))))
        return [one for (one,) in found]

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = True) -> list[str]:
        """What the model writes after each context, up to the first of the task's stop strings, or as long as it may be."""
        groups = dict[_Generation, list[int]]()
        for index, request in enumerate(requests):
            groups.setdefault(_Generation.of(request.args[1], str(request.task_name)), []).append(index)
        answers, num_done = [""] * len(requests), 0
        for generation, indices in groups.items():
            for index, answer in zip(
                indices, self._written(generation, [requests[i] for i in indices], num_done, len(requests)), strict=True
            ):
                answers[index] = answer
            num_done += len(indices)
        return answers

    def _written(self, generation: "_Generation", requests: Sequence[Instance], num_done: int, total: int) -> list[str]:
        room = generation.max_tokens if generation.max_tokens < self.max_length else self.max_length // 2
        prompts = [self.tok_encode(request.args[0]) for request in requests]
        for request, prompt in zip(requests, prompts, strict=True):
            self.num_prompts_cut[str(request.task_name)] += len(prompt) > self.max_length - room
        stops = _Stops(self.tokenizer, generation.until)
        written = generate(
            self._model.forward,
            [prompt[-(self.max_length - room) :] for prompt in prompts],
            max_new_tokens=room,
            stop_tokens=self._model.stop_tokens,
            batch_tokens=self._batch_tokens(),
            sampling=generation.sampling,
            ends=stops if generation.until else None,
            progress=lambda done: self._say(Progress("write", num_done + done, total)),
        )
        for request, tokens in zip(requests, written, strict=True):
            self.num_answers_cut[str(request.task_name)] += len(tokens) == room and not stops(tokens)
        return [stops.before(str(self.tokenizer.decode(tokens, skip_special_tokens=True))) for tokens in written]

    def _batch_tokens(self) -> int:
        """Tokens whose keys and values fit the memory, reckoned as if every attention head had its own."""
        facts, forward = self._model.model.facts, self._model.forward
        per_token = 2 * facts.num_layers * facts.hidden_size * forward.computes_in.itemsize
        return int(min(_MOST_BATCH_TOKENS, max(self.max_length, _MEMORY_SHARE * available_memory_bytes(forward.device) / per_token)))


@dataclass(frozen=True, slots=True)
class _Generation:
    """How a task wants answers to be written."""

    until: tuple[str, ...]
    max_tokens: int
    sampling: Sampling | None

    @classmethod
    def of(cls, options: Mapping[str, Any], task: str) -> "_Generation":
        """From the task's `generation_kwargs`. Raises: UsageError, for one that the engine does not have."""
        left = dict(options)
        until = left.pop("until", None) or ()
        lengths = [left.pop(name, None) for name in ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")]
        temperature, top_p = float(left.pop("temperature", None) or 0), float(left.pop("top_p", None) or 1)
        draws = left.pop("do_sample", None)
        if left:
            raise UsageError(f"{task}: its generation option {next(iter(left))} is not one that tunesmith has. Leave the task out.")
        sampling = Sampling(temperature=temperature or 1.0, top_p=top_p) if (temperature > 0 if draws is None else draws) else None
        max_tokens = next((int(length) for length in lengths if length is not None), _DEFAULT_TOKENS)
        return cls((until,) if isinstance(until, str) else tuple(until), max_tokens, sampling)


class _Stops:
    """Whether an answer's last tokens spell a stop string, and its text before the first one."""

    def __init__(self, tokenizer: Any, until: Sequence[str]) -> None:
        self._tokenizer, self._until = tokenizer, [stop for stop in until if stop]
        self._num_tokens = max((len(stop.encode("utf-8")) for stop in self._until), default=0) + 1

    def __call__(self, tokens: Sequence[int]) -> bool:
        """A token that is not the last part of a character spells nothing; so many tokens hold any stop string."""
        end = self._tokenizer.decode(tokens[-self._num_tokens :]) if self._until else ""
        return any(stop in end for stop in self._until)

    def before(self, text: str) -> str:
        """What stands before the first stop string."""
        return text[: min((text.find(stop) for stop in self._until if stop in text), default=len(text))]
