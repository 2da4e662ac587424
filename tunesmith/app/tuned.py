"""A tuned model, loaded from its run to be used: the base, what was trained on top, and the same renderer as in training."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.app.judging import classify, write_answers
from tunesmith.app.machine import choose_device, choose_precision
from tunesmith.app.task import load_model, stop_tokens
from tunesmith.core import registry
from tunesmith.core.errors import UsageError
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Example, Labelled, Message, Method, Objective, Origin, Output, Prompt
from tunesmith.data import TextEncoder
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.generate import stream
from tunesmith.engine.probe import probe
from tunesmith.model.heads import load_heads
from tunesmith.model.load import LoadedModel
from tunesmith.recipe import Recipe, load

__all__ = ["Tuned", "load_base", "load_tuned"]

_HERE = Origin("prompt", 1)


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

    def outputs(self, examples: Sequence[Example], max_new_tokens: int | None = None) -> list[Output]:
        """Labels with probabilities for a classifier, completions for a language model."""
        if self.kind == "classification":
            objective: Objective = registry.create("objective", "classify")
            rows = [row for example in examples for row in objective.encode(example, self.encoder)]
            return classify(self, rows)
        return write_answers(self, examples, self._length(max_new_tokens))

    def classify(self, texts: Sequence[str] | Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """As `Run.predict`."""
        if self.kind != "classification":
            raise UsageError("this run tuned a language model: ask it with generate(prompts), or `tunesmith chat`.")
        pairs = [(text, None) if isinstance(text, str) else text for text in texts]
        outputs = self.outputs([Labelled(text, None, _HERE, pair) for text, pair in pairs])
        return [{"label": o.label, "probabilities": dict(zip(self.encoder.labels, o.probabilities, strict=True))} for o in outputs]

    def answer(self, prompts: Sequence[str], max_new_tokens: int | None = None) -> list[str]:
        """As `Run.generate`."""
        self._require_language_model()
        outputs = self.outputs([Prompt((Message("user", text),), _HERE) for text in prompts], max_new_tokens)
        return [output.text or "" for output in outputs]

    def stream(self, messages: Iterable[Message], max_new_tokens: int | None = None) -> Iterator[str]:
        """The answer to a conversation, piece by piece."""
        self._require_language_model()
        asked = Prompt(tuple(messages), _HERE)
        reads_source = self.model.facts.is_encoder_decoder
        prompt = self.encoder.encode(asked).source if reads_source else self.encoder.prompt(asked)
        yield from stream(
            self.model.trunk,
            prompt,
            tokenizer=self.model.tokenizer,
            facts=self.model.facts,
            max_new_tokens=self._length(max_new_tokens),
            stop_tokens=self.stop_tokens,
        )

    def _require_language_model(self) -> None:
        if self.kind == "classification":
            raise UsageError("this run tuned a classifier: ask it with predict(texts), or `tunesmith predict`.")

    def _length(self, max_new_tokens: int | None) -> int:
        return max_new_tokens or self.recipe.evaluate.max_new_tokens


def load_tuned(directory: RunDirectory) -> Tuned:
    """The model of a run as its report judged it: adapters unmerged, heads on. Raises: RunError, where the run saved none."""
    recipe = load(directory.recipe)
    document = directory.read_json(directory.report_json)
    kind, format = document["task"]["kind"], directory.read_json(directory.data)["train"]["format"]
    objective: Objective = registry.create("objective", document["task"]["objective"])
    device = choose_device(recipe.engine.device)
    model = load_model(recipe, objective, device, lambda event: None)
    paths = probe(model.trunk, model.facts, recipe.model.attention)
    method: Method = registry.create("method", recipe.method.name, **recipe.method.options)
    method.apply(model.trunk)
    method.load(model.trunk, directory.model if directory.model.is_dir() else directory.adapter)
    model.trunk.to(device).eval()
    heads, labels = load_heads(directory.heads, directory.heads_config) if directory.heads.is_file() else ({}, ())
    forward = PackedForward(
        model.trunk, {n: h.to(device) for n, h in heads.items()}, model.facts, paths, choose_precision(recipe.engine.precision, device)
    )
    encoder = TextEncoder(model.tokenizer, model.facts, labels, model.facts.max_length, recipe.data.template, recipe.data.system)
    return Tuned(recipe, model, forward.eval(), encoder, stop_tokens(model), recipe.engine.micro_batch_tokens, kind, format)


def load_base(recipe: Recipe) -> Tuned:
    """A language model before any tuning, to talk to."""
    objective: Objective = registry.create("objective", "sft")
    device = choose_device(recipe.engine.device)
    model = load_model(recipe, objective, device, lambda event: None)
    forward = PackedForward(model.trunk, {}, model.facts, probe(model.trunk, model.facts, recipe.model.attention))
    encoder = TextEncoder(model.tokenizer, model.facts, (), model.facts.max_length, recipe.data.template, recipe.data.system)
    return Tuned(recipe, model, forward.eval(), encoder, stop_tokens(model), recipe.engine.micro_batch_tokens, "generation", "messages")
