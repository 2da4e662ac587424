"""LLaMA-Factory, through its own `run_exp` and its own path for rows that are tokenized already (`tokenized_path`).

Default: its own settings, which compute activations again in the backward pass. Best: without that, and rows of like length share a batch.
"""

import importlib
import importlib.machinery
import os
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import peft
import transformers

from benchmarks.legs._measure import Clock, main, report
from benchmarks.legs._trainer import StepEnds, arguments, labels, measured
from benchmarks.workload import Config, Measured, Settings, TokenRow, Workload


def _without_sound() -> None:
    """LLaMA-Factory imports torchaudio at its start, whose build on PyPI loads beside a CUDA build of torch only. No row here has sound."""
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError):
        stand_in = types.ModuleType("torchaudio")
        stand_in.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
        sys.modules["torchaudio"] = stand_in


def _tokenized(rows: list[TokenRow], folder: Path) -> None:
    datasets: Any = importlib.import_module("datasets")
    columns = [
        {"input_ids": list(row.tokens), "attention_mask": [1] * len(row.tokens), "labels": labels(row), "images": None, "videos": None, "audios": None}
        for row in rows
    ]  # fmt: skip
    datasets.DatasetDict({"train": datasets.Dataset.from_list(columns)}).save_to_disk(str(folder))


def _options(settings: Settings, workload: Workload, scratch: Path, num_rows: int, config: Config) -> dict[str, Any]:
    shared = arguments(settings, str(scratch / "out"), num_rows)
    shared |= {
        "stage": "sft",
        "do_train": True,
        "dataset": "rows",  # has to be named; the tokenized rows are taken
        "model_name_or_path": settings.model,
        "template": "empty",
        "tokenized_path": str(scratch / "rows"),
        "disable_shuffling": True,  # the rows lie in the order that they are to be seen in
        "finetuning_type": settings.method,
    }
    if settings.method == "lora":
        shared["adapter_name_or_path"] = str(workload.start)
    return shared | ({"disable_gradient_checkpointing": True} if config == "best" else {})


def leg(workload: Workload, folder: Path, config: Config) -> Measured:
    """Train as `llamafactory-cli train` does. The clock begins when its loader hands the model over."""
    os.environ["WANDB_DISABLED"] = "true"
    _without_sound()
    tuner: Any = importlib.import_module("llamafactory.train.tuner")
    workflow: Any = importlib.import_module("llamafactory.train.sft.workflow")
    version = importlib.import_module("llamafactory.extras.env").VERSION
    settings, rows = workload.settings(), workload.in_order(config)
    clocks, load = list[Clock](), workflow.load_model

    def load_and_start(*values: Any, **named: Any) -> Any:
        model = load(*values, **named)
        clocks.append(Clock(settings, len(rows) // settings.examples_per_step, folder))
        return model

    workflow.load_model = load_and_start
    workflow.CustomSeq2SeqTrainer = measured(workflow.CustomSeq2SeqTrainer, clocks)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        _tokenized(rows, scratch / "rows")
        tuner.run_exp(_options(settings, workload, scratch, len(rows), config), callbacks=[StepEnds(clocks, settings)])
    found = f"LLaMA-Factory {version}, transformers {transformers.__version__}, peft {peft.__version__}"
    return report(workload, config, clocks[0], found)


if __name__ == "__main__":
    main(leg)
