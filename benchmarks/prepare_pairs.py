"""Write what the legs of `dpo` learn from: pairs in tunesmith's encoding, their orders, and the adapter that every side begins with."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.pairs import Pair, Pairs
from benchmarks.prepare import orders, save_start
from benchmarks.workload import BenchmarkError, Settings
from tunesmith.app.machine import machine_facts, versions
from tunesmith.app.task import prepare as prepare_task
from tunesmith.core.errors import TunesmithError
from tunesmith.core.types import Completion, Row
from tunesmith.data import read
from tunesmith.recipe import from_mapping
from tunesmith.recipe import load as load_recipe

__all__ = ["docstrings", "pair_of", "prepare"]

_MODEL = "smollm2-135m-instruct"
_MOST_TOKENS = 384
"""Of a prompt with its longer answer: pairs that are longer stay out, so that none is cut and a leg ends within minutes."""
_CANDIDATES = 2000
"""Pairs that are encoded, of which those that fit are taken."""
_RANK, _BETA = 8, 0.1
_SETTINGS: dict[str, Any] = {"examples_per_step": 8, "epochs": 3, "learning_rate": 2e-4, "num_warm_up_steps": 0}


def docstrings(path: Path, seed: int = 0) -> None:
    """Pairs out of the embedded docstrings: to a function its own first sentence, and that of another one."""
    examples = [one for one in read(load_recipe("docstrings").data.train).examples if isinstance(one, Completion)]
    own = list({" ".join(one.target.split()): one for one in examples}.items())
    order = np.random.default_rng(seed).permutation(len(own))
    with path.open("w", encoding="utf-8") as file:
        for index, other in zip(order, np.roll(order, 1), strict=True):
            (chosen, example), (rejected, _) = own[index], own[other]
            prompt = f"Say in one sentence what this function does.\n\n{example.source.strip()}"
            file.write(json.dumps({"prompt": prompt, "chosen": chosen, "rejected": rejected}, ensure_ascii=False) + "\n")


def pair_of(row: Row) -> Pair:
    """The pair of a row of `dpo`: what is scored of each answer is the whole of it."""
    answers = [
        tuple(label for label, owner in zip(row.targets.labels, row.targets.answers, strict=True) if owner == number) for number in (0, 1)
    ]
    return Pair(row.segments[0].tokens, *answers)


def _fitting(rows: Sequence[Row], wanted: int) -> tuple[Pair, ...]:
    """The first pairs that are short enough. Raises: BenchmarkError, where there are fewer."""
    found = [pair for pair in map(pair_of, rows) if pair.length <= _MOST_TOKENS]
    if len(found) < wanted:
        raise BenchmarkError(f"--data: {len(found)} pairs of at most {_MOST_TOKENS} tokens, not {wanted}. Use --rows with fewer.")
    return tuple(found[:wanted])


def prepare(folder: Path, data: str | None, num_pairs: int, num_held_out: int) -> None:
    """Write pairs.json, start/, and facts.json beside them.

    Args:
        data: a file of pairs, in any form that recipes read; None: the docstrings.
    Raises: BenchmarkError, TunesmithError.
    """
    if num_pairs % _SETTINGS["examples_per_step"]:
        raise BenchmarkError(f"--rows: {num_pairs} pairs: expected a multiple of {_SETTINGS['examples_per_step']}, whole steps of them.")
    folder.mkdir(parents=True, exist_ok=True)
    if data is None:
        docstrings(folder / "docstrings.jsonl")
    file = str(folder / "docstrings.jsonl") if data is None else str(Path(data).absolute())
    recipe = from_mapping(
        {
            "model": {"source": _MODEL, "max_length": 2 * _MOST_TOKENS},
            "data": {"train": file, "skip_invalid": True, "limit": {"train": _CANDIDATES, "validation": _CANDIDATES, "test": 1}},
            "objective": "dpo",
        },
        name="dpo",
    )
    task = prepare_task(recipe, lambda _event: None)
    found = _fitting(task.splits["train"].rows, num_pairs + num_held_out)  # no text stands in two rows of a split
    train, held_out = found[:num_pairs], found[num_pairs:]
    settings = Settings(str(task.model.source.folder), **_SETTINGS)
    once = Settings(settings.model, examples_per_step=settings.examples_per_step, seed=settings.seed)
    made = Pairs(settings, _BETA, train, held_out, orders([pair.length for pair in train], once))
    made.write(folder)
    save_start(settings, folder / "start", r=_RANK)
    facts = {
        "machine": {**machine_facts(torch.device("cpu")), "versions": versions()},
        "workload": {
            "model": task.model.source.name,
            "model_sha256": task.model.source.sha256,
            "data": "docstrings" if data is None else Path(data).name,
            "method": f"lora, r = {_RANK}",
            "beta": _BETA,
            **{name: getattr(settings, name) for name in ("learning_rate", "examples_per_step", "epochs")},
            "num_pairs": len(train),
            "num_prompt_tokens": sum(len(pair.prompt) for pair in train),
            "num_answer_tokens": sum(pair.num_answer_tokens for pair in train),
            "num_held_out_pairs": len(held_out),
        },
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    try:
        prepare(Path(sys.argv[1]), *json.loads(sys.argv[2]))
    except (BenchmarkError, TunesmithError) as error:
        sys.exit(str(error))
