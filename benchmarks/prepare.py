"""Write the workload that all legs read: rows in tunesmith's encoding, and one set of initial LoRA weights in peft's format."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from benchmarks.workload import Settings, TokenRow, Workload
from tunesmith.app.machine import machine_facts, versions
from tunesmith.app.task import prepare
from tunesmith.core.types import Row
from tunesmith.recipe import load

__all__ = ["prepare_docstrings", "save_initial_adapter"]


def save_initial_adapter(model_folder: str, folder: Path, *, seed: int = 0, r: int = 16) -> None:
    """Draw LoRA weights for every linear layer but the vocabulary head, as peft draws them, and save them as peft saves them."""
    torch.manual_seed(seed)
    base: Any = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    config = LoraConfig(r=r, lora_alpha=2 * r, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    get_peft_model(base, config).save_pretrained(str(folder))


def _token_rows(rows: Sequence[Row]) -> list[TokenRow]:
    return [TokenRow(row.segments[0].tokens, tuple(place + 1 for place in row.targets.positions)) for row in rows]


def prepare_docstrings(folder: Path, num_rows: int, num_held_out_rows: int) -> None:
    """The shipped recipe `docstrings`: its model, its rows in their natural lengths, its template; machine.json is written beside."""
    limits = [f"data.limit.train={num_rows}", f"data.limit.validation={num_held_out_rows}", "data.limit.test=1"]
    task = prepare(load("docstrings", limits), lambda _event: None)
    model_folder = str(task.model.source.folder)
    train, held_out = _token_rows(task.splits["train"].rows), _token_rows(task.splits["validation"].rows)
    workload = Workload(folder)
    workload.write(Settings(model_folder), train, held_out)
    save_initial_adapter(model_folder, workload.adapter)
    facts = {
        "machine": {**machine_facts(torch.device("cpu")), "versions": versions()},
        "workload": {
            "model": task.model.source.name,
            "model_sha256": task.model.source.sha256,
            "data": "docstrings",
            "num_rows": len(train),
            "num_tokens": sum(len(row.tokens) for row in train),
            "num_scored_tokens": sum(len(row.scored) for row in train),
            "num_held_out_rows": len(held_out),
        },
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    prepare_docstrings(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
