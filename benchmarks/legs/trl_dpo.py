"""TRL's DPOTrainer with peft.

Default: its own settings, which compute activations again in the backward pass, and ask the reference (the adapter switched off) in every step. Best: without
the former, the reference asked once before training, pairs of like length beside each other, and as many pairs at a time as was found to be the fastest.
"""

import importlib
import tempfile
import time
from pathlib import Path
from typing import Any

import peft
import transformers
from torch import Tensor
from transformers import AutoTokenizer

from benchmarks.legs._model import load_model
from benchmarks.legs._pairs import report
from benchmarks.legs._run import main
from benchmarks.legs._trainer import arguments
from benchmarks.pairs import Learned, Pairs
from benchmarks.workload import Config

__all__ = ["leg"]


def _noting(trainer: Any, losses: list[float]) -> Any:
    """DPOTrainer made to take pairs that are tokenized already, and to note the loss of each micro-batch, divided by their number in a step."""

    class Noting(trainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *others: Any) -> Any:
            return dataset

        def training_step(self, *values: Any, **named: Any) -> Tensor:
            loss: Tensor = super().training_step(*values, **named)
            losses.append(float(loss))
            return loss

    return Noting


def leg(workload: Path, folder: Path, config: Config, at_a_time: int | None = None, num_steps: int | None = None) -> Learned:
    """Train on padded batches of pairs.

    Args:
        at_a_time: pairs of a micro-batch, a divisor of those in a step; None: all of them.
        num_steps: of a trial.
    """
    trl: Any = importlib.import_module("trl")
    datasets: Any = importlib.import_module("datasets")
    pairs = Pairs.read(workload)
    settings, rows = pairs.settings, pairs.in_order(config, num_steps)
    size = at_a_time or settings.examples_per_step
    options = arguments(settings, "", len(rows) * (settings.epochs if num_steps is None else 1))
    options |= {"per_device_train_batch_size": size, "gradient_accumulation_steps": settings.examples_per_step // size}
    if config == "best":
        options |= {"gradient_checkpointing": False, "precompute_ref_log_probs": True}
    losses = list[float]()
    model: Any = load_model(settings, workload / "start", is_trainable=True)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        trainer = _noting(trl.DPOTrainer, losses)(
            model=model,
            args=trl.DPOConfig(
                **{**options, "output_dir": scratch}, beta=pairs.beta, train_sampling_strategy="sequential", max_length=None
            ),
            train_dataset=datasets.Dataset.from_list(
                [{"prompt_ids": list(one.prompt), "chosen_ids": list(one.chosen), "rejected_ids": list(one.rejected)} for one in rows]
            ),
            processing_class=AutoTokenizer.from_pretrained(settings.model),
        )
        trainer.train()
        seconds = time.perf_counter() - started
    model.save_pretrained(str(folder / "adapter"))
    return report(
        pairs,
        config,
        num_steps,
        folder / "adapter",
        first_loss=sum(losses[: settings.examples_per_step // size]),
        seconds=seconds,
        version=f"trl {trl.__version__}, transformers {transformers.__version__}, peft {peft.__version__}",
        setting=f"{size} pairs at a time",
    )


if __name__ == "__main__":
    main(leg)
