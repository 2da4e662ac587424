"""Legs and the folder of their results, by which a command that was interrupted goes on. Imports no torch."""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.methods.columns import packed, unpacked
from benchmarks.running import ROOT, Say, python
from benchmarks.workload import BenchmarkError
from tunesmith.core.files import file_sha256, write_json

__all__ = ["RATES", "Leg", "Results", "commit", "next_rates", "rate_of", "run_leg", "run_missing", "tries", "with_rate"]

RATES: Mapping[str, float] = {"ninth": 1 / 9, "third": 1 / 3, "own": 1.0, "triple": 3.0, "ninefold": 9.0, "27-fold": 27.0}
"""Learning rates that may be tried, as multiples of the method's own, in rising order."""
RECIPES = ROOT / "tunesmith" / "recipes"
_LIMIT_SECONDS = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Leg:
    """One training: a recipe with changes, and where its result lies in the folder."""

    folder: str
    """Such as `methods/reviews/lora`."""
    seed: int
    recipe: str
    overrides: tuple[str, ...]
    metrics: tuple[str, ...]
    rate: str = "own"
    """A key of RATES."""
    rate_override: tuple[str, ...] = ("train.learning_rate=auto",)
    num_asked: int = 0
    """Test rows that tuned model and base are asked for the slow-down; 0: it is not measured."""
    data_sha256: str = ""
    """Of the rows, where they are not the recipe's own."""
    module: str = "benchmarks.legs.tuning"
    more: Mapping[str, Any] = field(default_factory=dict)
    """What else the module is told."""

    @property
    def file(self) -> str:
        """Of the result, below the results' folder."""
        return f"{self.folder}/seed-{self.seed}{'' if self.rate == 'own' else f'-{self.rate}'}.json"

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.folder}, seed {self.seed}{'' if self.rate == 'own' else f', learning rate {self.rate}'}"

    def asked(self, changes: Sequence[str]) -> dict[str, Any]:
        """What the leg's process is told; a result made of something else is not this leg's."""
        overrides = [*self.overrides, *self.rate_override, *changes, f"seed={self.seed}"]
        told = {"recipe": self.recipe, "overrides": overrides, "metrics": list(self.metrics), "num_asked": self.num_asked}
        file = RECIPES / f"{self.recipe}.yaml"
        shipped = {"recipe_sha256": file_sha256(file)} if file.is_file() else {}
        return {**told, **shipped, "data_sha256": self.data_sha256, **self.more}


@dataclass(frozen=True, slots=True)
class Results:
    """A folder with one JSON file a finished leg."""

    folder: Path
    changes: tuple[str, ...] = ()
    """Further changes of every recipe, for a trial of the command."""
    commit: str = ""

    def get(self, leg: Leg) -> dict[str, Any] | None:
        """What the leg measured; None where it has not ended yet. Raises: BenchmarkError, where the file, or one that it names, is of something else."""
        file = self.folder / leg.file
        if not file.is_file():
            return None
        try:
            found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            asked = found["asked"]
            rows = {metric: unpacked(columns, self.folder) for metric, columns in found.get("rows", {}).items()}
        except (OSError, ValueError, KeyError, TypeError):
            raise BenchmarkError(f"{file}: is not the result of a leg. Remove it, or name another folder with --results.") from None
        if asked != json.loads(json.dumps(leg.asked(self.changes))):
            raise BenchmarkError(
                f"{file}: was measured with other settings than are asked for. Remove it, or name another folder with --results."
            )
        return {**found, "rows": rows} if rows else found

    def put(self, leg: Leg, found: Mapping[str, Any]) -> None:
        """Keep what the leg measured, written whole."""
        about = {"asked": leg.asked(self.changes), "commit": self.commit, "date": date.today().isoformat()}
        rows = {metric: packed(columns, self.folder) for metric, columns in found.get("rows", {}).items()}
        write_json(self.folder / leg.file, {**about, **found, **({"rows": rows} if rows else {})}, indent=None)

    def missing(self, legs: Sequence[Leg]) -> list[Leg]:
        """Those that have not ended yet. Raises: BenchmarkError."""
        return [leg for leg in legs if self.get(leg) is None]


Run = Callable[[Leg, Results], Mapping[str, Any]]


def run_leg(leg: Leg, results: Results, rows: Path | None = None) -> dict[str, Any]:
    """Run a leg in a process of its own. `rows`: a folder that `ROWS/` in the recipe and its changes stands for. Raises: BenchmarkError."""
    with tempfile.TemporaryDirectory(prefix="tunesmith-benchmark-") as name:
        asked, folder = leg.asked(results.changes), Path(name)
        place = f"{rows}/" if rows is not None else "ROWS/"
        overrides = [override.replace("ROWS/", place) for override in asked["overrides"]]
        told = {**asked, "recipe": leg.recipe.replace("ROWS/", place), "overrides": overrides}
        (folder / "asked.json").write_text(json.dumps(told), encoding="utf-8")
        python(sys.executable, leg.module, str(folder), limit_seconds=_LIMIT_SECONDS)
        text = (folder / "result.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text.replace(place, "ROWS/"))  # a row has the same name wherever the folder lies
        return found


def run_missing(legs: Sequence[Leg], results: Results, say: Say, run: Run = run_leg) -> list[str]:
    """Run what has no result yet, one after the other, and keep each as it ends. Returns: what went wrong, a line each; the others go on."""
    wanted, failed = results.missing(legs), list[str]()
    for index, leg in enumerate(wanted):
        say(f"leg {index + 1} of {len(wanted)}: {leg.name}")
        try:
            results.put(leg, run(leg, results))
        except BenchmarkError as error:
            failed.append(f"{leg.name}: {error}")
            say(f"error: {failed[-1]}")
    return failed


def with_rate(leg: Leg, rate: str, own: float) -> Leg:
    """The leg with another of the learning rates, which is not timed. `own`: the method's."""
    if rate == "own":
        return replace(leg, rate="own", rate_override=("train.learning_rate=auto",))
    return replace(leg, rate=rate, rate_override=(f"train.learning_rate={own * RATES[rate]:.6g}",), num_asked=0)


def tries(leg: Leg, results: Results) -> dict[str, dict[str, Any]]:
    """By rate what the legs that differ in it alone measured: that with the method's own rate, and those that were tried beside it."""
    own = results.get(leg)
    found = {} if own is None else {"own": own}
    if own is not None:
        others = {rate: results.get(with_rate(leg, rate, own["learning_rate"])) for rate in RATES if rate != "own"}
        found |= {rate: other for rate, other in others.items() if other is not None}
    return found


def rate_of(first: Leg, results: Results) -> str:
    """The rate with the least validation loss of the first seed's legs, once its neighbours were tried too; until then the method's own."""
    found = tries(first, results)
    return "own" if not found or next_rates(found) else _best(found)


def next_rates(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The neighbours of the best of the rates that were tried, as far as they were not: none is left once the best lies between two that are worse, or is the last that may be tried."""
    order = list(RATES)
    best = order.index(_best(found))
    return [rate for rate in order[max(best - 1, 0) : best + 2] if rate not in found]


def _best(found: Mapping[str, Mapping[str, Any]]) -> str:
    def loss(rate: str) -> float:
        kept = found[rate].get("losses", {}).get("kept_validation")
        return math.inf if kept is None else kept

    return min(found, key=loss)


def commit() -> str:
    """Of the working tree, with a mark where it has changes; `unknown` outside a repository."""

    def said(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return said("rev-parse", "HEAD")[:12] + ("+changes" if said("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
