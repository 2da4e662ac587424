"""One `tune` of a recipe with changes: what it measured, what each test row contributed, and how much slower the tuned model answers."""

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tunesmith.app.predictions import read_predictions, stats_of
from tunesmith.app.run import Run
from tunesmith.app.task import learning_rate, prepare
from tunesmith.app.tune import tune
from tunesmith.app.tuned import Tuned, load_tuned
from tunesmith.core import registry
from tunesmith.core.errors import Diverged
from tunesmith.core.files import write_json
from tunesmith.core.types import Example, Method
from tunesmith.engine.generate import generate
from tunesmith.recipe import load

__all__ = ["leg", "losses", "slow_down", "trained"]

_ROUNDS = 3
_NEW_TOKENS = 16
"""Of each answer that is timed; both sides write all of them, wherever an answer would have ended."""
_NO_METRIC = {"step", "epoch", "loss", "loss_low", "loss_high"}
"""Of a validation; the rest are metrics."""
_LAST_STEPS = 5
"""The training loss at the end is a mean of so many steps."""


def leg(asked: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Train below `folder` and measure. A training that diverged is a result too."""
    run, begun = trained(asked, folder)
    if run is None:
        return begun
    report, environment = run.report, run.directory.read_json(run.directory.environment)
    cost, model, said = report["cost"], environment["model"], read_predictions(run.directory)
    return {
        **begun,
        "metrics": report["metrics"],
        "rows": {name: stats_of(said, name) for name in asked["metrics"]},
        "trained_parameters": cost["trainable_parameters"],
        "total_parameters": cost["total_parameters"],
        "peak_memory_bytes": cost["peak_memory_bytes"],
        "train_seconds": cost["train_seconds"] + cost["head_first_seconds"],
        "compile_seconds": cost["compile_seconds"],
        "saved_bytes": cost["saved_bytes"],
        "num_steps": len(report["curves"]["train"]),
        "losses": losses(report["curves"]),
        "linear_weights": model["linear_weights"],
        "slow_down": slow_down(run, asked["num_asked"]) if asked["num_asked"] else None,
        "versions": report["versions"],
        "machine": report["machine"],
        "model": {name: report["model"][name] for name in ("name", "sha256")},
    }


def trained(asked: Mapping[str, Any], folder: Path) -> tuple[Run | None, dict[str, Any]]:
    """The run of a recipe with changes, below `folder`, and what is said of its beginning; where it diverged no run, and why."""
    recipe = load(asked["recipe"], [*asked["overrides"], f"output_dir={folder / 'run'}"])
    method: Method = registry.create("method", recipe.method.name, **recipe.method.options)
    begun = {"learning_rate": learning_rate(recipe, method), "recipe": recipe.model_dump(mode="json", exclude={"output_dir"})}
    try:
        return tune(recipe, progress=lambda _event: None), begun
    except Diverged as error:
        return None, {**begun, "diverged": str(error)}


def losses(curves: Mapping[str, Any]) -> dict[str, Any]:
    """Nats: of training and validation at the end, and of validation where the weights that were kept come from, with its metrics; None where nothing was validated."""
    train, validation, best = curves["train"], curves["validation"], curves["best"]
    kept = next((one for one in validation if best is not None and one["step"] == best["step"]), None)
    return {
        "train": statistics.fmean(step["loss"] for step in train[-_LAST_STEPS:]),
        "validation": validation[-1]["loss"] if validation else None,
        "kept_validation": kept["loss"] if kept else None,
        "kept_step": kept["step"] if kept else None,
        "kept_by": {name: value for name, value in (kept or {}).items() if name not in _NO_METRIC},
        "overfitting": curves["overfitting"]["text"] if curves["overfitting"]["found"] else "",
    }


def slow_down(run: Run, num_rows: int) -> dict[str, Any]:
    """Seconds in which the tuned model, and the base in the recipe's own precision under the same head, answer the same test rows, in turns."""
    recipe = load(run.directory.recipe, ["model.quantization=null"])
    task, tuned = prepare(recipe, lambda _event: None), load_tuned(run.directory)
    task.forward.use_fused_layers()
    task.forward.heads.update(dict(tuned.forward.heads.items()))
    base = Tuned(
        recipe, task.model, task.forward.eval(), tuned.encoder, task.stop_tokens, task.micro_batch_tokens, tuned.kind, tuned.format, task.objective
    )  # fmt: skip
    examples = list(task.splits["test"].examples[:num_rows])
    sides = {"base": base, "tuned": tuned}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        _answer(side, examples)
    for turn in range(_ROUNDS):
        for name in (*sides,) if turn % 2 == 0 else reversed((*sides,)):
            seconds[name].append(_seconds(lambda side=sides[name]: _answer(side, examples)))  # type: ignore[misc]
    ratio = statistics.median(seconds["tuned"]) / statistics.median(seconds["base"])
    return {"num_rows": len(examples), "base_seconds": seconds["base"], "tuned_seconds": seconds["tuned"], "ratio": ratio}


def _answer(side: Tuned, examples: Sequence[Example]) -> None:
    if side.kind == "generation":
        generate(side.forward, side.encoder.prompts(examples), max_new_tokens=_NEW_TOKENS, stop_tokens=())
    else:
        side.ask(examples)


def _seconds(work: Callable[[], None]) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


if __name__ == "__main__":
    place = Path(sys.argv[1])
    write_json(place / "result.json", leg(json.loads((place / "asked.json").read_text(encoding="utf-8")), place))
