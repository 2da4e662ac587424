"""Write what the legs of `grpo` answer: questions of the embedded `small-talk`, and the adapter that every side begins with."""

import sys
from pathlib import Path

from benchmarks.prepare import save_start
from benchmarks.rollouts import Prompts
from benchmarks.workload import Settings
from tunesmith.core.types import Completion
from tunesmith.data import read
from tunesmith.model.source import Request, resolve

__all__ = ["write"]

MODEL = "smollm2-135m-instruct"
_RANK = 8


def write(folder: Path, num_steps: int) -> None:
    """Write prompts.json and start/: two questions a step, each another one."""
    settings = Settings(str(resolve(Request(MODEL)).folder), examples_per_step=2, learning_rate=2e-4, num_warm_up_steps=0)
    asked = dict.fromkeys(one.source for one in read("small-talk").examples if isinstance(one, Completion))
    Prompts(settings, tuple(asked)[: num_steps * settings.examples_per_step]).write(folder)
    save_start(settings, folder / "start", r=_RANK)


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
