"""What it takes to measure what a model said: a recipe made ready, whether its model is on this machine or behind an endpoint."""

from collections.abc import Mapping
from typing import Literal, Protocol

from tunesmith.app.dataset import PreparedData
from tunesmith.app.judging import EncodedSplit
from tunesmith.app.learned import writes
from tunesmith.core.types import Objective
from tunesmith.data import ChatEncoder, TextEncoder
from tunesmith.recipe import Recipe

__all__ = ["BaseKind", "Measurable", "has_answer"]

BaseKind = Literal["zero_shot", "as_it_is"]
"""How a base model was asked: for labels that it was never taught, or for what it does already."""


class Measurable(Protocol):
    """`task.Task`, and `remote.RemoteTask`."""

    @property
    def recipe(self) -> Recipe:
        """What is to be done."""

    @property
    def data(self) -> PreparedData:
        """The examples."""

    @property
    def encoder(self) -> TextEncoder | ChatEncoder:
        """What words them for the model."""

    @property
    def objective_name(self) -> str:
        """As a recipe names it."""

    @property
    def objective(self) -> Objective:
        """What is to be learned, or asked for."""

    @property
    def kind(self) -> str:
        """What is asked for: one of the values of `chosen_objective.KINDS`."""

    @property
    def base_kind(self) -> BaseKind:
        """How the base is asked."""

    @property
    def metrics(self) -> list[str]:
        """The one that the report leads with comes first."""

    @property
    def splits(self) -> Mapping[str, EncodedSplit]:
        """train, validation, test, and the domains by their names."""


def has_answer(recipe: Recipe, kind: str) -> bool:
    """Whether the model as it is has an answer: labels zero-shot, text as it is, of other heads where it is a run that has one."""
    return writes(kind) or kind in ("classification", "masked_language_modelling") or recipe.model.source.startswith("run:")
