"""Write the workload that all legs read: rows in tunesmith's encoding, the orders, and one set of initial weights."""

import gzip
import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers.trainer_pt_utils import get_length_grouped_indices

from benchmarks.legs._measure import linear_shapes, matmul_rate
from benchmarks.legs._model import HEAD, Classifier, load_base
from benchmarks.workload import BenchmarkError, Settings, TokenRow, Workload
from tunesmith.app.machine import machine_facts, versions
from tunesmith.app.task import Task
from tunesmith.app.task import prepare as prepare_task
from tunesmith.core.errors import TunesmithError
from tunesmith.core.types import Row
from tunesmith.recipe import load

__all__ = ["conversations", "orders", "prepare", "save_start"]

_MOST_TOKENS = 512
_LM_SECONDS, _LM_SHARE = 36.0, 0.2
"""Rows of a language model are as many as a program that reaches a fifth of the machine's matmul rate trains on in so many seconds."""
_LM_ROWS = (16, 64)


def save_start(settings: Settings, folder: Path, *, r: int = 16) -> None:
    """Draw what every side begins with: LoRA weights for every linear layer but the vocabulary head, as peft draws them, and a classifier's head."""
    torch.manual_seed(settings.seed)
    folder.mkdir(parents=True, exist_ok=True)
    model = load_base(settings, settings.model)
    if settings.task == "classification":
        head = Classifier(model, settings.num_classes).head
        torch.nn.init.normal_(head.weight, std=0.02)
        torch.nn.init.zeros_(head.bias)
        save_file({name: tensor.contiguous() for name, tensor in head.state_dict().items()}, folder / HEAD)
    if settings.method == "lora":
        kind = "CAUSAL_LM" if settings.task == "language_model" else None
        config = LoraConfig(r=r, lora_alpha=2 * r, lora_dropout=0.0, target_modules="all-linear", task_type=kind)
        get_peft_model(model, config).save_pretrained(str(folder))


def orders(lengths: Sequence[int], settings: Settings) -> dict[str, list[int]]:
    """The two orders in which transformers' Trainer sees rows, epoch after epoch: at random, and rows of like length together."""
    generator = torch.Generator().manual_seed(settings.seed)
    shuffled, grouped = list[int](), list[int]()
    for _ in range(settings.epochs):
        shuffled += torch.randperm(len(lengths), generator=generator).tolist()
        grouped += get_length_grouped_indices(list(lengths), settings.examples_per_step, generator=generator)  # type: ignore[no-untyped-call]
    return {"shuffled": shuffled, "grouped": grouped}


def conversations(path: Path, folder: Path) -> Path:
    """A file that a recipe can read: `path` itself, or its transcripts (turns that begin with Human: or Assistant:, in a column `chosen`) as messages.

    `path` is a file, .gz or not, or a folder with one. Raises: BenchmarkError, where there is none.
    """
    files = [path] if path.is_file() else sorted([*path.glob("*.jsonl"), *path.glob("*.jsonl.gz")])
    if not files:
        raise BenchmarkError(f"--data {path}: no such file, and no folder with a .jsonl or .jsonl.gz file.")
    content = gzip.decompress(files[0].read_bytes()) if files[0].suffix == ".gz" else files[0].read_bytes()
    records = [json.loads(line) for line in content.decode().split("\n") if line.strip()] if ".jsonl" in files[0].name else []
    if not records or "chosen" not in records[0] or not isinstance(records[0]["chosen"], str):
        return files[0]
    written, roles = folder / "conversations.jsonl", {"Human": "user", "Assistant": "assistant"}
    folder.mkdir(parents=True, exist_ok=True)
    with written.open("w", encoding="utf-8") as out:
        for record in records:
            parts = re.split(r"\n\n(Human|Assistant): ", record["chosen"])[1:]
            turns = [{"role": roles[who], "content": said.strip()} for who, said in zip(parts[::2], parts[1::2], strict=True)]
            if turns and turns[-1]["role"] == "assistant" and all(turn["content"] for turn in turns):
                out.write(json.dumps({"messages": turns}) + "\n")
    return written


def _language_model(data: str, folder: Path, num_rows: int, num_held_out: int) -> Task:
    limits = [
        f"data.limit.train={num_rows}",
        f"data.limit.validation={num_held_out}",
        "data.limit.test=1",
        f"model.max_length={_MOST_TOKENS}",
    ]
    if data not in ("docstrings", "small-talk"):
        limits.append(f"data.train={conversations(Path(data), folder)}")
    return prepare_task(load("docstrings" if data == "docstrings" else "small-talk", limits), lambda _event: None)


def _classification(num_rows: int, num_held_out: int) -> Task:
    limits = [f"data.limit.train={num_rows}", f"data.limit.validation={num_held_out}", "data.limit.test=1", "evaluate.domains={}"]
    return prepare_task(load("reviews", limits), lambda _event: None)


def _token_row(row: Row) -> TokenRow:
    label = row.values.get("label")
    scored = tuple(place + 1 for place in row.targets.positions)
    return TokenRow(row.segments[0].tokens, scored, -1 if label is None else int(label[0]))


def _without_dropout(model: Path, folder: Path) -> str:
    """A copy of the model whose settings have no dropout, which two programs would draw differently; the model itself, where it has none."""
    config: dict[str, Any] = json.loads((model / "config.json").read_text(encoding="utf-8"))
    found = {name: 0.0 for name, value in config.items() if "dropout" in name and value}
    if not found:
        return str(model)
    shutil.copytree(model, folder)
    (folder / "config.json").write_text(json.dumps(config | found), encoding="utf-8")
    return str(folder)


def _affordable(settings: Settings, rows: Sequence[TokenRow]) -> int:
    """How many rows a slow program manages on this machine, whole steps of them."""
    base = load_base(settings, settings.model)
    shapes = linear_shapes(base)
    a_token = (4.0 if settings.method == "lora" else 6.0) * sum(outputs * inputs * count for (outputs, inputs), count in shapes.items())
    tokens = _LM_SECONDS * _LM_SHARE * matmul_rate(shapes) / a_token
    count = int(tokens * len(rows) / sum(len(row.tokens) for row in rows))
    least, most = _LM_ROWS
    return min(max(count, least), most, len(rows)) // settings.examples_per_step * settings.examples_per_step


def prepare(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Write the workload, and facts.json beside it.

    Args:
        wanted: `settings` (those of Settings but the model), `data`, `num_rows` (None: what the machine affords), `num_held_out_rows`.
    Raises: BenchmarkError, TunesmithError.
    """
    num_rows, num_held_out = wanted["num_rows"], wanted["num_held_out_rows"]
    is_lm = wanted["settings"]["task"] == "language_model"
    ask = num_rows or _LM_ROWS[1]
    task = _language_model(wanted["data"], folder, ask, num_held_out) if is_lm else _classification(ask, num_held_out)
    settings = Settings(_without_dropout(Path(task.model.source.folder), folder / "model"), **wanted["settings"])
    settings = replace(settings, num_classes=len(task.encoder.labels))
    train, held_out = ([_token_row(row) for row in task.splits[name].rows] for name in ("train", "validation"))
    if num_rows is None:
        train = train[: _affordable(settings, train)]
    elif len(train) < num_rows:
        raise BenchmarkError(f"{wanted['data']}: has {len(train)} training rows, not {num_rows}.")
    workload = Workload(folder)
    try:
        workload.write(settings, train, held_out, orders([len(row.tokens) for row in train], settings))
    except ValueError as error:
        raise BenchmarkError(f"--rows: {error}") from None
    save_start(settings, workload.start)
    facts = {
        "machine": {**machine_facts(torch.device("cpu")), "versions": versions()},
        "workload": {
            "model": task.model.source.name,
            "model_sha256": task.model.source.sha256,
            "data": Path(wanted["data"]).name,
            **{name: getattr(settings, name) for name in ("task", "method", "learning_rate", "examples_per_step", "epochs")},
            "num_rows": len(train),
            "num_tokens": sum(len(row.tokens) for row in train),
            "num_targets": sum(row.num_targets for row in train),
            "num_held_out_rows": len(held_out),
        },
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    try:
        prepare(Path(sys.argv[1]), json.loads(sys.argv[2]))
    except (BenchmarkError, TunesmithError) as error:
        sys.exit(str(error))
