"""Dense layers, one above the other, for rows of numbers: the classic feed-forward network.

The numbers are standardized first, with the mean and deviation that each column has in the training rows; both are part of the network.
Source: Rumelhart, Hinton, Williams (1986), "Learning representations by back-propagating errors", https://doi.org/10.1038/323533a0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tunesmith.core.errors import DataError, ModelError
from tunesmith.core.types import Example, Labelled

__all__ = ["Dense"]


@dataclass(frozen=True, kw_only=True)
class Dense:
    """Hidden layers for rows of numbers; the layer that names the classes is the objective's head."""

    hidden: tuple[int, ...] = (64, 32)
    """Numbers that each hidden layer makes, the lowest first."""
    activation: Literal["relu", "tanh", "sigmoid", "gelu", "silu", "elu", "selu"] = "relu"
    """What follows each hidden layer."""
    dropout: float = 0.0
    """Share of each hidden layer's numbers that is dropped in training."""
    standardize: bool = True
    """Take each column's mean off and divide by its deviation, both of the training rows."""

    def __post_init__(self) -> None:
        """Raises: ModelError, where a number is out of its range."""
        if not self.hidden or min(self.hidden) < 1:
            raise ModelError(f"model.hidden: expected a number of at least 1 for each hidden layer, found {list(self.hidden)}.")
        if not 0 <= self.dropout < 1:
            raise ModelError(f"model.dropout: expected a share from 0 to below 1, found {self.dropout:g}.")

    def write(self, examples: Sequence[Example], folder: Path) -> None:
        """The network for rows with such columns. Raises: DataError, where the examples are no rows of numbers, or have different columns."""
        from tunesmith.model.networks.layered import LayeredConfig
        from tunesmith.model.word_tokenizer import save_word_tokenizer

        columns, rows_nc = _numbers(examples)
        layers: list[dict[str, Any]] = []
        if self.standardize:
            variance_c = rows_nc.var(0)
            variance_c[variance_c == 0] = (
                1.0  # a column of one value keeps its unit: another value, met later, is no million deviations off
            )
            layers.append({"class": "Normalization", "mean": rows_nc.mean(0).tolist(), "variance": variance_c.tolist()})
        for units in self.hidden:
            layers.append({"class": "Dense", "units": units, "activation": self.activation, "use_bias": True})
            if self.dropout:
                layers.append({"class": "Dropout", "rate": self.dropout})
        config = LayeredConfig.of(layers, num_columns=len(columns), columns=columns)
        config.save_pretrained(folder)
        save_word_tokenizer(None, folder)


def _numbers(examples: Sequence[Example]) -> tuple[list[str], np.ndarray[Any, np.dtype[np.float64]]]:
    """The columns, and the numbers of all rows in their order, (rows, columns)."""
    first = examples[0]
    if not isinstance(first, Labelled) or not first.numbers:
        raise DataError(
            f"{first.origin.file}:{first.origin.row}: the architecture dense reads rows of numbers, and this is a text. Bring columns of numbers: data.format=columns."
        )
    columns = [name for name, _ in first.numbers]
    rows = []
    for example in examples:
        found = dict(example.numbers) if isinstance(example, Labelled) else {}
        if set(found) != set(columns):
            odd = next(iter(set(columns) ^ set(found)))
            raise DataError(
                f'{example.origin.file}:{example.origin.row}: the rows differ in the column "{odd}". Give every row the same columns.'
            )
        rows.append([found[name] for name in columns])
    return columns, np.array(rows)
