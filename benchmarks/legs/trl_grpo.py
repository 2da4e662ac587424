"""TRL's GRPOTrainer with peft, transformers' own generation, and a function as its reward.

Default: its own settings but for float32, which compute activations again in the backward pass; its loss is DAPO's, without a penalty for leaving the
reference. Best: without the former, and as many answers a micro-batch as it is told.
"""

import importlib
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import peft
import transformers
from transformers import AutoTokenizer

from benchmarks.legs._memory import peak_memory_bytes
from benchmarks.legs._model import load_model
from benchmarks.legs._trainer import arguments
from benchmarks.rollouts import Prompts, Rewarded, reward
from benchmarks.workload import Config

__all__ = ["leg"]


def leg(workload: Path, folder: Path, config: Config, at_a_time: int | None = None) -> Rewarded:
    """Write answers to each step's prompts, reward them, learn from them once.

    Args:
        folder: the trained adapter is saved in it.
        at_a_time: answers of a micro-batch, a divisor of those in a step; None: all of them.
    """
    trl: Any = importlib.import_module("trl")
    datasets: Any = importlib.import_module("datasets")
    given = Prompts.read(workload)
    settings, size = given.settings, at_a_time or given.answers_per_step
    options = arguments(settings, "", len(given.prompts))
    options |= {"per_device_train_batch_size": size, "gradient_accumulation_steps": given.answers_per_step // size}
    options |= {"gradient_checkpointing": False} if config == "best" else {}
    rewards, lengths = list[float](), list[int]()

    def shorter(completions: list[Any], completion_ids: list[list[int]], **others: Any) -> list[float]:
        found = [reward(one[0]["content"]) for one in completions]
        rewards.append(sum(found) / len(found))
        lengths.extend(map(len, completion_ids))
        return found

    model: Any = load_model(settings, workload / "start", is_trainable=True)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        trainer = trl.GRPOTrainer(
            model=model,
            reward_funcs=shorter,
            args=trl.GRPOConfig(
                **{**options, "output_dir": scratch},
                num_generations=given.num_answers,
                max_completion_length=given.max_new_tokens,
                temperature=given.temperature,
                shuffle_dataset=False,
            ),
            train_dataset=datasets.Dataset.from_list([{"prompt": [{"role": "user", "content": one}]} for one in given.prompts]),
            processing_class=AutoTokenizer.from_pretrained(settings.model),
        )
        trainer.train()
        seconds = time.perf_counter() - started
    peak = peak_memory_bytes()
    model.save_pretrained(str(folder / "adapter"))
    return Rewarded(
        rewards=tuple(rewards),
        num_answers=len(lengths),
        num_answer_tokens=sum(lengths),
        seconds=seconds,
        peak_memory_bytes=peak,
        version=f"trl {trl.__version__}, transformers {transformers.__version__}, peft {peft.__version__}",
        setting=f"{size} answers at a time",
    )


if __name__ == "__main__":
    made = leg(Path(sys.argv[1]), Path(sys.argv[2]), cast(Config, sys.argv[3]), **json.loads(sys.argv[4] if len(sys.argv) > 4 else "{}"))
    (Path(sys.argv[2]) / "result.json").write_text(json.dumps(asdict(made)), encoding="utf-8")
