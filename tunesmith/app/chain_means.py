"""`tunesmith runs mean`: a chain that was run with several seeds, stage by stage: what each run measured, and the mean over them.

Intervals take in seeds and test rows, which are crossed: `core.crossed`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tunesmith.app.fitting import recorded_metric
from tunesmith.app.predictions import read_predictions, stats_of
from tunesmith.core.crossed import Stats, difference, mean
from tunesmith.core.errors import RunError, UsageError, did_you_mean
from tunesmith.core.files import finite
from tunesmith.core.run import GroupDirectory, RunDirectory
from tunesmith.core.types import Metric
from tunesmith.recipe import load
from tunesmith.recipe.text import parse_yaml

__all__ = ["chain_means"]

_OF_ITS_OWN = ("seed", "output_dir")
"""What chains that are read together may differ in."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """One metric of a stage in every run."""

    metric: Metric
    name: str
    entries: Sequence[Mapping[str, Any]]
    """Of the runs' reports."""
    stats: Stats


def chain_means(found: Sequence[GroupDirectory | RunDirectory], *, metric: str | None = None, against: str | None = None) -> dict[str, Any]:
    """What the chains measured on their test rows, and its mean over the seeds.

    Args:
        found: the chains, each with all of its runs.
        metric: which one, of the stages that have it; None: the first of each stage.
        against: a stage, to which others that were judged by the same metric on the same rows are held.
    Returns: the document, as docs/report-format.md describes it.
    Raises: UsageError, for fewer than two chains, one of them twice, or a stage or a metric that they do not have; RunError, for chains that are
        not finished, or differ in more than their seeds.
    """
    groups = _chains(found)
    _check(groups, against)
    stages = list(groups[0].values)
    measured = {stage: one for stage in stages if (one := _measured([group.by_value[stage] for group in groups], metric))}
    if not measured:
        raise UsageError(
            f"runs mean: no stage of {groups[0].id} was measured by {metric or 'anything'}. `tunesmith runs show` lists what was."
        )
    if against is not None and against not in measured:
        raise UsageError(f"runs mean: --against {against}: was not measured by {metric or 'anything'}. Name one of {', '.join(measured)}.")
    document = {
        "schema": "tunesmith/runs-mean/1",
        "chains": [{"group": group.id, "directory": str(group.path)} for group in groups],
        "against": against,
        "stages": {stage: _entry(one, measured.get(against or ""), stage == against) for stage, one in measured.items()},
    }
    return {key: finite(value) for key, value in document.items()}


def _chains(found: Sequence[GroupDirectory | RunDirectory]) -> list[GroupDirectory]:
    groups = [one for one in found if isinstance(one, GroupDirectory) and one.kind == "stages"]
    strange = next((one for one in found if one not in groups), None)
    if strange is not None:
        raise UsageError(f"{strange.path}: is no chain. `tunesmith tune RECIPE --seeds N` says the mean of a recipe.")
    return groups


def _check(groups: Sequence[GroupDirectory], against: str | None) -> None:
    paths = [group.path.resolve() for group in groups]
    if len(paths) < 2:
        raise UsageError("runs mean: needs a chain that was run with two seeds or more: tunesmith runs mean A B")
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise UsageError(f"runs mean: {twice} is named twice. Name chains of other seeds.")
    for group in groups:
        if group.status != "done":
            raise RunError(f"{group.path}: this chain is not finished. Go on with it: tunesmith runs resume {group.path}")
    stages, seeds = [dict(_stages(group)) for group in groups], [_seeds(group) for group in groups]
    for at, (group, other) in enumerate(zip(groups, stages, strict=True)):
        strange = next((stage for stage in {**stages[0], **other} if stages[0].get(stage) != other.get(stage)), None)
        if strange is not None:
            raise RunError(f"{group.path}: stage {strange} differs from that of {groups[0].path} in more than its seed: they have no mean.")
        if seeds[at] in seeds[:at]:
            raise UsageError(
                f"{group.path}: has the same seed as {groups[seeds.index(seeds[at])].path}. Run the chain with another: seed=N."
            )
    if against is not None and against not in stages[0]:
        raise UsageError(
            f"runs mean: --against {against}: no such stage.{did_you_mean(against, stages[0])} Stages: {', '.join(stages[0])}."
        )


def _recipes(group: GroupDirectory) -> Mapping[str, Mapping[str, Any]]:
    recipes: Mapping[str, Mapping[str, Any]] = parse_yaml(group.recipe.read_text(encoding="utf-8"), str(group.recipe))["stages"]
    return recipes


def _stages(group: GroupDirectory) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each stage's recipe, without what the chains may differ in."""
    for stage, own in _recipes(group).items():
        yield stage, {key: value for key, value in own.items() if key not in _OF_ITS_OWN}


def _seeds(group: GroupDirectory) -> list[Any]:
    return [own.get("seed") for own in _recipes(group).values()]


def _measured(runs: Sequence[RunDirectory], name: str | None) -> _Measured | None:
    """The metric of a stage, or its first; None where it has none."""
    reports = [run.read_json(run.report_json) for run in runs]
    known = [found for found in reports[0]["metrics"] if all((report["metrics"].get(found) or {}).get("tuned") for report in reports)]
    chosen = next((found for found in known if name in (None, found)), None)
    if chosen is None:
        return None
    recipe = load(runs[0].recipe)
    found = {seed: stats_of(read_predictions(run), chosen) for seed, run in enumerate(runs)}
    strange = next((runs[seed] for seed, one in found.items() if sorted(one["row"]) != sorted(found[0]["row"])), None)
    if strange is not None:
        raise RunError(
            f"{strange.path}: was judged on other test rows than {runs[0].path}: the data changed meanwhile. Run the chain again."
        )
    return _Measured(recorded_metric(recipe, chosen), chosen, [report["metrics"][chosen] for report in reports], Stats.of(found))


def _entry(one: _Measured, other: _Measured | None, is_other: bool) -> dict[str, Any]:
    held = other is not None and not is_other and one.name == other.name and _rows(one) == _rows(other)
    return {
        "metric": one.name,
        "higher_is_better": one.metric.higher_is_better,
        "rows": one.entries[0]["rows"],
        "values": [entry["tuned"] for entry in one.entries],
        "tuned": asdict(mean(one.stats, one.metric.value)),
        "difference": asdict(difference(one.stats, other.stats, one.metric.value)) if other is not None and held else None,
    }


def _rows(one: _Measured) -> list[str]:
    return sorted(one.stats.by_seed[0])
