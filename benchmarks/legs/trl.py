"""TRL's SFTTrainer with peft.

Default: its own settings, which compute activations again in the backward pass. Best: without that, and rows of like length share a batch. Its loss is
computed in chunks in both.
"""

import importlib
import tempfile
from pathlib import Path
from typing import Any

import peft
import transformers
from transformers import AutoTokenizer

from benchmarks.legs._measure import Clock, main, report
from benchmarks.legs._model import load_model
from benchmarks.legs._trainer import StepEnds, arguments, labels, measured
from benchmarks.workload import Config, Measured, Workload


def leg(workload: Workload, folder: Path, config: Config) -> Measured:
    """Train on rows that are tokenized already: SFTTrainer takes `input_ids` and `labels` as they are."""
    trl: Any = importlib.import_module("trl")
    datasets: Any = importlib.import_module("datasets")
    settings, rows = workload.settings(), workload.in_order(config)
    model: Any = load_model(settings, workload.start, is_trainable=True)
    clock = Clock(settings, len(rows) // settings.examples_per_step, folder)
    options = {"gradient_checkpointing": False} if config == "best" else {}
    with tempfile.TemporaryDirectory() as scratch:
        trainer = measured(trl.SFTTrainer, [clock])(
            model=model,
            args=trl.SFTConfig(
                **arguments(settings, scratch, len(rows)), train_sampling_strategy="sequential", max_length=None, packing=False, **options
            ),
            train_dataset=datasets.Dataset.from_list([{"input_ids": list(row.tokens), "labels": labels(row)} for row in rows]),
            processing_class=AutoTokenizer.from_pretrained(settings.model),
            callbacks=[StepEnds([clock], settings)],
        )
        trainer.train()
    version = f"trl {trl.__version__}, transformers {transformers.__version__}, peft {peft.__version__}"
    return report(workload, config, clock, version)


if __name__ == "__main__":
    main(leg)
