"""Direct performance optimization: a few numbers of a finished model are adjusted straight against a metric of the validation rows, without training.

What is adjusted (thresholds, temperature, the scale of an adapter, norms, biases, how answers are drawn) is a plug-in each; the numbers are found by gradient-free search: CMA-ES, or a
tree-structured Parzen estimator. It has nothing to do with direct *preference* optimization (`dpo`).

Source: Hansen (2016), "The CMA Evolution Strategy: A Tutorial", https://arxiv.org/abs/1604.00772; Bergstra et al. (2011), "Algorithms for Hyper-Parameter Optimization",
https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization; both as optuna has them: Akiba et al. (2019), https://arxiv.org/abs/1907.10902.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from torch import nn

from tunesmith.core import registry
from tunesmith.core.adjusting import Adjustment, WeightAdjustment
from tunesmith.core.errors import MethodError, UsageError, did_you_mean
from tunesmith.core.types import BasePrecision, ParamGroup
from tunesmith.method._base import base_metadata
from tunesmith.method._new_rows import refuse_new_tokens
from tunesmith.method._peft import attach_adapter, merge_adapter
from tunesmith.method._selected import load_selected, save_selected, train_selected

__all__ = ["Direct"]

_TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "bool": (bool, "true or false"),
    "str": (str, "text"),
    "None": (type(None), "null"),
}
"""Of an annotation's parts: what a value of it is in Python, and how that is called."""


@dataclass(frozen=True, kw_only=True)
class Direct:
    """Adjust a few numbers of a model against a metric, without training."""

    adjust: tuple[str | dict, ...] = ("threshold",)  # type: ignore[type-arg]  # a recipe's options are of plain types
    """What is adjusted: threshold, temperature, adapter_scale, norms, biases, sampling_temperature, top_p, repetition_penalty, max_new_tokens; or mappings of `name` and options."""
    metric: str | None = None
    """What they are adjusted for, on the validation rows; null: `train.select_by`, else the metric that the report leads with."""
    trials: int | None = None
    """Settings that are tried, the model as it is among them; null: 200 where the scores of one pass over the rows serve them all, and there from three numbers on 200 for each but the first, at most 2,000; 40 where each asks the model anew."""
    sampler: Literal["auto", "cmaes", "tpe"] = "auto"
    """What proposes the next setting; auto: CMA-ES for two numbers and more, TPE for one."""

    _found: dict[str, tuple[float, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    virtual_tokens: ClassVar[int] = 0
    mergeable: ClassVar[bool] = True
    starts_at_base: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 0.0
    base_precision: ClassVar[BasePrecision] = "exact"

    def __post_init__(self) -> None:
        """Raises: MethodError, for an unknown aspect, option or metric, one that is named twice, or too few trials."""
        if not self.adjust:
            raise MethodError(f"method.adjust: nothing is named. Known: {', '.join(registry.names('adjustment'))}.")
        if len(self.adjustments) < len(self.adjust):
            raise MethodError("method.adjust: an aspect stands in it twice. Leave one out.")
        if self.metric is not None and self.metric not in registry.names("metric"):
            raise MethodError(f'method.metric: unknown metric "{self.metric}".{did_you_mean(self.metric, registry.names("metric"))}')
        if self.trials is not None and self.trials < 2:
            raise MethodError(f"method.trials: {self.trials}: expected at least 2, as the first is the model as it is.")

    @property
    def adjustments(self) -> Mapping[str, Adjustment]:
        """What is adjusted, by name, in the order of the recipe."""
        return dict(map(_made, self.adjust))

    def keep(self, values: Mapping[str, Sequence[float]]) -> None:
        """What was found, by adjustment; empty where the model stays as it was."""
        self._found.clear()
        self._found.update({name: tuple(own) for name, own in values.items()})

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Freeze `trunk` but for the parameters that an adjustment may change.

        Returns: one group with these; none where only scores or answers are adjusted.
        Raises: MethodError, where tokens were added to the model: they would stay as they began.
        """
        refuse_new_tokens(trunk, "direct")
        touched = {name for one in self._of_weights.values() for name in one.touches(trunk)}
        found = train_selected(trunk, lambda name, _: name in touched)
        return [ParamGroup("direct", found)] if found else []

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write what was found of the trunk, by name; a scaled adapter as the adapter that brings the rest. Nothing where the trunk stays as it was."""
        changed, covered = set[str](), set[str]()
        for name, one in self._of_weights.items():
            if name in self._found:
                changed |= set(one.touches(trunk))
                covered |= set(one.save(trunk, self._found[name], folder, base_metadata(trunk)))
        if changed - covered:
            train_selected(trunk, lambda name, _: name in changed - covered)
            save_selected(trunk, folder)

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Put back what `save` wrote, where it wrote anything. Raises: MethodError, where it does not fit."""
        load_selected(trunk, folder)
        if (folder / "adapter_config.json").is_file():
            attach_adapter(trunk, folder)
            merge_adapter(trunk)

    @property
    def _of_weights(self) -> dict[str, WeightAdjustment]:
        return {name: one for name, one in self.adjustments.items() if isinstance(one, WeightAdjustment)}


def _made(given: object) -> tuple[str, Adjustment]:
    options = {str(key): value for key, value in given.items()} if isinstance(given, Mapping) else {"name": given}
    name = options.pop("name", None)
    known = registry.names("adjustment")
    if name not in known:
        raise MethodError(f'method.adjust: unknown aspect "{name}".{did_you_mean(str(name), known)}')
    try:
        _check_types(name, options)
        made: Adjustment = registry.create("adjustment", name, **options)
    except UsageError as error:
        raise MethodError(f"method.adjust: {error}") from None
    return name, made


def _check_types(name: str, options: Mapping[str, object]) -> None:
    """Raises: MethodError, for a value that is not of its option's type. A recipe checks the options of plug-ins, and not those of plug-ins within them."""
    for option in registry.describe("adjustment", name).options:
        kinds, value = option.annotation.split(" | "), options.get(option.name, option.default)
        if option.name not in options or not all(kind in _TYPES for kind in kinds):
            continue
        fits = any(isinstance(value, _TYPES[kind][0]) and isinstance(value, bool) == (kind == "bool") for kind in kinds)
        if not fits:
            expected = " or ".join(_TYPES[kind][1] for kind in kinds)
            raise MethodError(f"{name}.{option.name}: {value!r}: expected {expected}.")
