"""What can be measured: the workloads of training, with their settings and the programs that take part. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.workload import BenchmarkError, Config

Way = Literal["plain", "compiled", "recomputed", "int8"]
"""How ours runs."""
WAYS: Mapping[Way, str] = {
    "plain": "exact, as a short training runs",
    "compiled": "exact, layers compiled, as a long training runs",
    "recomputed": "exact, what is as wide as the feed-forward parts computed a second time for the backward pass",
    "int8": "frozen weights in int8, layers compiled in a long training",
}

__all__ = ["BENCHES", "OURS", "PEER_NAMES", "WAYS", "Bench", "Leg", "Way"]

OURS = "ours"
PEER_NAMES = {
    OURS: "tunesmith",
    "trainer": "transformers Trainer + peft",
    "trl": "TRL SFTTrainer",
    "trl_dpo": "TRL DPOTrainer",
    "trl_grpo": "TRL GRPOTrainer",
    "llamafactory": "LLaMA-Factory",
    "lm_eval": "lm-eval, HF backend",
    "loop": "plain loop, transformers + peft",
}
"""Names of the programs. Peers have files of that name in `peers/`, but for the loop, which runs beside tunesmith, and `trl_dpo` and `trl_grpo`, which are in `trl`'s; all have modules in `legs/`."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One program in one configuration. Of ours, the settings are the same in both, and the order of the rows is the peer's."""

    program: str
    config: Config
    way: Way = "plain"
    """Of ours; a peer has one."""

    @property
    def name(self) -> str:
        """Of the leg in documents: `ours_best` is ours on the rows in the order that the best configurations see them."""
        return "_".join([self.program, *([] if self.way == "plain" else [self.way]), self.config])

    @property
    def title(self) -> str:
        """For people."""
        return f"{PEER_NAMES[self.program]}, {f'{self.way}, beside the ' if self.program == OURS else ''}{self.config}"

    def against(self, way: Way = "plain") -> str:
        """The name of the leg of ours that this one is compared with."""
        return Leg(OURS, self.config, way).name


@dataclass(frozen=True, slots=True)
class Bench:
    """A workload of training."""

    title: str
    settings: Mapping[str, Any]
    peers: Sequence[str]
    data: str
    num_rows: int | None
    """None: what the machine affords."""
    num_held_out_rows: int
    ways: Sequence[Way] = ("plain",)
    """Of ours; those after the first only beside the best configurations."""

    def legs(self, peers: Sequence[str] | None = None) -> list[Leg]:
        """Best configurations beside each other, then the default ones. Raises: BenchmarkError, where a peer does not take part."""
        unknown = set(peers or ()) - set(self.peers)
        if unknown:
            raise BenchmarkError(f"--peers: {', '.join(sorted(unknown))}: no such peer here. Peers: {', '.join(self.peers)}.")
        programs = [peer for peer in self.peers if peers is None or peer in peers]
        best = [*(Leg(OURS, "best", way) for way in self.ways), *(Leg(program, "best") for program in programs)]
        return [*best, *(Leg(program, "default") for program in (OURS, *programs))]


_LANGUAGE_MODEL = {"task": "language_model", "examples_per_step": 8, "num_warm_up_steps": 1, "num_checkpoints": 3}
_CLASSIFIER = {"task": "classification", "examples_per_step": 32, "num_warm_up_steps": 2, "num_checkpoints": 6}


def _tuning(title: str, method: str, learning_rate: float, ways: Sequence[Way]) -> Bench:
    settings = {**_LANGUAGE_MODEL, "method": method, "learning_rate": learning_rate}
    return Bench(title, settings, ("trainer", "trl", "llamafactory"), "docstrings", None, 12, ways)


def _classifying(title: str, method: str, learning_rate: float, num_rows: int, epochs: int = 1) -> Bench:
    settings = {**_CLASSIFIER, "method": method, "learning_rate": learning_rate, "epochs": epochs}
    return Bench(title, settings, ("trainer",), "movie-reviews", num_rows, 200)


BENCHES: Mapping[str, Bench] = {
    "sft": _tuning("Supervised tuning of SmolLM2-135M with LoRA, r = 16", "lora", 2e-4, ("plain", "compiled", "int8")),
    "sft-full": _tuning("Supervised tuning of SmolLM2-135M, every weight", "full", 2e-5, ("plain", "compiled")),
    "classify": _classifying("Classification with MiniLM, LoRA, r = 16", "lora", 5e-4, 1600),
    "classify-full": _classifying("Classification with MiniLM, every weight", "full", 5e-5, 1600),
    "frozen": _classifying("A new head on a frozen MiniLM, 10 epochs", "head", 1e-2, 480, epochs=10),
}
