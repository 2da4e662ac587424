"""What the programs that are built on transformers' Trainer share."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from benchmarks.legs._measure import Clock
from benchmarks.legs._model import save_model
from benchmarks.workload import Settings, TokenRow

__all__ = ["NOT_SCORED", "StepEnds", "arguments", "labels", "measured", "pad", "padded"]

NOT_SCORED = -100


def arguments(settings: Settings, folder: str, num_rows: int) -> dict[str, Any]:
    """What a Trainer is told in every configuration. The rows lie in the order that they are to be seen in."""
    return {
        "output_dir": folder,
        "max_steps": num_rows // settings.examples_per_step,
        "per_device_train_batch_size": settings.examples_per_step,
        "gradient_accumulation_steps": 1,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "constant",
        "optim": "adamw_torch_fused",
        "weight_decay": 0.0,
        "max_grad_norm": settings.max_grad_norm,
        "seed": settings.seed,
        "use_cpu": True,
        "bf16": False,
        "dataloader_pin_memory": False,
        "report_to": "none",
        "logging_strategy": "no",
        "save_strategy": "no",
        "disable_tqdm": True,
    }


def labels(row: TokenRow) -> list[int]:
    """A row's tokens where they are learned."""
    scored = set(row.scored)
    return [token if place in scored else NOT_SCORED for place, token in enumerate(row.tokens)]


def measured(trainer: Any, clocks: Sequence[Clock]) -> Any:
    """A Trainer's class, made to note the loss of its first step. `clocks` holds one when training begins."""

    class Measured(trainer):  # type: ignore[misc]
        def training_step(self, *values: Any, **named: Any) -> Tensor:
            loss: Tensor = super().training_step(*values, **named)
            if clocks[0].first_loss != clocks[0].first_loss:
                clocks[0].first_loss = float(loss)
            return loss

    return Measured


class StepEnds(TrainerCallback):
    """Tells the clock of every update."""

    def __init__(self, clocks: Sequence[Clock], settings: Settings) -> None:
        self._clocks, self._settings = clocks, settings

    def on_step_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """Right after the optimizer."""
        self._clocks[0].step_ended(lambda folder: save_model(self._settings, named["model"], folder))


def pad(model: Any) -> int:
    """The token that fills rows up; it is masked, so any will do."""
    found = model.config.pad_token_id
    return 0 if found is None else int(found)


def padded(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    """Rows filled up to their longest."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows])
