"""What every leg is given: one folder with the rows, the adapter's initial weights and the settings. Imports no torch."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Measured", "Settings", "TokenRow", "Workload"]


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One encoded example; `scored` are the places of the tokens that are learned, each predicted by the place before it."""

    tokens: tuple[int, ...]
    scored: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """What both sides are told, the same for each."""

    model: str
    """The folder of the base model."""
    learning_rate: float = 2e-4
    max_grad_norm: float = 1.0
    examples_per_step: int = 8
    num_warm_up_steps: int = 2
    """Steps at the start that are done and not timed."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Workload:
    """A folder: settings.json, rows.json and `adapter/`, in peft's format."""

    folder: Path

    @property
    def adapter(self) -> Path:
        """The initial LoRA weights, which every leg loads."""
        return self.folder / "adapter"

    def write(self, settings: Settings, train: list[TokenRow], held_out: list[TokenRow]) -> None:
        """Write settings and rows. Raises: ValueError, where the rows do not make whole steps, some of them timed."""
        num_steps, left = divmod(len(train), settings.examples_per_step)
        if left or num_steps <= settings.num_warm_up_steps or not held_out:
            least = settings.examples_per_step * (settings.num_warm_up_steps + 1)
            raise ValueError(f"{len(train)} rows: expected a multiple of {settings.examples_per_step}, at least {least}, and held-out rows")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "settings.json").write_text(json.dumps(asdict(settings)), encoding="utf-8")
        rows = {"train": [asdict(row) for row in train], "held_out": [asdict(row) for row in held_out]}
        (self.folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")

    def settings(self) -> Settings:
        """What both sides are told."""
        return Settings(**json.loads((self.folder / "settings.json").read_text(encoding="utf-8")))

    def rows(self, split: str) -> list[TokenRow]:
        """The rows of `train` or `held_out`. The first step is made of the first training rows, on every side."""
        found: list[dict[str, Any]] = json.loads((self.folder / "rows.json").read_text(encoding="utf-8"))[split]
        return [TokenRow(tuple(row["tokens"]), tuple(row["scored"])) for row in found]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one leg reports."""

    first_loss: float
    """Nats a scored token, of the first step, before any update."""
    held_out_loss: float
    """Nats a scored token, after the last update."""
    seconds: float
    """Wall clock of the timed steps, between the end of the warm-up and the end of the last update."""
    num_tokens: int
    """Of the timed steps, padding left out."""
    num_scored_tokens: int
    peak_memory_bytes: int
    """Of the process, from its start to the end of training; the held-out loss is computed later."""
    matmul_flops_per_second: float
    """float32, at the shapes of the model's own linear layers, in the same process."""
    flops: float
    """Of the matrix products with weights that the timed steps need, attention left out."""
    version: str

    @property
    def tokens_per_second(self) -> float:
        """All tokens, scored or read."""
        return self.num_tokens / self.seconds

    @property
    def share_of_matmul_rate(self) -> float:
        """The part of the machine's own rate that the timed steps reach."""
        return self.flops / self.seconds / self.matmul_flops_per_second
