"""A tuned model, loaded from its run to be used: the base, what was trained on top, and the same renderer as in training."""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tunesmith.app.answers import asked, said
from tunesmith.app.chosen_method import chosen_method
from tunesmith.app.decoding import answer_tokens, found_decoding
from tunesmith.app.earlier import saved_heads
from tunesmith.app.judging import choose, read_head, write_answers_to, zero_shot
from tunesmith.app.learned import Learned, learned, require_head, require_language_model, writes
from tunesmith.app.machine import choose_device
from tunesmith.app.placing import leaves_frozen, place, placed
from tunesmith.app.room import with_room
from tunesmith.app.shots import Put, Shots, answer_room, load_shots
from tunesmith.app.task import label_texts, load_model, stop_tokens, text_encoder
from tunesmith.app.vocabulary import add_saved_tokens
from tunesmith.core import registry
from tunesmith.core.events import Event
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Example, HeadObjective, Message, Method, Objective, Origin, Output, Prompt, Row
from tunesmith.data import TextEncoder
from tunesmith.data.encode import Watching
from tunesmith.engine.forward import PackedForward, Paths
from tunesmith.engine.generate import longest_prompt, stream
from tunesmith.engine.kernels.frozen import RoundedWeights
from tunesmith.model.load import LoadedModel
from tunesmith.recipe import Recipe

__all__ = ["Said", "Tuned", "as_tuned", "load_base", "load_tuned", "load_untuned", "saved_model"]

_HERE = Origin("prompt", 1)


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said to examples."""

    outputs: list[Output]
    num_too_long: int
    """Examples of which a part was left out, as the model does not read as much: the end, or the beginning of a conversation to go on with."""
    num_cut: int
    """Answers that had not ended when they were as long as they may be."""
    num_written: int = 0
    """Tokens that it wrote, without those that end its answers."""


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
    """What it learned to do: one of the values of `chosen_objective.KINDS`."""
    format: str
    """What the training data was read as."""
    objective: Objective
    shots: Shots | None = None
    """What stands before each question, where the run has a context."""

    @property
    def classes(self) -> tuple[str, ...]:
        """What a classifier's probabilities are of."""
        return self.encoder.labels

    @property
    def cut_part(self) -> str:
        """What is left out of a question that is longer than the model reads."""
        return "end" if not writes(self.kind) or self.model.facts.is_encoder_decoder else "beginning"

    def tell_of_cost(self, say: Callable[[Event], None]) -> None:
        """Nothing: what a model of this machine answers costs no more than its time."""

    def ask(self, examples: Sequence[Example], max_new_tokens: int | None = None, tick: Callable[[int], None] = lambda done: None) -> Said:
        """What the head says, or completions of a language model. `tick` is told how many are done."""
        if self.shots is not None:
            put = self._with_shots(self.shots, examples, max_new_tokens)
            examples = put.examples
            if isinstance(self.objective, HeadObjective):
                texts, calibrate = label_texts(self.recipe, self.encoder.labels), self.shots.strategy.calibrate
                outputs = zero_shot(self, examples, texts, self.model.tokenizer, tick, calibrate=calibrate)
                return Said(outputs, sum(num > self.shots.room for num in put.num_tokens), 0)
        if not isinstance(self.objective, HeadObjective):
            return self._answers(examples, self.length(max_new_tokens), tick)
        watching = Watching(self.encoder)
        rows, owners, num_too_long = list[Row](), list[int](), 0
        for index, example in enumerate(examples):
            before = watching.num_cut
            found = self.objective.encode(example, watching)
            rows += found
            owners += [index] * len(found)
            num_too_long += watching.num_cut > before
        return Said(read_head(self, self.objective, examples, rows, owners, tick), num_too_long, 0)

    def predict(self, given: Sequence[Any]) -> list[dict[str, Any]]:
        """As `Run.predict`."""
        require_head(self.kind)
        outputs = self.ask([asked(self.kind, one, _HERE) for one in given]).outputs
        return [said(self.kind, output, self.encoder.labels) for output in outputs]

    def answer(self, prompts: Sequence[str], max_new_tokens: int | None = None) -> list[str]:
        """As `Run.generate`."""
        require_language_model(self.kind)
        outputs = self.ask([Prompt((Message("user", text),), _HERE) for text in prompts], max_new_tokens).outputs
        return [output.text or "" for output in outputs]

    def stream(self, messages: Iterable[Message], max_new_tokens: int | None = None) -> Generator[str, None, int | None]:
        """The answer to a conversation, piece by piece. Returns: at how many tokens it was cut; None where it came to its end."""
        require_language_model(self.kind)
        asked = self._asked(messages)
        reads_source = self.model.facts.is_encoder_decoder
        return stream(
            self.forward,
            self.encoder.encode(asked).source if reads_source else self.encoder.prompt(asked),
            tokenizer=self.model.tokenizer,
            max_new_tokens=self.length(max_new_tokens),
            stop_tokens=self.stop_tokens,
        )

    def num_prompt_tokens(self, messages: Iterable[Message]) -> int:
        """Tokens of a conversation as `stream` reads it."""
        asked = self._asked(messages)
        return len(self.encoder.encode(asked).source if self.model.facts.is_encoder_decoder else self.encoder.prompt(asked))

    def _asked(self, messages: Iterable[Message]) -> Prompt:
        (shown,) = self.shown([Prompt(tuple(messages), _HERE)])
        assert isinstance(shown, Prompt)
        return shown

    def shown(self, examples: Sequence[Example]) -> Sequence[Example]:
        """The examples with what stands before each in the run's context."""
        return examples if self.shots is None else self._with_shots(self.shots, examples, None).examples

    def _with_shots(self, shots: Shots, examples: Sequence[Example], max_new_tokens: int | None) -> Put:
        """The examples as they were asked when the run was judged; with less before them where the answers may be longer than then."""
        room = shots.room if max_new_tokens is None else min(shots.room, answer_room(self.encoder, max_new_tokens))
        return shots.put(examples, self.encoder, room)

    def _answers(self, examples: Sequence[Example], max_new_tokens: int, tick: Callable[[int], None]) -> Said:
        """What it writes itself, or of the answers that an example is judged among the likeliest."""
        closed = [place for place, example in enumerate(examples) if self.encoder.choices(example)]
        others = sorted({*range(len(examples))} - {*closed})
        chosen = choose(self, [examples[place] for place in closed], tick)
        said = self._written([examples[place] for place in others], max_new_tokens, lambda done: tick(len(closed) + done))
        outputs = dict(zip(closed, (Output(text=one.text) for one in chosen), strict=True)) | dict(zip(others, said.outputs, strict=True))
        return replace(said, outputs=[outputs[place] for place in range(len(examples))])

    def _written(self, examples: Sequence[Example], max_new_tokens: int, tick: Callable[[int], None]) -> Said:
        facts = self.model.facts
        if facts.is_encoder_decoder:
            encoded = [self.encoder.encode(example) for example in examples]
            prompts, num_too_long = [e.source for e in encoded], sum(e.num_cut > 0 for e in encoded)
        else:
            prompts = self.encoder.prompts(examples)
            num_too_long = sum(len(prompt) > longest_prompt(facts) for prompt in prompts)
        written = write_answers_to(self, prompts, max_new_tokens, tick)
        return Said(written.outputs, num_too_long, written.num_cut, written.num_tokens)

    def length(self, max_new_tokens: int | None) -> int:
        """Where an answer is cut; `max_new_tokens`: where its asker says."""
        return max_new_tokens or answer_tokens(self.forward, self.recipe)


def load_tuned(directory: RunDirectory) -> Tuned:
    """The model of a run as its report judged it: adapters unmerged, heads on. Raises: RunError, where the run saved none."""
    known = learned(directory)
    recipe = known.recipe
    objective: Objective = registry.create("objective", known.objective, **(recipe.objective.options if recipe.objective else {}))
    saved = saved_model(directory)
    model = add_saved_tokens(load_model(recipe, objective, lambda event: None, saved), saved)
    method = chosen_method(recipe)
    model = with_room(model, method)
    is_frozen = leaves_frozen(method, model.trunk, recipe)
    paths, autocast = place(model, recipe, choose_device(recipe.engine.device), is_frozen=is_frozen)
    return as_tuned(directory, known, objective, method, model, paths, autocast)


def as_tuned(
    directory: RunDirectory,
    known: Learned,
    objective: Objective,
    method: Method,
    model: LoadedModel,
    paths: Paths,
    autocast: torch.dtype | None,
    int8: RoundedWeights | None = None,
) -> Tuned:
    """A run's model, given its base where it is to be computed, which is changed in place.

    Args:
        paths, autocast: as `place` returns them.
        int8: what other runs of the base share of its weights in int8, and this one is to.
    """
    recipe, saved = known.recipe, saved_model(directory)
    device = choose_device(recipe.engine.device)
    method.apply(model.trunk)
    method.load(model.trunk, saved)
    model.trunk.to(device).eval()
    heads, labels = saved_heads(directory, model.trunk)
    forward = PackedForward(model.trunk, {n: h.to(device) for n, h in heads.items()}, model.facts, paths, autocast)
    if not recipe.engine.exact_reference:
        forward.use_fused_layers()
    forward.use_virtual_tokens(method.virtual_tokens)
    forward.decoding = found_decoding(directory)
    if method.base_precision == "int8":
        forward.use_int8_base(int8)
    shots = None if recipe.context is None else load_shots(directory, recipe)
    encoder = text_encoder(recipe, model, labels if shots is None else shots.labels)
    if shots is not None and shots.variant.template is not None:
        encoder = replace(encoder, template=shots.variant.template)
    return Tuned(
        recipe,
        model,
        forward.eval(),
        encoder,
        stop_tokens(model),
        recipe.engine.micro_batch_tokens,
        known.kind,
        known.format,
        objective,
        shots,
    )


def saved_model(directory: RunDirectory) -> Path:
    """Where a run keeps what trained: the whole model, or an adapter."""
    return directory.model if directory.model.is_dir() else directory.adapter


def load_base(recipe: Recipe, saved: Path | None = None) -> Tuned:
    """A language model before any tuning, to talk to. `saved`: as `load_model` takes it, where a run began with that model."""
    return load_untuned(recipe, registry.create("objective", "sft"), "generation", "messages", saved)


def load_untuned(recipe: Recipe, objective: Objective, kind: str, format: str, saved: Path | None = None) -> Tuned:
    """A model before any tuning, loaded as the objective needs it; `kind` and `format` as `Tuned` has them, `saved` as `load_model` takes it."""
    device = choose_device(recipe.engine.device)
    model = load_model(recipe, objective, lambda event: None, saved, is_untuned=True)
    forward = placed(model, recipe, device, is_frozen=True)
    encoder = text_encoder(recipe, model, ())
    return Tuned(recipe, model, forward.eval(), encoder, stop_tokens(model), recipe.engine.micro_batch_tokens, kind, format, objective)
