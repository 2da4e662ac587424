"""A recipe made ready: its data read and encoded, its model loaded, its method and objective chosen. Nothing is written yet."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

import torch

from tunesmith.app.chosen_method import chosen_method
from tunesmith.app.chosen_objective import choose_objective, kind_of
from tunesmith.app.coverage import check_coverage
from tunesmith.app.dataset import PreparedData, prepare_data
from tunesmith.app.earlier import check_head_first, check_heads, earlier_head, earlier_heads, new_labels
from tunesmith.app.fitting import measured_metrics, selection
from tunesmith.app.folding import before_last, with_adapters
from tunesmith.app.judging import EncodedSplit
from tunesmith.app.learned import answers
from tunesmith.app.machine import choose_device
from tunesmith.app.measurable import BaseKind, Measurable
from tunesmith.app.new_network import made_anew
from tunesmith.app.penalties import check_penalties
from tunesmith.app.placing import changes_nothing, check_precision, leaves_frozen, placed
from tunesmith.app.room import with_room
from tunesmith.app.vocabulary import add_tokens
from tunesmith.core.adjusting import SearchedMethod
from tunesmith.core.errors import DataError, MethodError, RecipeError
from tunesmith.core.events import Event, Progress, Stage, Warned
from tunesmith.core.garbage import collected_later
from tunesmith.core.layers import vocabulary_head_alone
from tunesmith.core.types import (
    Completion,
    Example,
    Graded,
    HeadObjective,
    Method,
    Objective,
    OnlineObjective,
    Origin,
    ParamGroup,
    Rated,
)
from tunesmith.data import Asked, EncodedFacts, StoredExamples, StoredTexts, TextEncoder, chat_template, chosen, encode
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.generate import longest_prompt
from tunesmith.model.heads import Head, write_label_map
from tunesmith.model.load import LoadedModel, load
from tunesmith.model.source import SourceInfo
from tunesmith.recipe import Recipe, require_no_stages

if TYPE_CHECKING:
    from tunesmith.app.policy import PolicyRewards

__all__ = [
    "Task",
    "attach",
    "label_texts",
    "learning_rate",
    "load_model",
    "prepare",
    "rows_to_answer",
    "stop_tokens",
    "text_encoder",
    "use_chat_template",
]

Say = Callable[[Event], None]


@dataclass(slots=True)
class Task:
    """Everything that a run works with. Implements `Measurable`."""

    recipe: Recipe
    device: torch.device
    data: PreparedData
    model: LoadedModel
    encoder: TextEncoder
    objective_name: str
    objective: Objective
    method: Method
    metrics: list[str]
    """The one that the report leads with comes first."""
    select_by: str
    """What the best weights are best at on the validation split: `loss` or a metric."""
    forward: PackedForward
    stop_tokens: tuple[int, ...]
    splits: dict[str, EncodedSplit] = field(default_factory=dict)
    """train, validation, test, and the domains by their names."""
    encoded: dict[str, EncodedFacts] = field(default_factory=dict)
    micro_batch_tokens: int = 2048
    rewards: "PolicyRewards | None" = None
    """Where it learns from its own answers."""
    remarks: list[str] = field(default_factory=list)
    """What the report is to say of the model that it begins with."""
    num_prompts_cut: int = 0
    """Test rows whose prompt does not fit the model when it is to answer them."""

    @property
    def kind(self) -> str:
        """What the model learns to do: one of the values of `KINDS`."""
        return kind_of(self.objective)

    @property
    def takes_steps(self) -> bool:
        """Whether it is trained by gradients."""
        return self.recipe.trains and not self.is_searched

    @property
    def is_searched(self) -> bool:
        """Whether its method tries settings in place of steps."""
        return self.recipe.trains and isinstance(self.method, SearchedMethod)

    @property
    def base_kind(self) -> BaseKind:
        """How the base is asked."""
        knows_words = self.kind == "classification" and not self.model.facts.num_columns
        return "zero_shot" if knows_words and not earlier_heads(self) else "as_it_is"


def load_model(
    recipe: Recipe,
    objective: Objective,
    say: Say,
    saved: Path | None = None,
    examples: Sequence[Example] = (),
    *,
    is_untuned: bool = False,
) -> LoadedModel:
    """Load the recipe's base model in float32, on the CPU, with the adapters of an earlier run folded in.

    Its tokenizer has the recipe's chat template, where that names one.

    Args:
        saved: what a run of the recipe saved of its model: the chat template lies there as it was, and all that there is of a network that was made for it.
        examples: what a network that is made anew will learn.
        is_untuned: whether a network that was made for a run is wanted as it was before, its weights drawn again.
    Raises: ModelError, FetchError; RecipeError, where the chat template is not there or does not fit.
    """
    spec = recipe.model
    say(Stage("model", spec.source))

    made = None if spec.architecture is None else made_anew(recipe, examples, saved, is_untuned=is_untuned)
    need = getattr(objective, "need", "lm" if objective.uses_lm_head else "any")

    def loaded(need: Any, source: SourceInfo | None = made) -> LoadedModel:
        return load(
            source or spec.source,
            revision=spec.revision,
            trust_remote_code=spec.trust_remote_code,
            max_length=spec.max_length,
            need=need,
            beside=spec.beside,
            random_seed=recipe.seed if spec.weights == "random" else None,
            progress=lambda done, total: say(Progress("model", done, total, in_bytes=True)),
        )

    model = loaded(need)
    if model.facts.is_encoder_decoder and not objective.uses_lm_head:
        model = loaded(need := "encoder")
    if model.source.adapters and model.source.adapters_of:
        say(
            Warned(
                f"model.source: {spec.source}: its adapter was trained on the base kept in {model.source.adapters_of}; it is merged into the base in full precision."
            )
        )
    model = with_adapters(model)
    model.trunk.reads_vocabulary_head = objective.uses_lm_head  # type: ignore[assignment]
    if model.source.adapters:  # an adapter trained next belongs to this run, not to its base: peft must fail to load it there, not mislead
        model.trunk.name_or_path = spec.source  # type: ignore[assignment]
        model.trunk.before_last_adapter = before_last(model.source, lambda source: loaded(need, source))  # type: ignore[assignment]
    use_chat_template(recipe, model, saved)
    return model


def use_chat_template(recipe: Recipe, model: LoadedModel, saved: Path | None) -> None:
    """Give the tokenizer the template that the recipe names, else that of an adapter that brings one."""
    name = recipe.data.chat_template
    folders = [*model.source.adapters, *([saved] if saved is not None and name is not None else [])]
    files = [folder / "chat_template.jinja" for folder in folders]
    kept = [file for file in files if file.is_file()]
    if name is not None and (saved is None or files[-1] not in kept):
        model.tokenizer.chat_template = chat_template(name, model.tokenizer, model.facts.name)
    elif kept:
        model.tokenizer.chat_template = kept[-1].read_text(encoding="utf-8")


def text_encoder(
    recipe: Recipe,
    model: LoadedModel,
    labels: Sequence[str],
    tasks: Mapping[str, Asked] | None = None,
    numbers: tuple[float, float] = (0.0, 1.0),
    grades: tuple[tuple[float, float], ...] = (),
) -> TextEncoder:
    """What renders and tokenizes for a model as the recipe says: in training, evaluation, prediction and chat."""
    data = recipe.data
    template = tuple(data.template) if isinstance(data.template, list) else data.template
    return TextEncoder(
        model.tokenizer, model.facts, tuple(labels), model.facts.max_length, template, data.system, loss_on=data.loss_on,
        tasks=tasks or {}, window_tokens=data.chunk.length or 0, overlap_tokens=data.chunk.overlap, numbers=numbers, grades=grades,
    )  # fmt: skip


def label_texts(recipe: Recipe, labels: Sequence[str]) -> list[str]:
    """The words that stand for the labels where they are named."""
    return [(recipe.data.label_texts or {}).get(label, label) for label in labels]


def stop_tokens(model: LoadedModel) -> tuple[int, ...]:
    """The tokens that end an answer: the tokenizer's, those that the model's makers set for generation, and what closes a taught answer."""
    own = getattr(getattr(model.trunk, "generation_config", None), "eos_token_id", None)
    found = [model.tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])]
    if model.facts.has_lm_head:
        asked = Completion("a", "b", Origin("", 1))
        end = TextEncoder(model.tokenizer, model.facts, labelled_as="answer").encode(asked).tokens[-1]
        if end in {*model.tokenizer.all_special_ids, *model.tokenizer.added_tokens_decoder}:
            found.append(end)
    return tuple(dict.fromkeys(int(token) for token in found if token is not None))


@collected_later()
def prepare(recipe: Recipe, say: Say, model: LoadedModel | None = None) -> Task:
    """Read the data, load the model, encode the one for the other. Raises whatever is wrong with either, before anything is written.

    Args:
        model: to be asked in place of the recipe's own, which nothing is to be trained of.
    """
    require_no_stages(recipe)
    if recipe.engine.num_threads:
        torch.set_num_threads(recipe.engine.num_threads)
    device = choose_device(recipe.engine.device)
    say(Stage("data", recipe.data.named))
    data = prepare_data(recipe)
    for warning in data.warnings:
        say(Warned(warning))
    objective_name, objective = choose_objective(recipe.objective, data.rows, data.labels if data.sets else None)
    if recipe.data.documents is not None and not getattr(objective, "learns_documents", False):
        raise RecipeError(
            f"{recipe.name}: data.documents: the objective {objective_name} does not learn raw text beside its rows. Use pairs or conversations (sft)."
        )
    metrics, select_by = measured_metrics(recipe, objective_name, objective, data), selection(recipe, objective, data.labels)
    method = chosen_method(recipe)
    check_precision(recipe, method, device)
    is_only_asked = model is not None
    model = with_room(model or add_tokens(recipe, load_model(recipe, objective, say, examples=data.train), data.train), method)
    if not is_only_asked:
        check_penalties(recipe, model.trunk)
    forward = placed(model, recipe, device, is_frozen=is_only_asked or leaves_frozen(method, model.trunk, recipe))
    grades = _grades(data.train, data.labels) if "grades" in objective.fills else ()
    encoder = text_encoder(recipe, model, data.labels, data.asked, _numbers(data.train), grades)
    check_head_first(recipe, objective_name, objective, encoder)
    if not is_only_asked and recipe.trains and getattr(objective, "teaches_trunk", False) and changes_nothing(method, model.trunk):
        raise MethodError(
            f"method: {recipe.method.name} trains nothing of the trunk, which the objective {objective_name} as it is set teaches alone. Use lora or full."
        )
    task = Task(
        recipe, device, data, model, encoder, objective_name, objective, method, metrics, select_by, forward, stop_tokens(model),
        micro_batch_tokens=recipe.engine.micro_batch_tokens,
    )  # fmt: skip
    task.remarks += check_heads(task)
    for name, examples in {"train": data.train, "validation": data.validation, "test": data.test, **data.domains}.items():
        task.splits[name], task.encoded[name] = _encode(task, name, examples, say)
    if answers(task.kind) and not model.facts.is_encoder_decoder:
        test = task.splits["test"].examples
        prompts = encoder.prompts([test[row] for row in rows_to_answer(task, test)])
        task.num_prompts_cut = sum(len(prompt) > longest_prompt(model.facts) for prompt in prompts)
    task.remarks += check_coverage(task)
    for remark in task.remarks:
        say(Warned(remark))
    learned = {row.origin.task for row in task.splits["train"].rows} if data.sets else {""} if task.splits["train"].rows else set[str]()
    missing = next((f"data.mix.{name}" for name in data.sets if name not in learned), "" if learned else recipe.data.named)
    if missing:
        raise DataError(f"{missing}: no training row has anything left to learn. Raise model.max_length, or shorten data.template.")
    return task


def rows_to_answer(task: Measurable, examples: Sequence[Example]) -> list[int]:
    """Places of the examples that a language model is to answer in its own words: the first `evaluate.generate_limit`, of a mixture those of each
    set, and none whose answers are given to choose among.
    """
    taken, rows = Counter[str](), list[int]()
    for row, example in enumerate(examples):
        name = example.origin.task if task.data.sets else ""
        if taken[name] < task.recipe.evaluate.generate_limit and not task.encoder.choices(example):
            taken[name] += 1
            rows.append(row)
    return rows


def _encode(task: Task, name: str, examples: Sequence[Example], say: Say) -> tuple[EncodedSplit, EncodedFacts]:
    spec = task.recipe.objective
    key = (task.objective_name, dict(spec.options) if spec else {})
    encoded = encode(
        examples, task.objective, task.encoder, cache_key=key, too_long=task.recipe.data.too_long, name=name,
        progress=lambda done: say(Progress(f"encode {name}", done, len(examples))),
    )  # fmt: skip
    kept = sorted(set(encoded.examples))
    place = {index: at for at, index in enumerate(kept)}
    left = chosen(examples, kept)
    reference = task.objective.reference if isinstance(task.objective, HeadObjective) else task.encoder.reference
    references: Sequence[str] = (
        StoredTexts(left, reference) if isinstance(left, StoredExamples) else [reference(example) for example in left]
    )
    return EncodedSplit(left, encoded.rows, [place[index] for index in encoded.examples], references), encoded.facts


def _numbers(examples: Sequence[Example]) -> tuple[float, float]:
    """Mean and standard deviation of the numbers that the examples name; 0 and 1 where they name none."""
    values = [example.value for example in examples if isinstance(example, Rated) and example.value is not None]
    return (fmean(values), pstdev(values)) if values else (0.0, 1.0)


def _grades(examples: Sequence[Example], attributes: Sequence[str]) -> tuple[tuple[float, float], ...]:
    """Of each attribute the mean and standard deviation of its grades; not a number, and 0, where it has none."""
    found: dict[str, list[float]] = {name: [] for name in attributes}
    for example in examples:
        for name, grade in example.grades if isinstance(example, Graded) else ():
            if grade is not None and name in found:
                found[name].append(grade)
    return tuple((fmean(grades), pstdev(grades)) if grades else (math.nan, 0.0) for grades in found.values())


def learning_rate(recipe: Recipe, method: Method) -> float:
    """The recipe's, or the method's own."""
    rate = recipe.train.learning_rate
    return method.learning_rate if rate == "auto" else rate


def attach(task: Task) -> list[ParamGroup]:
    """Apply the method to the trunk, put the objective's heads on it, and return what trains.

    The heads of an earlier run are taken over for the labels that they have.
    """
    facts = task.model.facts
    torch.manual_seed(task.recipe.seed)
    groups = task.method.apply(task.model.trunk)
    task.model.trunk.to(task.device)
    task.forward.use_virtual_tokens(task.method.virtual_tokens)
    if not task.recipe.engine.exact_reference:
        task.forward.use_fused_layers()
    task.forward.caches_exactly = None  # tried on the model before tuning
    if task.method.base_precision == "int8" and not task.forward.use_int8_base():
        raise MethodError("method.base_precision: int8 keeps frozen linear layers in int8, and this model has none. Use exact.")
    if not task.objective.uses_lm_head and facts.has_lm_head:
        groups = _without_vocabulary_head(task.model.trunk, groups)
    fresh = new_labels(task)
    for name, spec in task.objective.heads(task.encoder).items():
        torch.manual_seed(task.recipe.seed)
        earlier = earlier_head(task, name)
        pooling, num_layers = (task.model.pooling, 1) if earlier is None else (earlier.pooling, earlier.num_layers)
        pooling = pooling if spec.pooling == "auto" else spec.pooling
        num_layers = num_layers if spec.num_layers is None else spec.num_layers
        head = Head(
            name, facts.hidden_size, spec.outputs, pooling=pooling, num_layers=num_layers, dropout=spec.dropout,
            shift=spec.shift, scale=spec.scale,
        )  # fmt: skip
        if earlier is not None:
            head.take_over(earlier, fresh=[task.encoder.labels.index(label) for label in fresh])
        task.forward.heads[name] = head.to(task.device)
        groups.append(ParamGroup(name, list(head.parameters()), lr_scale=spec.lr_scale))
    if task.encoder.labels and isinstance(task.objective, HeadObjective):
        write_label_map(task.model.trunk.config, task.encoder.labels)
    # what a policy says while it trains is held against what it said when it wrote, which was without
    task.forward.drops_out = not isinstance(task.objective, OnlineObjective)
    if not task.recipe.engine.exact_reference:
        task.forward.keep_features()
    if getattr(task.objective, "needs_reference", "") in ("live", "swapped") or task.rewards is not None:
        task.forward.keep_reference()
    torch.manual_seed(task.recipe.seed)
    return [group for group in groups if group.params]


def _without_vocabulary_head(trunk: Any, groups: list[ParamGroup]) -> list[ParamGroup]:
    """A classifier never reads the vocabulary head: where it is a matrix of its own, it would count as trained and never change."""
    unread = vocabulary_head_alone(trunk)
    for p in unread:
        p.requires_grad_(False)
    return [_only(group, {id(p) for p in unread}) for group in groups]


def _only(group: ParamGroup, unused: set[int]) -> ParamGroup:
    kept = [p for p in group.params if id(p) not in unused]
    if group.num_trained is None or len(kept) == len(group.params):
        return replace(group, params=kept)
    per_matrix = group.num_trained // len(group.params)  # as many rows of each, of the same width
    return replace(group, params=kept, num_trained=per_matrix * len(kept))
