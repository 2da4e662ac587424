"""transformers' Trainer with peft, for language models and for classifiers.

Default: random batches, padded to their longest row. Best: rows of like length share a batch, as `train_sampling_strategy="group_by_length"` does.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from benchmarks.legs._measure import Clock, main, report
from benchmarks.legs._model import load_model
from benchmarks.legs._trainer import NOT_SCORED, StepEnds, arguments, labels, measured, pad, padded
from benchmarks.workload import Config, Measured, TokenRow, Workload


class _Rows(Dataset[TokenRow]):
    def __init__(self, rows: Sequence[TokenRow]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> TokenRow:
        return self._rows[index]


class _Padding:
    """Pads to the longest row of the batch."""

    def __init__(self, fill: int) -> None:
        self._fill = fill

    def __call__(self, rows: Sequence[TokenRow]) -> dict[str, Tensor]:
        is_classified = rows[0].label >= 0
        return {
            "input_ids": padded([row.tokens for row in rows], self._fill),
            "attention_mask": padded([[1] * len(row.tokens) for row in rows], 0),
            "labels": torch.tensor([row.label for row in rows]) if is_classified else padded([labels(row) for row in rows], NOT_SCORED),
        }


def leg(workload: Workload, folder: Path, config: Config) -> Measured:
    """Train; both configurations are the Trainer's own settings, and differ in the order of the rows."""
    settings, rows = workload.settings(), workload.in_order(config)
    model: Any = load_model(settings, workload.start, is_trainable=True)
    clock = Clock(settings, len(rows) // settings.examples_per_step, folder)
    if settings.task == "language_model":
        model.config.use_cache = False
    with tempfile.TemporaryDirectory() as scratch:
        trainer = measured(Trainer, [clock])(
            model=model,
            args=TrainingArguments(
                **arguments(settings, scratch, len(rows)), train_sampling_strategy="sequential", remove_unused_columns=False
            ),
            data_collator=_Padding(pad(model)),
            train_dataset=_Rows(rows),
            callbacks=[StepEnds([clock], settings)],
        )
        trainer.train()
    return report(workload, config, clock, f"transformers {transformers.__version__}, peft {peft.__version__}")


if __name__ == "__main__":
    main(leg)
