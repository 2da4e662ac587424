"""`tunesmith runs mean`: a chain that was run with several seeds, stage by stage: what each run measured, and the mean over them.

Intervals take in seeds and test rows, which are crossed: `core.crossed`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tunesmith.app.fitting import is_per_token, recorded_metric
from tunesmith.app.predictions import read_predictions, row_name, stats_of
from tunesmith.app.same_tokens import token_counts
from tunesmith.core.crossed import Stats, difference, mean
from tunesmith.core.errors import RunError, UsageError, did_you_mean
from tunesmith.core.files import finite
from tunesmith.core.run import GroupDirectory, RunDirectory
from tunesmith.core.types import Metric
from tunesmith.recipe import Recipe, load, load_chain
from tunesmith.recipe.text import dotted

__all__ = ["chain_means"]

_OF_ITS_OWN = ("name", "description", "seed", "output_dir")
"""What chains that are read together may differ in."""
_FEWEST_SEEDS = 5
"""That are read without a remark. An interval over fewer reaches from the least seed to the greatest at most, where rows do not widen it."""

Rows = Counter[tuple[str, str, str]]
"""How often there is a row of that key, name and reference; rows that share their key are drawn together."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """One metric of a stage in every run."""

    metric: Metric
    name: str
    entries: Sequence[Mapping[str, Any]]
    """Of the runs' reports."""
    found: Mapping[int, Mapping[str, Sequence[Any]]]
    """Run -> what its rows contributed, as `stats_of` reads it."""
    rows: Rows
    source: str
    """The model that the stage began with."""

    @property
    def stats(self) -> Stats:
        """As they are resampled."""
        return Stats.of(self.found)


def chain_means(found: Sequence[GroupDirectory | RunDirectory], *, metric: str | None = None, against: str | None = None) -> dict[str, Any]:
    """What the chains measured on their test rows, and its mean over the seeds.

    Args:
        found: the chains, each with all of its runs.
        metric: which one, of the stages that have it; None: the first of each stage.
        against: a stage, to which others that were judged by the same metric on the same rows are held.
    Returns: the document, as docs/report-format.md describes it; its `remarks` say what is left out, and how far its intervals can be trusted.
    Raises: UsageError, for fewer than two chains, one of them twice, seeds that no stage has only once, or a stage or a metric that they do not have;
        RunError, for chains that are not finished, or differ in more than their seeds.
    """
    groups = _chains(found)
    repeated = _check(groups, against)
    remarks = [f"{stage}: {why}, and it is left out; stages that begin with it have it in common." for stage, why in repeated.items()]
    by_stage = {stage: [group.by_value[stage] for group in groups] for stage in groups[0].values if stage not in repeated}
    each = {stage: _measured(stage, runs, metric, remarks) for stage, runs in by_stage.items()}
    measured = {stage: one for stage, one in each.items() if one is not None}
    if not measured:
        raise UsageError(
            f"runs mean: no stage of {groups[0].id} was measured by {metric or 'anything'} ({remarks[0].removesuffix('.')}). "
            "`tunesmith runs show` lists what was."
        )
    if against is not None and against not in measured:
        raise UsageError(f"runs mean: --against {against}: was not measured by {metric or 'anything'}. Name one of {', '.join(measured)}.")
    stages = {stage: _entry(one) for stage, one in measured.items()}
    for stage, entry in stages.items():
        if against is not None and stage != against:
            entry["difference"] = _difference(stage, against, measured, remarks)
    document = {
        "schema": "tunesmith/runs-mean/1",
        "chains": [{"group": group.id, "directory": str(group.path)} for group in groups],
        "against": against,
        "stages": stages,
        "remarks": [*remarks, *_cautions(len(groups), stages)],
    }
    return {key: finite(value) for key, value in document.items()}


def _chains(found: Sequence[GroupDirectory | RunDirectory]) -> list[GroupDirectory]:
    groups = [one for one in found if isinstance(one, GroupDirectory) and one.kind == "stages"]
    strange = next((one for one in found if one not in groups), None)
    if strange is not None:
        raise UsageError(f"{strange.path}: is no chain. `tunesmith tune RECIPE --seeds N` says the mean of a recipe.")
    return groups


def _check(groups: Sequence[GroupDirectory], against: str | None) -> dict[str, str]:
    """Whether the chains can be read together. Returns: stages that ran with one seed more than once, and where. Raises: as `chain_means`."""
    paths = [group.path.resolve() for group in groups]
    if len(paths) < 2:
        raise UsageError("runs mean: needs a chain that was run with two seeds or more: tunesmith runs mean A B")
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise UsageError(f"runs mean: {twice} is named twice. Name chains of other seeds.")
    for group in groups:
        if group.status != "done":
            raise RunError(f"{group.path}: this chain is not finished. Go on with it: tunesmith runs resume {group.path}")
    recipes = [_recipes(group) for group in groups]
    for group, own in zip(groups[1:], recipes[1:], strict=True):
        _check_alike(groups[0], recipes[0], group, own)
    if against is not None and against not in recipes[0]:
        raise UsageError(
            f"runs mean: --against {against}: no such stage.{did_you_mean(against, recipes[0])} Stages: {', '.join(recipes[0])}."
        )
    repeated = {stage: why for stage in recipes[0] if (why := _repeated(groups, [own[stage].seed for own in recipes]))}
    stage = against if against in repeated else next(iter(repeated)) if len(repeated) == len(recipes[0]) else None
    if stage is not None:
        raise UsageError(
            f"runs mean: stage {stage} {repeated[stage]}: that is one run, twice. Run the chain with seed=N, or {stage}.seed=N where the stage names its own."
        )
    return repeated


def _repeated(groups: Sequence[GroupDirectory], seeds: Sequence[int]) -> str:
    """Which chains ran a stage with the same of its seeds; empty where each has another."""
    at = next((at for at, seed in enumerate(seeds) if seed in seeds[:at]), None)
    return "" if at is None else f"has the same seed, {seeds[at]}, in {groups[seeds.index(seeds[at])].path} and {groups[at].path}"


def _recipes(group: GroupDirectory) -> dict[str, Recipe]:
    """Each stage's recipe as it is loaded, so that a default that is written out is no difference."""
    chain = load_chain(group.recipe)
    return {stage: chain.recipe(stage, {}) for stage in chain.stages}


def _check_alike(first: GroupDirectory, recipes: Mapping[str, Recipe], group: GroupDirectory, own: Mapping[str, Recipe]) -> None:
    """Raises: RunError, where a chain has other stages than the first, or one whose recipe differs in more than its seed."""
    strange = next((stage for stage in {**recipes, **own} if stage not in recipes or stage not in own), None)
    if strange is not None:
        has, lacks = (first, group) if strange in recipes else (group, first)
        raise RunError(f"{has.path}: has a stage {strange}, and {lacks.path} has none. Name runs of one chain.")
    for stage in recipes:
        one, other = (dict(dotted(recipe.model_dump(mode="json"))) for recipe in (recipes[stage], own[stage]))
        key = next((key for key in {**one, **other} if key not in _OF_ITS_OWN and one.get(key) != other.get(key)), None)
        if key is not None:
            raise RunError(
                f"{group.path}: stage {stage} differs from that of {first.path} in more than its seed: {key} is {_written(other.get(key))}, "
                f"and there {_written(one.get(key))}. They have no mean; name runs of one chain."
            )


def _written(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _measured(stage: str, runs: Sequence[RunDirectory], wanted: str | None, remarks: list[str]) -> _Measured | None:
    """The metric of a stage, or the first that all of its runs have with its rows; None where there is none. `remarks` are told what is passed over."""
    reports = [run.read_json(run.report_json) for run in runs]
    metrics = [report.get("metrics") or {} for report in reports]
    known = [name for name in dict.fromkeys(name for one in metrics for name in one) if wanted in (None, name)]
    if not known:
        remarks.append(f"{stage}: was not measured by {wanted or 'any metric'}, and is left out.")
        return None
    lines = [read_predictions(run) for run in runs]
    for name in known:
        found = {at: stats_of(own, name) for at, own in enumerate(lines)}
        lacking = [
            f"{run.path} was not measured by it" for run, own in zip(runs, metrics, strict=True) if not (own.get(name) or {}).get("tuned")
        ]
        lacking += [f"{runs[at].predictions} has no row of it" for at, own in found.items() if "tuned" not in own]
        if lacking:
            remarks.append(f"{stage}: {name} is left out: {lacking[0]}.")
            continue
        rows = [_rows(own, name) for own in lines]
        at = next((at for at, others in enumerate(rows) if others != rows[0]), None)
        if at is not None:
            remarks.append(
                f"{stage}: is left out: {runs[at].path} was judged on other test rows than {runs[0].path} {_shared(rows[at], rows[0])}."
            )
            return None
        recipe = load(runs[0].recipe)
        one = _Measured(recorded_metric(recipe, name), name, [own[name] for own in metrics], found, rows[0], recipe.model.source)
        if is_per_token(name) and _counts_tokens(one) and any(token_counts(own) != token_counts(found[0]) for own in found.values()):
            remarks.append(
                f"{stage}: its runs count other tokens than each other, and {name} is per token: read the mean of bits_per_byte."
            )
        return one
    return None


def _rows(lines: Sequence[Mapping[str, Any]], metric: str) -> Rows:
    """The test rows that the metric was measured on."""
    return Counter(
        (str(line.get("group") or row_name(line)), row_name(line), str(line["reference"]))
        for line in lines
        if line["split"] == "test" and metric in line["scores"]["tuned"]
    )


def _shared(own: Rows, others: Rows) -> str:
    return f"({(own & others).total():,} of {own.total():,} and {others.total():,} are the same, by name, reference and group)"


def _entry(one: _Measured) -> dict[str, Any]:
    return {
        "metric": one.name,
        "higher_is_better": one.metric.higher_is_better,
        "rows": one.entries[0]["rows"],
        "values": [entry["tuned"] for entry in one.entries],
        "tuned": asdict(mean(one.stats, one.metric.value)),
        "difference": None,
    }


def _difference(stage: str, against: str, measured: Mapping[str, _Measured], remarks: list[str]) -> dict[str, Any] | None:
    """What a stage's mean is more than that of the other; None where they have no difference, and `remarks` are told why."""
    one, other = measured[stage], measured[against]
    if one.name != other.name:
        why = f"is measured by {one.name}, and {against} by {other.name}"
    elif one.rows != other.rows:
        why = f"was judged on other rows than {against} {_shared(one.rows, other.rows)}"
    elif is_per_token(one.name) and not _same_tokens(one, other):
        why = f"counts other tokens than {against}, and {one.name} is per token"
    else:
        return asdict(difference(one.stats, other.stats, one.metric.value))
    remarks.append(f"{stage}: {why}: their difference is left out.{' bits_per_byte has one.' if 'per token' in why else ''}")
    return None


def _same_tokens(one: _Measured, other: _Measured) -> bool:
    """Whether they count the same tokens in every run; of metrics that do not keep the count of a text that is given, whether they began with one model."""
    if _counts_tokens(one):
        return all(token_counts(one.found[at]) == token_counts(other.found[at]) for at in one.found)
    return one.source == other.source


def _counts_tokens(one: _Measured) -> bool:
    """Whether a row contributes nats, and the tokens that they are of."""
    return all(len(numbers) > 1 for numbers in one.found[0]["tuned"])


def _cautions(num_seeds: int, stages: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """How far the intervals can be trusted."""
    if num_seeds < _FEWEST_SEEDS:
        yield (
            f"an interval over {num_seeds} seeds is too narrow where seeds differ by more than test rows do: it then lies between the least and the "
            f"greatest of them, which hold the mean of all seeds between them in about {_held(num_seeds)} of cases, not in 95 %. Run five seeds or more."
        )
    by_metric = Counter(entry["metric"] for entry in stages.values() if entry["difference"])
    for metric, num_differences in by_metric.items():
        if num_differences > 1:
            yield (
                f"{metric}: the intervals of {num_differences} differences are each at 95 %, not corrected for their number: that one of them leaves out "
                "zero by chance is likelier than one in twenty."
            )


def _held(num_seeds: int) -> str:
    """How often numbers that lie above their mean as often as below do not all lie on one side of it."""
    return f"{100 * (1 - 2 ** (1 - num_seeds)):g} %"
