"""What a recipe says, as pydantic models: frozen, strict, every unknown key refused."""

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tunesmith.recipe.amounts import Chunk, Limit, Split
from tunesmith.recipe.arms import Arms, Budget, MemoryBudget, Prefer, Search
from tunesmith.recipe.base_model import ModelSpec
from tunesmith.recipe.endpoints import unanswerable
from tunesmith.recipe.judge import JudgeSpec
from tunesmith.recipe.measured import DomainSpec, RetentionSets
from tunesmith.recipe.messages import AT_KEY, shown
from tunesmith.recipe.plugins import FormatName, PluginSpec, check_name, plugin
from tunesmith.recipe.section import Name, Names, Positive, Section
from tunesmith.recipe.sources import Source, source_name

__all__ = [
    "Chunk",
    "DataSpec",
    "DomainSpec",
    "EngineSpec",
    "EvaluateSpec",
    "Limit",
    "MixBy",
    "MixEntry",
    "ModelSpec",
    "Recipe",
    "Split",
    "TrainSpec",
]

NOTHING = "none"
"""In place of a method: nothing is trained."""
UNTRAINED = ("best_of_n",)
"""Objectives that choose among answers and train nothing."""
RewardSpec = Annotated[PluginSpec, plugin("reward", is_short=True)]
MetricSpec = Annotated[PluginSpec, plugin("metric", is_short=True)]


class MixEntry(Section):
    """One data set of a mixture. A plain number is its weight."""

    shorthand: ClassVar[str | None] = "weight"

    weight: float = Field(default=1.0, gt=0)
    """Its share beside the others' (`mix_by: weights`), or how many times an epoch passes over it (`mix_by: epochs`)."""
    source: Source | None = None
    """As `data.train`, for this set; none: the entry's name."""
    validation: Source | None = None
    """As `data.validation`, for this set."""
    test: Source | None = None
    """As `data.test`, for this set."""
    format: FormatName | None = None
    """As `data.format`, for this set."""
    columns: Names = Field(default_factory=dict)
    """As `data.columns`, for this set."""
    labels: Names | None = None
    """As `data.labels`, for this set; the names are what a language model answers with."""
    template: str | list[str] | None = None
    """As `data.template`, for this set."""
    limit: Limit = Limit()
    """The most rows to use of this set; what is left out is as `data.limit` says."""


class MixBy(Section):
    """What makes the shares of a mixture. A plain word is the rule."""

    shorthand: ClassVar[str | None] = "rule"

    rule: Literal["weights", "temperature", "epochs"] = "weights"
    """weights: each set's share of an epoch's rows is its weight beside the others'; temperature: proportional to rows ** (1 / temperature); epochs: an epoch
    passes over each set as many times as its weight says."""
    temperature: float = Field(default=1.0, gt=0)
    """T of the rule temperature: 1 shares by size, larger values favour small sets."""

    @model_validator(mode="before")
    @classmethod
    def _implied(cls, value: Any) -> Any:
        return {"rule": "temperature", **value} if isinstance(value, dict) and set(value) == {"temperature"} else value


def _wrong(key: str, text: str) -> PydanticCustomError:
    return PydanticCustomError(AT_KEY, "{text}", {"key": key, "text": text})


class DataSpec(Section):
    """The data. A plain text is the training source."""

    shorthand: ClassVar[str | None] = "train"

    train: Source | None = None
    """An alias, a file or several (`data/*.jsonl`), a folder with one folder a class or of documents, a hub id, or a mapping: an address, a query, a sheet, a
    table without a header, two parallel files. Relative paths start at the current folder. This or `mix` must be there."""
    mix: dict[str, MixEntry] = Field(default_factory=dict)
    """Several data sets trained as one, by name, in place of `train`: `{docstrings: 0.9, small-talk: 0.1}`."""
    mix_by: MixBy = MixBy()
    """How the sets of `mix` share an epoch: weights, epochs, or `{temperature: T}`."""
    validation: Source | None = None
    """A source of its own for validation; none: split off `train`."""
    test: Source | None = None
    """A source of its own for the test; none: split off `train`."""
    documents: Source | None = None
    """Raw texts to learn in place of the training rows: a folder of documents, or a source such as `python-reference`. It is continued pretraining that is chosen and judged by
    the validation and test rows of `train`, which are questions or pairs (docs/corpora.md)."""
    folder: str | None = None
    """A folder with the files of a benchmark, in place of the hub: the option of that name of every source that has it, such as `{glue: sst2}`."""
    format: FormatName | None = None
    """How a row is read; none: found from the columns."""
    columns: Names = Field(default_factory=dict)
    """What a column is called here: `{text: review, label: sentiment}`. Roles are those of the formats: text, label, source, target, messages, ... (docs/data.md)."""
    labels: Names | None = None
    """What the values of the label column mean: `{0: negative, 1: positive}`."""
    keep_labels: list[Name] | None = None
    """The classes, by their names, whose rows are used; none: all of them."""
    label_texts: Names | None = None
    """The words that stand for a label in the zero-shot baseline; none: its name."""
    template: str | list[str] | None = None
    """How a language model is asked: `Classify this review: {text}`. Of a list, each row gets one, always the same."""
    chat_template: str | None = None
    """How a conversation is laid out: the name of a layout (chatml, hermes, llama3, gemma, mistral, phi, zephyr, alpaca, vicuna) or a .jinja file; null: the model's own."""
    loss_on: Literal["completion", "assistant", "all", "last"] = "assistant"
    """What is learned of a conversation: the answers after its last prompt, every answer, every token, or the last answer alone."""
    system: str | None = None
    """The system message of every conversation."""
    limit: Limit = Limit()
    """The most rows to use."""
    train_fraction: float = Field(default=1.0, gt=0, le=1)
    """Part of the training rows to learn from, each label in proportion; a smaller part's rows are among a larger one's (`tune --curve`)."""
    split: Split = Split()
    """What to hold out."""
    too_long: Literal["cut", "drop", "refuse"] = "cut"
    """What becomes of an example longer than the model takes."""
    chunk: Chunk = Chunk()
    """How long raw texts are cut into windows."""
    allow_overlap: bool = False
    """Go on though a test text also stands in the training data."""
    on_disk: bool | Literal["auto"] = "auto"
    """Keep the examples of files on the disk and make them when they are asked for; auto: where a file would take much of the memory."""
    skip_invalid: bool = False
    """Leave out rows that are broken or make no example, count them, and keep them in the run's `quarantine.jsonl`; else the first one is an error."""

    @model_validator(mode="after")
    def _one_kind_of_source(self) -> Self:
        if self.folder is not None:  # what stands for the sources' own option has been put there
            raise _wrong("folder", "is for the files of a benchmark, and no source here is a task of one, such as {glue: sst2}.")
        if self.keep_labels == []:
            raise _wrong("keep_labels", "names no class. Name those whose rows are used, or leave it out.")
        if not self.mix:
            if self.train is None:
                raise _wrong("train", "missing.")
            if self.mix_by != MixBy():
                raise _wrong("mix_by", "says how the sets of data.mix share an epoch, and there is no data.mix.")
            return self
        if self.train is not None:
            raise _wrong("mix", f"stands beside data.train ({shown(self.train)}). Leave one of them out: data.train=null or data.mix={{}}.")
        if self.documents is not None:
            raise _wrong("documents", "stands in place of the rows of one source, and data.mix names several. Leave one of them out.")
        if self.keep_labels is not None:
            raise _wrong("keep_labels", "is for the rows of one source, and data.mix names several. Leave it out.")
        for key in ("validation", "test", "format", "columns", "labels", "label_texts", "template"):
            if getattr(self, key):
                name = next(iter(self.mix))
                raise _wrong(key, f"belongs to the sets of data.mix, each its own: data.mix.{name}.{key}.")
        weighed = next((name for name, entry in self.mix.items() if entry.weight != 1), None)
        if self.mix_by.rule == "temperature" and weighed is not None:
            raise _wrong(
                f"mix.{weighed}.weight",
                "has no meaning beside data.mix_by.temperature, which makes the shares from the sizes. Leave it out.",
            )
        return self

    @property
    def named(self) -> str:
        """What is trained on, for people: the source, or the names of the mixture's sets."""
        return source_name(self.documents or self.train) if self.train else " + ".join(self.mix)

    @field_validator("template")
    @classmethod
    def _some(cls, value: str | list[str] | None) -> str | list[str] | None:
        if value == []:
            raise ValueError("expected a text or a list of texts, found an empty list.")
        return value


class TrainSpec(Section):
    """How to train."""

    epochs: float = Field(default=1.0, gt=0)
    """Passes over the training rows."""
    max_steps: Positive | None = None
    """Stop after so many steps, whatever the epochs."""
    learning_rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """The largest learning rate, after the warm-up; auto: the method's own (docs/methods.md)."""
    optimizer: Literal["adamw", "adam", "sgd", "rmsprop", "nt_asgd"] = "adamw"
    """The optimizer; nt_asgd: SGD whose weights are averaged from the first validation on whose loss is above the least of all but the last five before it."""
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Momentum of sgd and rmsprop."""
    betas: tuple[float, float] = Field(default=(0.9, 0.999))
    """Decay of the two running means of adam and adamw."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decay of matrices; vectors (biases, norms) never decay."""
    schedule: Literal["constant", "linear", "cosine", "slanted_triangular"] = "linear"
    """How the learning rate goes from its largest to zero; slanted_triangular: from a 32nd of it up and down to that again (ULMFiT, with a warm-up of 0.1)."""
    warmup_ratio: float = Field(default=0.05, ge=0, le=1)
    """Share of the steps in which the learning rate rises."""
    max_grad_norm: float | None = Field(default=1.0, gt=0)
    """Clip longer gradients to this length; null: do not clip."""
    penalty_scale: float = Field(default=1.0, ge=0)
    """What a network itself adds to its loss, such as AWD-LSTM's penalties of its states, times this; 0: nothing."""
    examples_per_step: Positive = 16
    """Examples of one optimizer update, however many micro-batches they take."""
    evaluations_per_epoch: Positive = 2
    """Validations in an epoch, evenly spaced."""
    early_stopping_patience: Positive | None = None
    """Stop after so many validations without a better one; null: never."""
    head_first: bool = False
    """Before training, fit a new head alone on what the model as it is says of up to 1,024 training rows, in seconds (linear probing, then fine-tuning)."""
    checkpoint_every_steps: Positive | None = None
    """Save a checkpoint to resume from this often; null: at every validation."""
    select_by: str | None = None
    """What the best weights are best at on the validation split: `loss` or a metric; null: the objective's first metric."""

    @field_validator("betas", mode="before")
    @classmethod
    def _pair(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("betas")
    @classmethod
    def _decays(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in value):
            raise ValueError(f"expected two numbers from 0 to below 1, found {list(value)}.")
        return value

    @field_validator("select_by")
    @classmethod
    def _selectable(cls, value: str | None) -> str | None:
        return value if value in (None, "loss") else str(check_name("metric", value, "loss"))


class EvaluateSpec(Section):
    """What to measure, base and tuned, on the test split."""

    metrics: list[MetricSpec] | None = None
    """Names of metrics, or mappings of `name` and options; null: the usual ones of those that fit the objective (docs/metrics.md)."""
    domains: dict[str, DomainSpec] = Field(default_factory=dict)
    """Other data to measure on, by a name for the report."""
    retention: RetentionSets = "auto"
    """What the model is not to forget, measured before and after: sets by name, as `{ours: ours.txt}`; auto: small general texts, and the earlier runs that the
    model comes from, for a small part of the run's time (docs/forgetting.md); none: nothing."""
    prompts: list[str] = Field(default_factory=list)
    """Prompts that a language model answers before and after, side by side in the report."""
    max_new_tokens: Positive = 64
    """The most tokens of a generated answer."""
    generate_limit: Annotated[int, Field(ge=0)] = 100
    """Test rows for which answers are generated."""
    samples: Annotated[int, Field(ge=0)] = 8
    """Test rows shown side by side in the report."""
    continuations: Annotated[int, Field(ge=0)] = 0
    """Held-out raw texts whose beginning the model goes on with, side by side; the report says how much of that stands in the training texts."""
    rewards: list[RewardSpec] = Field(default_factory=list)
    """Judges of own answers that the training never sees, where the objective learns from rewards."""
    judge: JudgeSpec | None = None
    """A model that compares the answers of base and tuned; null: none."""


class EngineSpec(Section):
    """On what and how exactly to compute."""

    device: str = "auto"
    """auto, cpu, cuda, cuda:0, ... or mps; auto: the first GPU, else the CPU."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 where the device computes it faster, else fp32; a network that reads rows of numbers is float32 always, as bf16 would round them."""
    micro_batch_tokens: Positive = 2048
    """Tokens that are computed at a time: more is faster and takes more memory; the result is the same."""
    compile: bool | Literal["auto"] = "auto"
    """Compile the model's layers before training: faster steps for up to a minute's wait; auto: where the training is long enough to win."""
    activation_checkpointing: bool | Literal["feed_forward", "auto"] = "auto"
    """Compute each layer's activations a second time in the backward pass: less memory, slower steps, the same result; feed_forward: those of gated feed-forward parts only, most of what is kept for half the time; auto: each layer's, where the plan needs more memory than there is."""
    exact_reference: bool = False
    """Compute in the plain ways, with no packing, fused layers, compiled code, kept or recomputed activations: slow, to compare with."""
    num_threads: Positive | None = None
    """CPU threads; null: one a core."""

    @field_validator("device")
    @classmethod
    def _device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
            raise ValueError(f"expected auto, cpu, cuda, cuda:0, ... or mps, found {shown(value)}.")
        return value


class Recipe(Section):
    """Everything that a run depends on."""

    name: str = Field(min_length=1)
    """Begins the names of its runs; where it is left out, the file's name."""
    description: str = ""
    """What it is for, in a sentence."""
    model: ModelSpec
    """The model to start from."""
    data: DataSpec
    """The data to learn from and to be judged by."""
    method: Annotated[PluginSpec, plugin("method", none=NOTHING)] = Field(default_factory=lambda: PluginSpec.resolve("method", "lora"))
    """What trains; none: nothing, and what `context` says adapts the model alone."""
    context: Annotated[PluginSpec, plugin("strategy")] | None = None
    """What is put into the model's context: in place of training, with `method: none`, or beside it, in the training's prompts too (docs/in-context.md); null: the
    question alone."""
    objective: Annotated[PluginSpec, plugin("objective")] | None = None
    """What is learned; null: found from the data."""
    rewards: list[RewardSpec] = Field(default_factory=list)
    """What an own answer is rewarded for, where the objective learns from these (ppo, grpo, best_of_n): rewards with their options and weights, which are summed
    (docs/rewards.md)."""
    train: TrainSpec = TrainSpec()
    """How to train."""
    evaluate: EvaluateSpec = EvaluateSpec()
    """What to measure."""
    engine: EngineSpec = EngineSpec()
    """On what to compute."""
    arms: Arms | None = None
    """What `tunesmith compare` holds against each other: a list of known arms, or a mapping of arms to what each changes, as `{wide: [method=lora, method.r=64],
    full: null}`; null: the usual ones for the data and the model (docs/comparing.md)."""
    search: Search = "auto"
    """What `tunesmith compare` tries of each trained arm on parts of the training rows before it is trained on all; auto: a third, once and three times its learning
    rate; a mapping of settings to values, as `{train.learning_rate: [1e-4, 1e-3], method.r: [8, 64]}`: each with each, for arms that have them; none: nothing. What an arm names itself stays."""
    budget: Budget | None = None
    """How long `tunesmith compare` may take, as 90s, 20m or 1.5h; null: as long as it takes."""
    budget_memory: MemoryBudget | None = None
    """How much memory an arm of `tunesmith compare` may take, as 800MB or 4GB: one that is predicted to take more is not begun; null: any."""
    budget_usd: Annotated[float, Field(gt=0)] | None = None
    """The most US dollars that models behind endpoints may cost, of a comparison all of them together: a request that could exceed it is not sent. Needs their
    prices; null: what it costs."""
    prefer: Prefer = "cost"
    """Which arm `tunesmith compare` takes of those that the test rows do not tell apart: the one that is cheapest to train and to ask, the best by its value, the quickest to
    answer, the smallest in memory, the one whose questions stay on this machine, or the one that is brought up to date without training."""
    export: Literal["h5"] | None = None
    """h5: also write the tuned network into the run as network.h5, which Keras loads; null: nothing beside what every run keeps."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of everything that is drawn."""
    output_dir: str | None = None
    """The run's folder; null: `runs/NAME-DATE-TIME`."""

    @property
    def trains(self) -> bool:
        """Whether anything is trained."""
        return self.method.name != NOTHING

    @model_validator(mode="after")
    def _adapts(self) -> Self:
        chooses = self.objective is not None and self.objective.name in UNTRAINED
        if chooses and self.trains:
            raise _wrong("objective", f"{self.objective.name} trains nothing. Set method=none, or use grpo or ppo.")  # type: ignore[union-attr]
        if not self.trains and self.context is None and not chooses:
            raise _wrong(
                "method", "none trains nothing, and no context says what the model is to be shown. Set context=few_shot, or a method."
            )
        if self.model.architecture is not None and self.method.name != "full":
            raise _wrong(
                "method",
                f"{self.method.name} leaves weights as they are, and those of a new model.architecture have learned nothing. Use full.",
            )
        if self.model.is_endpoint and (found := unanswerable(self)):
            raise _wrong(*found)
        if not self.trains and self.data.documents is not None:
            raise _wrong(
                "data.documents",
                "is for a method to learn, and none trains nothing. Name a method, or have them looked up: context=retrieval.",
            )
        return self

    @field_validator("name")
    @classmethod
    def _file_name(cls, value: str) -> str:
        if re.search(r'[/\\:*?"<>|\x00-\x1f]', value) or value.strip(" .") != value:
            raise ValueError(f"expected a word that can begin a folder's name, found {shown(value)}.")
        return value
