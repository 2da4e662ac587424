"""A tuned model, loaded from its run to be used: the base, what was trained on top, and the same renderer as in training."""

import collections
import contextlib
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.app.judging import classify, write_answers_to
from tunesmith.app.learned import learned, require_classifier, require_language_model
from tunesmith.app.machine import choose_device
from tunesmith.app.task import leaves_frozen, load_model, place, stop_tokens
from tunesmith.core import registry
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Example, Labelled, Message, Method, Objective, Origin, Output, Prompt, Row
from tunesmith.data import TextEncoder
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.generate import longest_prompt, stream
from tunesmith.engine.probe import probe
from tunesmith.model.heads import load_heads
from tunesmith.model.load import LoadedModel
from tunesmith.recipe import Recipe

__all__ = ["Said", "Tuned", "load_base", "load_tuned"]

_HERE = Origin("prompt", 1)


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said to examples."""

    outputs: list[Output]
    num_too_long: int
    """Examples of which a part was left out, as the model does not read as much: the end, or the beginning of a conversation to go on with."""
    num_cut: int
    """Answers that had not ended when they were as long as they may be."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """A model that answers. Implements `judging.Speaker`."""

    recipe: Recipe
    model: LoadedModel
    forward: PackedForward
    encoder: TextEncoder
    stop_tokens: tuple[int, ...]
    micro_batch_tokens: int
    kind: str
    """classification, generation or language_modelling."""
    format: str
    """What the training data was read as."""

    def ask(self, examples: Sequence[Example], max_new_tokens: int | None = None, tick: Callable[[int], None] = lambda done: None) -> Said:
        """Labels with probabilities for a classifier, completions for a language model. `tick` is told how many are done."""
        if self.kind != "classification":
            return self._answers(examples, self._length(max_new_tokens), tick)
        objective: Objective = registry.create("objective", "classify")
        rows = [row for example in examples for row in objective.encode(example, self.encoder)]
        return Said(classify(self, rows, tick), self._num_cut_at_end(examples, rows), 0)

    def classify(self, texts: Sequence[str] | Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """As `Run.predict`."""
        require_classifier(self.kind)
        pairs = [(text, None) if isinstance(text, str) else text for text in texts]
        outputs = self.ask([Labelled(text, None, _HERE, pair) for text, pair in pairs]).outputs
        return [{"label": o.label, "probabilities": dict(zip(self.encoder.labels, o.probabilities, strict=True))} for o in outputs]

    def answer(self, prompts: Sequence[str], max_new_tokens: int | None = None) -> list[str]:
        """As `Run.generate`."""
        require_language_model(self.kind)
        outputs = self.ask([Prompt((Message("user", text),), _HERE) for text in prompts], max_new_tokens).outputs
        return [output.text or "" for output in outputs]

    def stream(self, messages: Iterable[Message], max_new_tokens: int | None = None) -> Generator[str, None, int | None]:
        """The answer to a conversation, piece by piece. Returns: at how many tokens it was cut; None where it came to its end."""
        require_language_model(self.kind)
        asked = Prompt(tuple(messages), _HERE)
        reads_source = self.model.facts.is_encoder_decoder
        listening = _Listening(self.model.tokenizer)
        num_tokens = -2 if reads_source else -1  # one piece a token, one at the end, and one for a decoder's first token
        pieces = stream(
            self.model.trunk,
            self.encoder.encode(asked).source if reads_source else self.encoder.prompt(asked),
            tokenizer=listening,
            facts=self.model.facts,
            max_new_tokens=self._length(max_new_tokens),
            stop_tokens=self.stop_tokens,
        )
        try:
            for piece in pieces:
                num_tokens += 1
                yield piece
        except BaseException:  # whoever listens has gone away
            listening.end()
            with contextlib.suppress(_NobodyListens):
                collections.deque(pieces, maxlen=0)
            raise
        return None if listening.last in self.stop_tokens else num_tokens

    def _answers(self, examples: Sequence[Example], max_new_tokens: int, tick: Callable[[int], None]) -> Said:
        facts = self.model.facts
        if facts.is_encoder_decoder:
            encoded = [self.encoder.encode(example) for example in examples]
            prompts, num_too_long = [e.source for e in encoded], sum(e.num_cut > 0 for e in encoded)
        else:
            prompts = [self.encoder.prompt(example) for example in examples]
            num_too_long = sum(len(prompt) > longest_prompt(facts) for prompt in prompts)
        answers, outputs = write_answers_to(self, prompts, max_new_tokens, tick)
        num_cut = 0
        for prompt, answer in zip(prompts, answers, strict=True):
            used = 0 if facts.is_encoder_decoder else min(len(prompt), longest_prompt(facts)) + len(answer)
            num_cut += len(answer) >= max_new_tokens or used >= facts.max_length
        return Said(outputs, num_too_long, num_cut)

    def _num_cut_at_end(self, examples: Sequence[Example], rows: Sequence[Row]) -> int:
        full = (example for example, row in zip(examples, rows, strict=True) if row.num_tokens >= self.encoder.max_length)
        return sum(self.encoder.encode(example).num_cut > 0 for example in full)

    def _length(self, max_new_tokens: int | None) -> int:
        return max_new_tokens or self.recipe.evaluate.max_new_tokens


class _NobodyListens(Exception):
    """Ends an answer that is being written."""


class _Listening:
    """A tokenizer that remembers the last token that it decoded, and that can end the answer.

    Whether an answer came to its end can be told from its last token. It is written in a thread of its own, which decodes every token.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ends = False
        self._thread: threading.Thread | None = None
        self.last: int | None = None

    def decode(self, tokens: Sequence[int], **options: Any) -> str:
        """The tokenizer's own text."""
        self._thread = threading.current_thread()
        if self._ends:
            self._ends = False  # what is left is decoded once more
            raise _NobodyListens
        self.last = tokens[-1]
        return str(self._tokenizer.decode(tokens, **options))

    def end(self) -> None:
        """Wait until the thread has ended, at its next token: Python must not exit while it computes."""
        self._ends = True
        if self._thread is not None:
            self._thread.join()


def load_tuned(directory: RunDirectory) -> Tuned:
    """The model of a run as its report judged it: adapters unmerged, heads on. Raises: RunError, where the run saved none."""
    known = learned(directory)
    recipe = known.recipe
    objective: Objective = registry.create("objective", known.objective)
    device = choose_device(recipe.engine.device)
    model = load_model(recipe, objective, lambda event: None)
    method: Method = registry.create("method", recipe.method.name, **recipe.method.options)
    autocast = place(model.trunk, recipe, device, is_frozen=leaves_frozen(method, model.trunk))
    paths = probe(model.trunk, model.facts, recipe.model.attention)
    method.apply(model.trunk)
    method.load(model.trunk, directory.model if directory.model.is_dir() else directory.adapter)
    model.trunk.to(device).eval()
    heads, labels = load_heads(directory.heads, directory.heads_config) if directory.heads.is_file() else ({}, ())
    forward = PackedForward(model.trunk, {n: h.to(device) for n, h in heads.items()}, model.facts, paths, autocast)
    forward.use_fused_layers()
    encoder = TextEncoder(model.tokenizer, model.facts, labels, model.facts.max_length, recipe.data.template, recipe.data.system)
    return Tuned(recipe, model, forward.eval(), encoder, stop_tokens(model), recipe.engine.micro_batch_tokens, known.kind, known.format)


def load_base(recipe: Recipe) -> Tuned:
    """A language model before any tuning, to talk to."""
    objective: Objective = registry.create("objective", "sft")
    device = choose_device(recipe.engine.device)
    model = load_model(recipe, objective, lambda event: None)
    place(model.trunk, recipe, device, is_frozen=True)
    forward = PackedForward(model.trunk, {}, model.facts, probe(model.trunk, model.facts, recipe.model.attention))
    encoder = TextEncoder(model.tokenizer, model.facts, (), model.facts.max_length, recipe.data.template, recipe.data.system)
    return Tuned(recipe, model, forward.eval(), encoder, stop_tokens(model), recipe.engine.micro_batch_tokens, "generation", "messages")
