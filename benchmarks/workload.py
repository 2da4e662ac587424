"""What every leg is given and what it gives back: one folder with the rows, the orders, the initial weights and the settings. Imports no torch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["ORDERS", "BenchmarkError", "Config", "Measured", "Point", "Settings", "TokenRow", "Workload"]

Config = Literal["best", "default"]
ORDERS: Mapping[Config, str] = {"best": "grouped", "default": "shuffled"}
"""The order of the rows that a configuration trains on: rows of like length together, or as they come."""


class BenchmarkError(RuntimeError):
    """A benchmark did not come to its end; its text is for the one who started it."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One encoded example; `scored` are the places of the tokens that are learned, each predicted by the place before it.

    A row of a classifier has a `label`, and nothing in `scored`.
    """

    tokens: tuple[int, ...]
    scored: tuple[int, ...] = ()
    label: int = -1

    @property
    def num_targets(self) -> int:
        """What the loss is a mean of: scored tokens, or the one label."""
        return len(self.scored) or 1


@dataclass(frozen=True, slots=True)
class Settings:
    """What both sides are told, the same for each."""

    model: str
    """The folder of the base model."""
    task: Literal["language_model", "classification"] = "language_model"
    method: Literal["lora", "full", "head"] = "lora"
    """head: the trunk is frozen, only the classifier's head trains."""
    num_classes: int = 0
    learning_rate: float = 2e-4
    max_grad_norm: float = 1.0
    examples_per_step: int = 8
    epochs: int = 1
    num_warm_up_steps: int = 2
    """Steps at the start that are done and do not count in tokens a second; they count in the time to a target."""
    num_checkpoints: int = 3
    """How often the weights are kept, at even distances up to the end, to see later when a target was reached."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Workload:
    """A folder: settings.json, rows.json, and `start/`, which holds the weights that every side begins with beside the base model's."""

    folder: Path

    @property
    def start(self) -> Path:
        """`adapter_model.safetensors` in peft's format where LoRA trains, `head.safetensors` where a classifier does."""
        return self.folder / "start"

    def write(
        self, settings: Settings, train: Sequence[TokenRow], held_out: Sequence[TokenRow], orders: Mapping[str, Sequence[int]]
    ) -> None:
        """Write settings and rows. `orders`: indices of the training rows, epoch after epoch.

        Raises: ValueError, where the rows do not make whole steps, some of them timed, or an order does not see each row once an epoch.
        """
        num_steps, left = divmod(len(train), settings.examples_per_step)
        if left or num_steps <= settings.num_warm_up_steps or not held_out:
            least = settings.examples_per_step * (settings.num_warm_up_steps + 1)
            raise ValueError(f"{len(train)} rows: expected a multiple of {settings.examples_per_step}, at least {least}, and held-out rows")
        if any(sorted(order) != sorted(list(range(len(train))) * settings.epochs) for order in orders.values()):
            raise ValueError("an order sees every row once in each epoch")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "settings.json").write_text(json.dumps(asdict(settings)), encoding="utf-8")
        rows = {"train": [asdict(row) for row in train], "held_out": [asdict(row) for row in held_out], "orders": orders}
        (self.folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")

    def settings(self) -> Settings:
        """What both sides are told."""
        return Settings(**json.loads((self.folder / "settings.json").read_text(encoding="utf-8")))

    def held_out(self) -> list[TokenRow]:
        """The rows that the losses at the checkpoints are of."""
        return _rows(self._read()["held_out"])

    def in_order(self, config: Config) -> list[TokenRow]:
        """The training rows of all epochs in the order of `config`: the first `examples_per_step` of them make the first step, and so on."""
        found = self._read()
        rows = _rows(found["train"])
        return [rows[index] for index in found["orders"][ORDERS[config]]]

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "rows.json").read_text(encoding="utf-8"))
        return found


def _rows(found: Sequence[Mapping[str, Any]]) -> list[TokenRow]:
    return [TokenRow(tuple(row["tokens"]), tuple(row["scored"]), row["label"]) for row in found]


@dataclass(frozen=True, slots=True)
class Point:
    """How well a checkpoint does on the held-out rows."""

    step: int
    seconds: float
    """Since the base model was loaded: setting up, compiling, caching and the warm-up count, saving checkpoints does not."""
    loss: float
    """Nats a target."""
    accuracy: float | None = None
    """Of a classifier."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one leg reports."""

    first_loss: float
    """Nats a target, of the first step, before any update."""
    curve: tuple[Point, ...]
    """The last point is the end of training."""
    seconds: float
    """Wall clock of the timed steps, between the end of the warm-up and the end of the last update."""
    num_tokens: int
    """Of the timed steps, padding left out."""
    num_targets: int
    """Scored tokens, or labels, of the timed steps."""
    peak_memory_bytes: int
    """Of the process, from its start to the end of training; the held-out losses are computed later."""
    matmul_flops_per_second: float
    """float32, at the shapes of the model's own linear layers, in the same process."""
    flops: float | None
    """Of the matrix products with weights that the timed steps need, attention left out; None where it depends on what is kept."""
    version: str
    own_held_out_loss: float | None = None
    """After the last update, by the program itself, as it trained; None where it trained on the exact base, as the curve is scored."""

    @classmethod
    def from_document(cls, found: Mapping[str, Any]) -> "Measured":
        """What `dataclasses.asdict` made of one, read back."""
        return cls(**{**found, "curve": tuple(Point(**point) for point in found["curve"])})

    @property
    def held_out_loss(self) -> float:
        """After the last update."""
        return self.curve[-1].loss

    @property
    def tokens_per_second(self) -> float:
        """All tokens, scored or read."""
        return self.num_tokens / self.seconds

    @property
    def targets_per_second(self) -> float:
        """Scored tokens, or labels."""
        return self.num_targets / self.seconds

    @property
    def share_of_matmul_rate(self) -> float | None:
        """The part of the machine's own rate that the timed steps reach."""
        return None if self.flops is None else self.flops / self.seconds / self.matmul_flops_per_second
