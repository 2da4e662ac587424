"""Write what the legs of `grpo` answer: prompts, and the adapter that every side begins with."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from benchmarks.prepare import save_start
from benchmarks.rollouts import Prompts
from benchmarks.workload import BenchmarkError, Settings
from tunesmith.app.machine import machine_facts, versions
from tunesmith.core.errors import TunesmithError
from tunesmith.core.types import Chat, Completion, Prompt
from tunesmith.data import read
from tunesmith.model.source import Request, resolve

__all__ = ["asked_in", "prepare"]

_MODEL = "smollm2-135m-instruct"
_RANK = 8
_MOST_TOKENS = 128
"""Of a prompt in the model's template: those that are longer stay out, so that a leg ends within minutes."""
_SETTINGS: dict[str, Any] = {"examples_per_step": 2, "epochs": 2, "learning_rate": 2e-4, "num_warm_up_steps": 0}


def asked_in(source: str) -> Iterator[str]:
    """What the user says first in each example of a data source; of those that begin otherwise, with a system message say, nothing.

    Raises: TunesmithError.
    """
    for one in read(source, skip_invalid=True).examples:
        if isinstance(one, Completion):
            yield one.source
        elif isinstance(one, Prompt | Chat) and one.messages[0].role == "user":
            yield one.messages[0].content


def _fitting(source: str, model: str, wanted: int) -> tuple[str, ...]:
    """The first prompts that are short enough, each another one. Raises: BenchmarkError, where there are fewer; TunesmithError."""
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    found = list[str]()
    for text in dict.fromkeys(asked_in(source)):
        turns = [{"role": "user", "content": text}]
        if len(tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)) <= _MOST_TOKENS:
            found.append(text)
        if len(found) == wanted:
            return tuple(found)
    raise BenchmarkError(f"--data: {len(found)} prompts of at most {_MOST_TOKENS} tokens, not {wanted}. Use --rows with fewer.")


def prepare(folder: Path, data: str | None, num_prompts: int) -> None:
    """Write prompts.json, start/, and facts.json beside them.

    Args:
        data: a file of prompts, or of conversations that begin with one, in any form that recipes read; None: the embedded `small-talk`.
    Raises: BenchmarkError, TunesmithError.
    """
    source = resolve(Request(_MODEL))
    settings = Settings(str(source.folder), **_SETTINGS)
    if num_prompts % settings.examples_per_step or num_prompts <= 0:
        raise BenchmarkError(f"--rows: {num_prompts} prompts: expected a multiple of {settings.examples_per_step}, whole steps of them.")
    given = Prompts(settings, _fitting("small-talk" if data is None else str(Path(data).absolute()), settings.model, num_prompts))
    given.write(folder)
    save_start(settings, folder / "start", r=_RANK)
    facts = {
        "machine": {**machine_facts(torch.device("cpu")), "versions": versions()},
        "workload": {
            "model": source.name,
            "model_sha256": source.sha256,
            "data": "small-talk" if data is None else Path(data).name,
            "method": f"lora, r = {_RANK}",
            "num_answers": given.num_answers,
            "max_new_tokens": given.max_new_tokens,
            **{name: getattr(settings, name) for name in ("learning_rate", "examples_per_step", "epochs")},
            "num_prompts": len(given.prompts),
            "num_steps": given.num_steps,
        },
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    try:
        prepare(Path(sys.argv[1]), *json.loads(sys.argv[2]))
    except (BenchmarkError, TunesmithError) as error:
        sys.exit(str(error))
