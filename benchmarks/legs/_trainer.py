"""transformers' Trainer with a peft model: what its two configurations share."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

from benchmarks.legs._measure import Clock, report
from benchmarks.workload import Measured, Settings, TokenRow, Workload

__all__ = ["run"]

_NOT_SCORED = -100


class _Rows(Dataset[dict[str, Any]]):
    def __init__(self, rows: Sequence[TokenRow]) -> None:
        self._items = list[dict[str, Any]]()
        for row in rows:
            scored = set(row.scored)
            labels = [token if place in scored else _NOT_SCORED for place, token in enumerate(row.tokens)]
            self._items.append({"input_ids": list(row.tokens), "labels": labels})

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self._items[index], "index": index}


class _FirstThen(Sampler[int]):
    """The same first batch on every side, then whatever order the Trainer's own sampler gives the rest."""

    def __init__(self, num_first: int, rest: Sampler[int]) -> None:
        self._num_first, self._rest = num_first, rest

    def __iter__(self) -> Iterator[int]:
        yield from range(self._num_first)
        yield from (self._num_first + int(index) for index in self._rest)

    def __len__(self) -> int:
        return self._num_first + len(self._rest)  # type: ignore[arg-type]


class _MeasuredTrainer(Trainer):
    num_first: int
    rest: Any
    clock: Clock

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        rest = super()._get_train_sampler(self.rest)
        assert rest is not None, "the Trainer has a sampler for data of known length"
        return _FirstThen(self.num_first, rest)

    def training_step(self, *arguments: Any, **more: Any) -> Tensor:
        loss = super().training_step(*arguments, **more)
        if not self.clock.num_steps:
            self.clock.first_loss = float(loss)
        return loss


class _StepEnds(TrainerCallback):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._clock.step_ended()


class _Padding:
    """Pads to the longest row of the batch, and notes which rows it was given."""

    def __init__(self, pad: int) -> None:
        self._pad = pad
        self.seen = list[int]()

    def __call__(self, items: list[dict[str, Any]]) -> dict[str, Tensor]:
        self.seen += [item["index"] for item in items]
        longest = max(len(item["input_ids"]) for item in items)
        missing = [longest - len(item["input_ids"]) for item in items]
        return {
            "input_ids": torch.tensor([item["input_ids"] + [self._pad] * n for item, n in zip(items, missing, strict=True)]),
            "labels": torch.tensor([item["labels"] + [_NOT_SCORED] * n for item, n in zip(items, missing, strict=True)]),
            "attention_mask": torch.tensor([[1] * len(item["input_ids"]) + [0] * n for item, n in zip(items, missing, strict=True)]),
        }


def _arguments(settings: Settings, folder: str, num_steps: int, strategy: str) -> TrainingArguments:
    return TrainingArguments(
        output_dir=folder,
        max_steps=num_steps,
        per_device_train_batch_size=settings.examples_per_step,
        gradient_accumulation_steps=1,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant",
        optim="adamw_torch_fused",
        weight_decay=0.0,
        max_grad_norm=settings.max_grad_norm,
        train_sampling_strategy=strategy,
        seed=settings.seed,
        use_cpu=True,
        bf16=False,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        report_to="none",
        logging_strategy="no",
        save_strategy="no",
        disable_tqdm=True,
    )


def run(workload: Workload, adapter: Path, strategy: str) -> Measured:
    """Train with the Trainer's sampling `strategy`, and save the adapter."""
    settings, rows = workload.settings(), workload.rows("train")
    base: Any = AutoModelForCausalLM.from_pretrained(settings.model, dtype=torch.float32)
    base.config.use_cache = False
    model: Any = peft.PeftModel.from_pretrained(base, str(workload.adapter), is_trainable=True)
    pad = base.config.pad_token_id
    padding, size, clock = _Padding(0 if pad is None else pad), settings.examples_per_step, Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = _MeasuredTrainer(
            model=model,
            args=_arguments(settings, folder, len(rows) // size, strategy),
            data_collator=padding,
            train_dataset=_Rows(rows),
            callbacks=[_StepEnds(clock)],
        )
        trainer.num_first, trainer.rest, trainer.clock = size, _Rows(rows[size:]), clock
        trainer.train()
    assert clock.num_steps == len(rows) // size, f"{clock.num_steps} steps instead of {len(rows) // size}"
    assert sorted(padding.seen) == list(range(len(rows))), "the Trainer did not see every row once"
    timed = [rows[index] for index in padding.seen[size * settings.num_warm_up_steps :]]
    version = f"transformers {transformers.__version__}, peft {peft.__version__}"
    return report(workload, clock, timed, lambda folder: model.save_pretrained(str(folder)), version, adapter)
