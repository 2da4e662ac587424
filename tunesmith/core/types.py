"""The types that the packages meet in: examples, encoded rows, and the contracts of a method, an objective and a metric.

Nothing here imports torch at run time. Tensors are named with a suffix of their dimensions:

    T tokens of a packed stream    S segments    N scored positions (targets)    A answers (what a head reads)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

from tunesmith.core.encoded import Encoded, EncodedContext, EncodedWords, Row, Segment, Targets, WordWindow
from tunesmith.core.examples import (
    Call,
    Chat,
    Choice,
    Completion,
    Example,
    Graded,
    Labelled,
    Marked,
    Message,
    MultiLabelled,
    Origin,
    Preference,
    Prompt,
    Ranked,
    Rated,
    SpanQuestion,
    Stepwise,
    Tagged,
    Text,
    Tokens,
    Unpaired,
)
from tunesmith.core.metrics import Metric, Output, QuestionMetric
from tunesmith.core.objectives import AnswerObjective, HeadObjective, Objective, OnlineObjective

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tunesmith.core.batch import Batch

__all__ = [
    "AnswerObjective",
    "BasePrecision",
    "Call",
    "Chat",
    "Choice",
    "Completion",
    "Encoded",
    "EncodedContext",
    "EncodedWords",
    "Encoder",
    "Example",
    "Forward",
    "Graded",
    "HeadObjective",
    "HeadSpec",
    "Labelled",
    "Loss",
    "Marked",
    "Message",
    "Method",
    "Metric",
    "ModelFacts",
    "MultiLabelled",
    "Objective",
    "OnlineObjective",
    "Origin",
    "Output",
    "ParamGroup",
    "Preference",
    "Prompt",
    "QuestionMetric",
    "Ranked",
    "Rated",
    "Row",
    "Segment",
    "SpanQuestion",
    "Step",
    "Stepwise",
    "Tagged",
    "Targets",
    "Text",
    "Tokens",
    "Unpaired",
    "WordWindow",
]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the engine, the encoder and the plan need to know of a model, read off its config and its modules."""

    name: str
    architecture: str
    model_type: str
    is_causal: bool
    is_encoder_decoder: bool
    has_lm_head: bool
    hidden_size: int
    num_layers: int
    vocab_size: int
    max_length: int
    """The most tokens that a sequence may have."""
    first_position: int
    """The position id of a sequence's first token: 0, but for RoBERTa's family, whose padding takes the first ones."""
    has_token_types: bool
    pad_token_id: int
    decoder_start_token_id: int | None
    num_parameters: int
    parts: Mapping[str, int]
    """Parameters by part: embeddings, attention, feed_forward, norms, head, other."""
    num_columns: int = 0
    """Of a model that reads rows of numbers in place of tokens, how many; 0: it reads tokens."""
    columns: tuple[str, ...] = ()
    """The names of these columns, where they are known."""


BasePrecision = Literal["exact", "int8"]


@dataclass(frozen=True, slots=True)
class ParamGroup:
    """Parameters that train with the same multiple of the learning rate."""

    name: str
    params: Sequence[nn.Parameter]
    lr_scale: float = 1.0
    weight_decay: float | None = None
    """None: the recipe's for matrices, none for vectors (biases and norms)."""
    from_epoch: float = 0.0
    """Gradual unfreezing: the group stands still before this epoch."""
    num_trained: int | None = None
    """How many of the parameters' numbers move, where the method holds the others still; None: all of them."""


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """A head that an objective needs on top of the trunk."""

    outputs: int
    pooling: Literal["auto", "first", "mean", "last", "concat"] = "auto"
    """How a segment becomes one vector; auto: the last token of a causal model, the mean of an encoder's."""
    num_layers: int | None = 1
    """None: as many as the head that is taken over has, else one."""
    dropout: float = 0.0
    lr_scale: float = 1.0
    """Learning rate of the head, as a multiple of the recipe's."""
    shift: float | tuple[float, ...] = 0.0
    scale: float | tuple[float, ...] = 1.0
    """Outputs are `shift + scale * (what the layers say)`: the unit of the data, where the head names numbers. One number, or one an output."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Sums of losses over a micro-batch, in nats. A step's loss is the sum over k of `sums[k] / counts[k]`, its counts taken over the whole step."""

    sums: Mapping[str, Tensor]
    metrics: Mapping[str, Tensor] = field(default_factory=dict)
    """What else is to be seen of the training, summed over the micro-batch's rows, without a gradient; a step tells the mean over its rows."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one optimizer update did."""

    index: int
    """1-based."""
    loss: float
    """Nats, averaged over the step's targets."""
    grad_norm: float
    learning_rate: float
    num_examples: int
    num_tokens: int
    num_targets: float
    seconds: float
    epoch: float
    metrics: Mapping[str, float] = field(default_factory=dict)


class Encoder(Protocol):
    """The one renderer and tokenizer, for training, evaluation, chat and export alike."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of a head's outputs, in their order: classes, or the attributes of graded answers; empty where the data has none."""

    @property
    def numbers(self) -> tuple[float, float]:
        """Mean and standard deviation of the training rows' numbers."""

    @property
    def grades(self) -> tuple[tuple[float, float], ...]:
        """Of graded answers, of each of `labels` the mean and standard deviation of the training rows' grades; empty where none are known."""

    @property
    def facts(self) -> ModelFacts:
        """Of the model that it encodes for."""

    @property
    def max_length(self) -> int:
        """The most tokens of a sequence."""

    def encode(self, example: Example) -> Encoded:
        """Render and tokenize; cut to `max_length`, counting what was cut."""

    def windows(self, example: Text | Tokens) -> list[Encoded]:
        """A text, or tokens, of any length as sequences of at most `max_length`, every token that is learned scored once (but the very first)."""

    def words(self, words: Sequence[str]) -> EncodedWords:
        """Tokenize a sentence that is given word by word."""

    def contexts(self, question: str, context: str) -> list[EncodedContext]:
        """Tokenize a question with its context: several overlapping windows where the context is too long for one."""

    @property
    def mask_token_id(self) -> int | None:
        """The token that stands for one to be filled in; None where the tokenizer has none."""

    def word_windows(self, example: Text) -> list[WordWindow]:
        """Tokenize a text of any length into sequences of at most `max_length`, none of which overlap, with the words that tokens belong to."""

    def prompt(self, example: Example) -> tuple[int, ...]:
        """The tokens that the model continues when it is asked to answer `example`."""

    def prompts(self, examples: Sequence[Example]) -> list[tuple[int, ...]]:
        """As `prompt`, of many, quicker."""

    def reference(self, example: Example) -> str:
        """The answer that `example` holds to its own `prompt`."""

    def choices(self, example: Example) -> tuple[str, ...]:
        """The answers that `example` is judged among, by their likelihood; empty where its answer is open."""

    def answers(self, example: Example) -> list[tuple[int, ...]]:
        """The tokens of each of `choices(example)` as they follow `prompt(example)`, the end of the turn included."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of `tokens`, without special tokens."""


class Forward(Protocol):
    """The model as the objectives see it. Every result is differentiable where gradients are on."""

    def nll(self, batch: Batch) -> Tensor:
        """Weighted sum over the batch's targets of -log p(label), nats, scalar float32."""

    def logprobs(self, batch: Batch, *, with_entropy: bool = True) -> tuple[Tensor, Tensor]:
        """Log-probability of every label and entropy of its distribution (where wanted), nats, each shape (N,), float32."""

    def head(self, name: str, batch: Batch, at: Literal["answer", "target"] = "answer") -> Tensor:
        """Outputs of the head `name`, shape (A, outputs) or (N, outputs), float32."""

    def pooled(self, name: str, batch: Batch) -> Tensor:
        """The vector of each answer that the head `name` reads, shape (A, H), in at least float32."""

    def read(self, name: str, vectors: Tensor) -> Tensor:
        """Outputs of the head `name` for vectors (n, H), shape (n, outputs), float32."""

    def once(self, batch: Batch) -> AbstractContextManager[None]:
        """Inside the block the trunk runs for `batch` once, whatever is read of its hidden states."""

    def as_reference(self) -> AbstractContextManager[None]:
        """Inside the block the model is what it was before training, and makes no gradients. Needs an objective with `needs_reference: live`."""


@runtime_checkable
class Method(Protocol):
    """WHAT trains. A file in `method/`."""

    learning_rate: ClassVar[float]
    """Of AdamW, where the recipe names none."""

    @property
    def virtual_tokens(self) -> int:
        """Learned tokens put before every sequence."""

    @property
    def mergeable(self) -> bool:
        """Whether the change can be folded into the model's own weights."""

    @property
    def starts_at_base(self) -> bool:
        """Whether the untrained method leaves the model's outputs as they are."""

    @property
    def base_precision(self) -> BasePrecision:
        """Numbers that products with frozen weights are made in: `exact`, the model's own, or `int8`."""

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Change `trunk` in place and return what trains. It never sees heads."""

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write what trained to `folder`, in the field's own file format."""

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Give `trunk`, to which `apply` was done, the tensors that `save` wrote."""
