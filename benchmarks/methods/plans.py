"""The legs of the table, of LoRA's rank and scale, and of prompts. Imports no torch."""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.methods.named import METHODS, WORKLOADS, chosen
from benchmarks.methods.stored import Leg, Results, rate_of, with_rate

__all__ = [
    "GRID_METRICS",
    "INIT_TEXT",
    "LONGER",
    "LONGER_EPOCHS",
    "RANKS",
    "SCALES",
    "SEEDS",
    "TEMPLATES",
    "chosen_leg",
    "first_leg",
    "grid_legs",
    "longer_leg",
    "method_leg",
    "methods_of",
    "prompt_legs",
    "timed_leg",
]

SEEDS = (0, 1, 2)
"""Of a whole table; with the first of them learning rates are tried."""
RANKS = (1, 2, 4, 8, 16, 64)
SCALES = (0.5, 1, 2, 4)
"""lora_alpha / r."""
GRID_METRICS = ("accuracy",)
LONGER = ("bitfit", "ia3", "prompt", "prefix", "p_tuning", "full")
"""Methods that change a model by few numbers, and full tuning beside them."""
LONGER_EPOCHS = 8
"""Of `reviews`, which has 2."""

TEMPLATES = {
    "the recipe's": "Write the docstring of this Python function.\n\n{source}",
    "bare": "{source}",
    "the form": "Write the first sentence of the docstring of this Python function: one short sentence, in the imperative, without quotes.\n\n{source}",
    "a role": "You maintain Python's standard library. Say in one plain sentence what this function does, as its docstring begins.\n\n{source}",
    "an example": (
        "Write the first sentence of a Python function's docstring.\n\nFunction:\ndef double(x):\n    return 2 * x\n"
        "Docstring: Return twice the number.\n\nFunction:\n{source}\nDocstring:"
    ),
    "the question last": "{source}\n\nWhat does this Python function do? Answer with the first sentence of its docstring.",
}
"""Hand-written prompts for `docstrings`, chosen among on the validation rows."""
INIT_TEXT = "Write the first sentence of the docstring of this Python function: one short sentence, in the imperative, without quotes."


def methods_of(workload: str, names: Sequence[str] | None = None) -> list[str]:
    """The methods that have a row on a workload, among those asked for. Raises: BenchmarkError, for one that is not known."""
    return [name for name in chosen(names, list(METHODS), "--methods") if workload in METHODS[name].workloads]


def method_leg(workload: str, method: str, seed: int) -> Leg:
    """A method on a workload, with the method's own learning rate."""
    found = WORKLOADS[workload]
    num_asked = found.num_asked if seed == SEEDS[0] and not found.timed else 0
    return Leg(f"methods/{workload}/{method}", seed, found.recipe, METHODS[method].overrides, found.metrics, num_asked=num_asked)


def first_leg(workload: str, method: str) -> Leg:
    """The leg beside which other learning rates are tried."""
    return method_leg(workload, method, SEEDS[0])


def timed_leg(workload: str, method: str) -> Leg:
    """The leg that is timed: that of the first seed, or where that is long a shorter one."""
    found, first = WORKLOADS[workload], first_leg(workload, method)
    if not found.timed:
        return first
    return replace(first, folder=f"times/{workload}/{method}", overrides=(*first.overrides, *found.timed), num_asked=found.num_asked)


def chosen_leg(results: Results, workload: str, method: str, seed: int) -> Leg:
    """As `method_leg`, with the learning rate that was chosen where others were tried. Raises: BenchmarkError."""
    first, leg = first_leg(workload, method), method_leg(workload, method, seed)
    own = results.get(first)
    return leg if own is None else with_rate(leg, rate_of(first, results), own["learning_rate"])


def grid_legs(seeds: Sequence[int]) -> dict[tuple[int, float, int], Leg]:
    """LoRA on `reviews`, by rank, scale and seed, with the learning rate of LoRA itself."""
    found = {}
    for seed in seeds:
        for r in RANKS:
            for scale in SCALES:
                overrides = ("method.name=lora", f"method.r={r}", f"method.lora_alpha={r * scale:g}")
                found[r, scale, seed] = Leg(f"lora-grid/r-{r}-scale-{scale:g}", seed, "reviews", overrides, GRID_METRICS)
    return found


def longer_leg(results: Results, method: str, seed: int) -> Leg:
    """A method on `reviews` for more epochs, with the learning rate that was chosen. Raises: BenchmarkError."""
    leg = chosen_leg(results, "reviews", method, seed)
    return replace(leg, folder=f"longer/{method}", overrides=(*leg.overrides, f"train.epochs={LONGER_EPOCHS}"), num_asked=0)


def prompt_legs(seeds: Sequence[int]) -> dict[str, list[Leg]]:
    """On `docstrings`, a list of seeds each: `templates` (the base alone, which no seed changes), `prompt`, which is the table's, and `prompt_from_text`."""
    metrics = WORKLOADS["docstrings"].metrics
    templates = Leg(
        "prompts/templates", 0, "docstrings", (), metrics, rate_override=(), module="benchmarks.legs.prompting", more={"templates": TEMPLATES}
    )  # fmt: skip
    overrides = (*METHODS["prompt"].overrides, f"method.init_text={INIT_TEXT}")
    return {
        "templates": [templates],
        "prompt": [method_leg("docstrings", "prompt", seed) for seed in seeds],
        "prompt_from_text": [Leg("prompts/prompt_from_text", seed, "docstrings", overrides, metrics) for seed in seeds],
    }
