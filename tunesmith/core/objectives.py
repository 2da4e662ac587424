"""The contracts of objectives: WHAT loss. `core.types` exports them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from tunesmith.core.encoded import Row
from tunesmith.core.examples import Example
from tunesmith.core.metrics import Output

if TYPE_CHECKING:
    from torch import Tensor

    from tunesmith.core.batch import Batch
    from tunesmith.core.rollout import Rollout
    from tunesmith.core.types import Encoder, Forward, HeadSpec, Loss

__all__ = ["AnswerObjective", "HeadObjective", "Objective", "OnlineObjective"]


@runtime_checkable
class Objective(Protocol):
    """WHAT loss. A file in `objective/`.

    It may have beside:
    `teaches_trunk` (ClassVar, bool): its method has to train something of the trunk;
    `learns_documents` (ClassVar, bool): it encodes `Text` too, never judged;
    `needs_reference` (ClassVar, "stored", "live" or "swapped"): what the model said of a row's answers before training is stored with every row, as the value
    `reference`, nats, one an answer; live: `Forward.as_reference` can be asked too; swapped: that alone.
    """

    accepts: ClassVar[tuple[type, ...]]
    """The kinds of example that it learns from."""
    uses_lm_head: ClassVar[bool]
    """Whether it reads the model's own vocabulary head."""
    fills: ClassVar[frozenset[str]]
    """What its predictions hold, and so which metrics fit: fields of Output (`nll` and `masked`, of masked tokens, stand for `nll_nats`)."""
    headline: ClassVar[str]
    """The metric that a report leads with."""

    def heads(self, encoder: Encoder) -> Mapping[str, HeadSpec]:
        """The heads it needs, by name; each trains as a group of its own."""

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """Deterministic, cached. Several rows where a text is longer than the model; none where nothing can be learned from it."""

    def draw(self, row: Row, rng: np.random.Generator) -> Row:
        """The row as this epoch sees it (masking, sampling)."""

    def prepare(self, forward: Forward, batches: Sequence[Batch]) -> None:
        """See a whole step, without gradients, before its first backward pass."""

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        """Sums over the batch, with gradients."""


@runtime_checkable
class AnswerObjective(Objective, Protocol):
    """An objective of a language model that says how much it likes each of the answers that were judged."""

    def scores(self, forward: Forward, batch: Batch) -> Tensor:
        """The higher, the better it likes the answer, (A,)."""


@runtime_checkable
class OnlineObjective(Objective, Protocol):
    """An objective that learns from answers which the policy itself writes while it trains: rollouts. Its rows are prompts.

    A rollout is the prompts of `minibatches` steps, with `num_answers` answers each; it is learned from in `passes` passes, a step a minibatch.
    """

    @property
    def num_answers(self) -> int:
        """To each prompt."""

    @property
    def max_new_tokens(self) -> int:
        """The most of an answer, the one that ends it among them."""

    @property
    def minibatches(self) -> int:
        """Steps that a pass over a rollout takes."""

    @property
    def passes(self) -> int:
        """Passes over a rollout."""

    @property
    def max_kl(self) -> float:
        """How far the policy may go from its reference before training stops, nats an answer, on average over a rollout."""

    @property
    def asks_reference(self) -> bool:
        """Whether it learns from what the reference says of the answers."""

    @property
    def value_head(self) -> str | None:
        """The head that says what is to be expected from each target on; None: there is none."""

    def learn_from(self, rollout: Rollout) -> list[Row]:
        """The rollout's rows with what `loss` reads: values of answers and of targets."""

    def state(self) -> Mapping[str, float]:
        """What it has found so far beside the weights, to go on from after an interruption."""

    def go_on(self, state: Mapping[str, float]) -> None:
        """Take over what `state` gave."""


@runtime_checkable
class HeadObjective(Objective, Protocol):
    """An objective whose answers are read off a head of its own, not off the model's vocabulary head."""

    head: ClassVar[str]
    """The head that is read."""
    reads: ClassVar[Literal["answer", "target"]]
    """Whether it is read for a row's answers, or at the position of every target."""

    def outputs(
        self, examples: Sequence[Example], rows: Sequence[Row], owners: Sequence[int], heard: Sequence[Tensor], encoder: Encoder
    ) -> list[Output]:
        """One output an example.

        Args:
            owners: the example of each row.
            heard: for each row what the head said, float64 on the CPU, shape (its answers, outputs), one answer unless the objective says so, or (its targets, outputs).
        """

    def reference(self, example: Example) -> str:
        """The right answer as text."""

    def constant(self, train: Sequence[Example], asked: Sequence[Example]) -> list[Output]:
        """What the best constant answer says, learned from `train` without reading a text: the least a model has to beat. Empty: none."""
