"""Prompts, rewards and recipes with which tiny models learn from their own answers."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tunesmith.app.run import Run
from tunesmith.recipe import Recipe, from_mapping

__all__ = ["PPO", "PROMPTS", "QUICK", "function", "lines", "policy", "prompts", "same_weights", "steps_of"]

PROMPTS = [
    f"{first} {noun} {verb} {end}"
    for first in ("the", "a")
    for noun in "cat dog mat film".split()
    for verb in ("is", "was")
    for end in ("on", "very", "the")
]
GOOD = "words = answer.split()\n    return words.count('good') / max(1, len(words))"
"""The share of the word `good`."""

PPO = {"name": "ppo", "num_answers": 4, "max_new_tokens": 4}
QUICK = {"max_steps": 2, "examples_per_step": 8, "evaluations_per_epoch": 1}


def lines(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


def prompts(folder: Path) -> Path:
    return lines(folder / "prompts.jsonl", [{"prompt": prompt} for prompt in PROMPTS])


def function(folder: Path, body: str = GOOD, *, name: str = "reward", before: str = "", **options: Any) -> dict[str, Any]:
    """A reward by a function of a file. `before`: what stands in the file before the function."""
    file = folder / f"{name}.py"
    file.write_text(f"{before}\ndef {name}(answer):\n    {body}\n", encoding="utf-8")
    return {"name": "function", "function": f"{file}:{name}", **options}


def policy(model: Path, folder: Path, out: Path, **more: Any) -> Recipe:
    """By default GRPO of all weights, rewarded for the word `good`, for 20 steps."""
    made: dict[str, Any] = {
        "model": str(model),
        "data": str(prompts(folder)),
        "method": "full",
        "objective": {"name": "grpo", "num_answers": 4, "max_new_tokens": 4},
        "train": {
            "max_steps": 20,
            "learning_rate": 1e-2,
            "examples_per_step": 8,
            "schedule": "constant",
            "warmup_ratio": 0,
            "evaluations_per_epoch": 1,
        },
        "engine": {"compile": False},
        "output_dir": str(out),
    }
    if "rewards" not in more:
        made["rewards"] = [function(folder)]
    evaluate = {"retention": "none", "max_new_tokens": 4, **more.pop("evaluate", {})}
    return from_mapping({**made, **more, "evaluate": evaluate}, name="policy")


def steps_of(run: Run) -> list[dict[str, Any]]:
    return [dict(event) for event in run.directory.read_steps() if event["event"] == "step"]


def same_weights(one: Path, other: Path) -> None:
    files = [path.relative_to(one) for path in one.rglob("*.safetensors")]
    assert files
    for file in files:
        first, second = load_file(one / file), load_file(other / file)
        assert first.keys() == second.keys()
        for name in first:
            torch.testing.assert_close(first[name], second[name], atol=0, rtol=0, msg=lambda m, n=name: f"{n}: {m}")
