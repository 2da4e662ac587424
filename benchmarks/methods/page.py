"""docs/method-table.md: the tables and the questions, from a folder of results."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.markdown import NONE, interval, table
from benchmarks.methods.few_shot import SUMMARY, few_shot_lines
from benchmarks.methods.named import LEFT_OUT, METHODS, WORKLOADS, Workload
from benchmarks.methods.plans import (
    LONGER,
    LONGER_EPOCHS,
    RANKS,
    SCALES,
    SEEDS,
    chosen_leg,
    first_leg,
    grid_legs,
    longer_leg,
    methods_of,
    prompt_legs,
    timed_leg,
)
from benchmarks.methods.stored import RATES, Results, next_rates, rate_of, tries
from benchmarks.methods.table import Answer, Found, TableRow, answers, rows_of
from tunesmith.core import registry
from tunesmith.core.crossed import Stats, difference, mean
from tunesmith.core.types import Metric

__all__ = ["found_of", "missing_lines", "page", "timed_of", "workload_lines"]

_HEAD = """# Every method on the same data

Written by `python -m benchmarks methods`; [how it is measured](benchmarks.md#methods). Each row is the shipped recipe with the change that [the last table](#what-the-rows-change) names. Figures hold for the
machine, the versions and the recipes that are named here, and for models, data and trainings of this size: small ones.

In brackets: the 95 % interval over seeds and test rows. Each of 2,000 resamples draws seeds and, apart from them, test rows, with replacement, the same for both sides of a difference
([Owen 2007](https://arxiv.org/abs/0712.1111)). A metric is the mean over the seeds. Two or three seeds say little of how far others would lie from them. Training time and slow-down are of one leg each, with seed 0 and the method's own learning rate.
"""


def page(results: Results, seeds: Sequence[int]) -> str:
    """The whole page; what is missing is named. Raises: BenchmarkError, where a file of the folder is of something else."""
    found = {workload: found_of(results, workload, seeds) for workload in WORKLOADS}
    parts = [_HEAD, *_about(results, [one for by in found.values() for legs in by.values() for one in legs.values()])]
    for name, workload in WORKLOADS.items():
        timed = timed_of(results, name)
        parts += (
            workload_lines(workload, found[name], timed) + _rates_lines(results, name) + missing_lines(workload, found[name], timed, seeds)
        )
    parts += [
        "## What the rows change",
        "",
        *_changes(),
        "",
        *longer_lines(results, seeds, found["reviews"]),
        *grid_lines(results, seeds),
        *prompt_lines(results, seeds),
        *_few_shot(results),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _few_shot(results: Results) -> list[str]:
    file = results.folder / SUMMARY
    return few_shot_lines(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else []


def found_of(results: Results, workload: str, seeds: Sequence[int]) -> dict[str, dict[int, dict[str, Any]]]:
    """What there is of each method, at its chosen learning rate. Raises: BenchmarkError."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for method in methods_of(workload):
        for seed in seeds:
            one = results.get(chosen_leg(results, workload, method, seed))
            if one is not None:
                found.setdefault(method, {})[seed] = one
    return found


def timed_of(results: Results, workload: str) -> dict[str, dict[str, Any]]:
    """Method -> its leg that is timed. Raises: BenchmarkError."""
    return {method: one for method in methods_of(workload) if (one := results.get(timed_leg(workload, method))) is not None}


def _about(results: Results, legs: Sequence[Mapping[str, Any]]) -> list[str]:
    whole = [one for one in legs if "machine" in one]
    lines = [f"- changed for a trial, so that these figures mean nothing: {', '.join(results.changes)}"] if results.changes else []
    for title, said in (("machine", _machine), ("versions", _versions), ("tunesmith's commit", lambda one: str(one["commit"])), ("measured", lambda one: str(one["date"]))):  # fmt: skip
        values = sorted({said(one) for one in whole})
        lines.append(f"- {title}: {'; '.join(values) if values else 'nothing measured yet'}")
    return [*lines, ""]


def _machine(one: Mapping[str, Any]) -> str:
    machine = one["machine"]
    on = "" if machine["device"] == "cpu" else f"{machine['device']}, "
    memory = f", {machine['memory_bytes'] / 2**30:.0f} GiB" if machine.get("memory_bytes") else ""
    return f"{on}{machine['processor']}, {machine['num_cores']} cores, {machine['num_threads']} threads{memory}"


def _versions(one: Mapping[str, Any]) -> str:
    kept = ("python", "tunesmith", "torch", "transformers", "peft", "bitsandbytes")
    return ", ".join(f"{name} {one['versions'][name]}" for name in kept if one["versions"].get(name))


def workload_lines(workload: Workload, found: Found, timed: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The table of a workload, and the questions below it."""
    rows = rows_of(workload, found, timed)
    lines = [f"## `{workload.recipe}`", "", f"{workload.title}.", ""]
    if not rows:
        return [*lines, "Nothing measured yet.", ""]
    first, *more = workload.metrics
    lines[2] = _recipe(workload, found)
    head = ["method", _called(first), "minus zero-shot", *map(_called, more), "trained parameters", "share", "peak memory", "training time", "training time / LoRA's", "saved", "slow-down", "loss at the end, training → validation", "learning rate", "seeds"]  # fmt: skip
    lines += table(head, [_cells(row, workload) for row in rows])
    lines += ["", "Named questions, " + _called(first) + ", ours minus theirs:", ""]
    return [*lines, *(f"- {_said(answer, first)}" for answer in answers(workload, found)), "", *_diverged(found)]


def _recipe(workload: Workload, found: Found) -> str:
    one = next(leg for legs in found.values() for leg in legs.values() if "rows" in leg)
    train = one["recipe"]["train"]
    asked = ", ".join(f"{name.replace('_', ' ')} {len(one['rows'][name]['row']):,}" for name in workload.metrics)
    timed = f" Timed with {' '.join(f'`{change}`' for change in workload.timed)}." if workload.timed else ""
    return (
        f"{workload.title} (`{one['model']['name']}`), by the recipe [`{workload.recipe}`](../tunesmith/recipes/{workload.recipe}.yaml): {one['num_steps']:,} steps of "
        f"{train['examples_per_step']} rows, {train['epochs']:g} epochs. Test rows: {asked}.{timed}"
    )


def _called(metric: str) -> str:
    made: Metric = registry.create("metric", metric)
    return f"{metric.replace('_', ' ')} ({'more' if made.higher_is_better else 'less'} is better)"


def _cells(row: TableRow, workload: Workload) -> list[str]:
    first, *more = workload.metrics
    losses = NONE if row.train_loss is None else f"{row.train_loss:.3f} → {_number(row.validation_loss, '{:.3f}')}"
    return [
        f"{row.title} (`{row.name}`)" if row.name in METHODS else row.title,
        interval(row.metrics[first]),
        interval(row.gain, signed=True),
        *(interval(row.metrics.get(name)) for name in more),
        f"{row.trained_parameters:,}",
        f"{row.share:.2%}",
        _number(row.peak_memory_bytes, "{:.0f} MiB", 2**20),
        _number(row.train_seconds, "{:.1f} s"),
        _number(row.train_seconds_ratio, "{:.2f}"),
        _size(row.saved_bytes),
        _number(row.slow_down, "{:.2f}"),
        losses,
        _number(row.learning_rate, "{:.2g}"),
        ", ".join(map(str, row.seeds)),
    ]


def _number(value: float | None, form: str, unit: float = 1) -> str:
    return NONE if value is None else form.format(value / unit)


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 1e6 else f"{num_bytes / 1e3:.1f} kB"


def _said(answer: Answer, metric: str) -> str:
    note = f"; {answer.note}" if answer.note else ""
    found = answer.difference
    if found is None:
        return f"{answer.question}: not measured yet{note}"
    made: Metric = registry.create("metric", metric)
    if math.isnan(found.low) or found.low <= 0 <= found.high:
        verdict = "no difference is shown"
    else:
        verdict = "better" if (found.value > 0) == made.higher_is_better else "worse"
    return f"{answer.question}: {interval(found, signed=True)}: {verdict}{note}"


def _diverged(found: Found) -> list[str]:
    said = [f"{method}, seed {seed}" for method, legs in found.items() for seed, one in legs.items() if "diverged" in one]
    return [f"Diverged, and left out: {'; '.join(said)}.", ""] if said else []


def _rates_lines(results: Results, workload: str) -> list[str]:
    """What was tried of learning rates, and what was chosen by the validation loss."""
    rows = []
    for method in methods_of(workload):
        first = first_leg(workload, method)
        found = tries(first, results)
        if len(found) > 1:
            rate = rate_of(first, results)
            cells = [_tried(found.get(name)) for name in RATES]
            rows.append([method, *cells, f"{found[rate]['learning_rate']:.2g}{_unfinished(found, rate)}"])
    if not rows:
        return ["Learning rates are each method's own (`train.learning_rate: auto`); no others were tried.", ""]
    text = f"Learning rates: with seed {SEEDS[0]} lower and higher ones than each method's own were tried too, until the best lay between two that were worse. The least loss on the validation rows, of the weights that were kept, decided; test rows played no part."
    return [text, "", *table(["method", *(_multiple(rate) for rate in RATES.values()), "chosen"], rows), ""]


def _unfinished(found: Mapping[str, Mapping[str, Any]], rate: str) -> str:
    if next_rates(found):
        return ", until more were tried"
    lowest, *_, highest = RATES
    return ", the last that is tried" if rate in (lowest, highest) else ""


def _multiple(rate: float) -> str:
    return "its own" if rate == 1 else f"{rate:g} x" if rate > 1 else f"1/{1 / rate:g} x"


def _tried(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return NONE
    return "diverged" if "diverged" in one else f"{_number(one['losses']['kept_validation'], '{:.4f}')} at {one['learning_rate']:.2g}"


def missing_lines(workload: Workload, found: Found, timed: Mapping[str, Mapping[str, Any]], seeds: Sequence[int]) -> list[str]:
    """Which seeds of which methods there are no results of, and which methods were not timed."""
    missing = {method: [seed for seed in seeds if seed not in found.get(method, {})] for method in methods_of(workload.recipe)}
    said = [f"{method} (seeds {', '.join(map(str, left))})" for method, left in missing.items() if left]
    said += [f"{method} (times)" for method in missing if method not in timed and workload.timed]
    return [f"**Not measured yet**: {'; '.join(said)}.", ""] if said else []


def _changes() -> list[str]:
    rows = [[named.title, " ".join(f"`{override}`" for override in named.overrides)] for named in METHODS.values()]
    return [
        *table(["method", "`tunesmith tune RECIPE ...`"], rows),
        "",
        *(f"`{name}` has no row: it {why}." for name, why in LEFT_OUT.items()),
    ]


def longer_lines(results: Results, seeds: Sequence[int], short: Found) -> list[str]:
    """What more epochs of `reviews` give; empty where none was measured. `short`: the methods' legs in the table."""
    rows = []
    for method in LONGER:
        legs = {seed: one for seed in seeds if (one := results.get(longer_leg(results, method, seed))) and "rows" in one}
        before = {seed: one for seed, one in short.get(method, {}).items() if seed in legs and "rows" in one}
        if legs and before.keys() == legs.keys():
            long, own = (Stats.of({seed: one["rows"]["accuracy"] for seed, one in side.items()}) for side in (legs, before))
            value = _value("accuracy")
            gain = interval(difference(long, own, value), signed=True)
            rows.append([METHODS[method].title, interval(mean(own, value)), interval(mean(long, value)), gain, ", ".join(map(str, legs))])
    if not rows:
        return []
    text = f"`reviews`, {LONGER_EPOCHS} epochs in place of 2 at the same learning rate; the weights with the least validation loss are kept. Accuracy (more is better):"
    head = ["method", "2 epochs", f"{LONGER_EPOCHS} epochs", "difference", "seeds"]
    return ["## More steps for methods that change few numbers", "", text, "", *table(head, rows), ""]


def grid_lines(results: Results, seeds: Sequence[int]) -> list[str]:
    """LoRA's loss and accuracy across ranks and scales; empty where none was measured."""
    legs = grid_legs(seeds)
    found = {key: one for key, leg in legs.items() if (one := results.get(leg)) is not None}
    if not found:
        return []

    def by_rank(say: Callable[[list[dict[str, Any]]], str]) -> list[str]:
        rows = [[str(r), *(say([one for seed in seeds if (one := found.get((r, s, seed)))]) for s in SCALES)] for r in RANKS]
        return table(["r", *(f"lora_alpha / r = {scale:g}" for scale in SCALES)], rows)

    lines = [
        "## LoRA's rank and scale",
        "",
        f"`reviews`, at LoRA's own learning rate, means over the seeds that there are: {', '.join(map(str, sorted({key[2] for key in found})))}. Validation loss of the weights that were kept, nats:",
        "",
    ]
    lines += [*by_rank(_grid_loss), "", "Accuracy on the test rows:", "", *by_rank(_grid_accuracy), ""]
    left = len(legs) - len(found)
    return [*lines, *([f"**Not measured yet**: {left} of {len(legs)}.", ""] if left else [])]


def _grid_loss(legs: list[dict[str, Any]]) -> str:
    kept = [one["losses"]["kept_validation"] for one in legs if "losses" in one]
    return f"{sum(kept) / len(kept):.4f}" if kept else ("diverged" if legs else NONE)


def _grid_accuracy(legs: list[dict[str, Any]]) -> str:
    rows = {number: one["rows"]["accuracy"] for number, one in enumerate(legs) if "rows" in one}
    return interval(mean(Stats.of(rows), _value("accuracy"))) if rows else ("diverged" if legs else NONE)


def _value(metric: str) -> Callable[[Any], float]:
    made: Metric = registry.create("metric", metric)
    return made.value


def prompt_lines(results: Results, seeds: Sequence[int]) -> list[str]:
    """Hand-written prompts against learned ones; empty where nothing was measured."""
    legs = prompt_legs(seeds)
    written = results.get(legs["templates"][0])
    learned = {
        name: {leg.seed: one for leg in legs[name] if (one := results.get(leg)) and "rows" in one}
        for name in ("prompt", "prompt_from_text")
    }
    if written is None and not learned["prompt_from_text"]:
        return []
    first, *more = WORKLOADS["docstrings"].metrics
    lines = [
        "## Prompt engineering and prompt tuning",
        "",
        "`docstrings`. The base with the best of several hand-written templates, chosen on the validation rows, against vectors that are learned before the recipe's own template.",
        "",
    ]
    if written is not None:
        tried = sorted(written["tried"].items(), key=lambda item: item[1])
        lines += [
            f"Validation rows, {first.replace('_', ' ')}: {'; '.join(f'{name} {value:.4f}' for name, value in tried)}. Chosen: {written['best']}.",
            "",
        ]
    rows = []
    titles = {"prompt": "prompt tuning", "prompt_from_text": "prompt tuning, begun as a text (`init_text`)"}
    if written is not None:
        rows.append(
            ["the best template", *(interval(mean(_same(written, metric, [0]), _value(metric))) for metric in (first, *more)), NONE]
        )
    for name, found in learned.items():
        if found:
            stats = {metric: Stats.of({seed: one["rows"][metric] for seed, one in found.items()}) for metric in (first, *more)}
            gain = None if written is None else difference(stats[first], _same(written, first, found), _value(first))
            rows.append([titles[name], *(interval(mean(stats[metric], _value(metric))) for metric in stats), interval(gain, signed=True)])
    head = ["", *map(_called, (first, *more)), f"{first.replace('_', ' ')}, minus the best template"]
    lines += [*table(head, rows), ""]
    missing = [leg.name for named in legs.values() for leg in results.missing(named)]
    return [*lines, *([f"**Not measured yet**: {'; '.join(missing)}.", ""] if missing else [])]


def _same(written: Mapping[str, Any], metric: str, seeds: Any) -> Stats:
    """What no seed changes, under each of the seeds."""
    return Stats.of(dict.fromkeys(seeds, written["rows"][metric]))
