"""TRL's GRPOTrainer with peft, transformers' own generation, and a function as its reward.

Default: its own settings but for float32, which compute activations again in the backward pass; its loss is DAPO's, without a penalty for leaving the
reference. Best: without the former, and as many answers a micro-batch as it is told.
"""

import importlib
import tempfile
import time
from pathlib import Path
from typing import Any

import peft
import transformers
from transformers import AutoTokenizer

from benchmarks.legs._memory import peak_memory_bytes
from benchmarks.legs._model import load_model
from benchmarks.legs._run import main
from benchmarks.legs._trainer import arguments
from benchmarks.rollouts import Prompts, Rewarded, reward
from benchmarks.workload import Config

__all__ = ["leg"]


def _options(given: Prompts, num_prompts: int, size: int, written: int) -> dict[str, Any]:
    """What the trainer is told in every configuration."""
    return {
        **arguments(given.settings, "", num_prompts),
        "per_device_train_batch_size": size,
        "gradient_accumulation_steps": given.answers_per_step // size,
        "steps_per_generation": written // size,
        "num_generations": given.num_answers,
        "max_completion_length": given.max_new_tokens,
        "temperature": given.temperature,
        "shuffle_dataset": False,
    }


def leg(
    workload: Path,
    folder: Path,
    config: Config,
    at_a_time: int | None = None,
    written_at_a_time: int | None = None,
    num_steps: int | None = None,
    seed: int = 0,
) -> Rewarded:
    """Write answers to each step's prompts, reward them, learn from them once.

    Args:
        folder: the trained adapter is saved in it.
        at_a_time: answers of a micro-batch, a divisor of those in a step; None: all of them.
        written_at_a_time: answers that are written together, whole groups and micro-batches of them; None: a step's.
        num_steps: of a trial.
        seed: of what is drawn.
    """
    trl: Any = importlib.import_module("trl")
    datasets: Any = importlib.import_module("datasets")
    given = Prompts.read(workload)
    settings, asked, size = given.settings, given.in_order(num_steps), at_a_time or given.answers_per_step
    written = written_at_a_time or given.answers_per_step
    options = _options(given, len(asked), size, written) | {"seed": seed}
    options |= {"gradient_checkpointing": False} if config == "best" else {}
    rewards, lengths = list[float](), list[int]()

    def shorter(completions: list[Any], completion_ids: list[list[int]], **others: Any) -> list[float]:
        found = [reward(one[0]["content"]) for one in completions]
        rewards.extend(found)
        lengths.extend(map(len, completion_ids))
        return found

    model: Any = load_model(settings, workload / "start", is_trainable=True)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        trainer = trl.GRPOTrainer(
            model=model,
            reward_funcs=shorter,
            args=trl.GRPOConfig(**{**options, "output_dir": scratch}),
            train_dataset=datasets.Dataset.from_list([{"prompt": [{"role": "user", "content": one}]} for one in asked]),
            processing_class=AutoTokenizer.from_pretrained(settings.model),
        )
        trainer.train()
        seconds = time.perf_counter() - started
    peak = peak_memory_bytes()
    model.save_pretrained(str(folder / "adapter"))
    return Rewarded.of(
        given,
        rewards,
        lengths,
        seconds=seconds,
        peak_memory_bytes=peak,
        version=f"trl {trl.__version__}, transformers {transformers.__version__}, peft {peft.__version__}",
        setting=f"{size} answers at a time, {written} written together",
    )


if __name__ == "__main__":
    main(leg)
