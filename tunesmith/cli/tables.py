"""What commands print for people, made from the documents that `--json` prints for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunesmith.cli.output import console
from tunesmith.report.comparison import read_comparison
from tunesmith.report.context import adapted_by, context, tuned_side
from tunesmith.report.direct import direct
from tunesmith.report.forgetting import forgetting
from tunesmith.report.groups import read_group
from tunesmith.report.numbers import MISSING, compact, count, decimals_for, duration, fixed, size, usd
from tunesmith.report.predicted import predictions
from tunesmith.report.results import Comparison, DataSet, Estimate, comparisons, metric_title, notes
from tunesmith.report.summary import sentences

if TYPE_CHECKING:
    from rich.table import Table

    from tunesmith.core.run import RunDirectory
    from tunesmith.recipe import Recipe
    from tunesmith.recipe.importing import Left

__all__ = [
    "first_that_fits",
    "in_lines",
    "make_table",
    "print_facts",
    "print_left",
    "print_models",
    "print_plan",
    "print_preview",
    "print_recipes",
    "print_report",
    "print_runs",
    "print_score",
    "report_table",
]


_NARROW = 76
"""Below this many columns lists leave out what can be read elsewhere, so that no number is cut."""


def print_report(report: Mapping[str, Any], run: RunDirectory) -> None:
    """The verdict, base against tuned, what it cost, and where the report is."""
    out = console()
    out.print()
    out.print(report_table(report, width=out.width))
    for line in _table_notes(comparisons(report)):
        out.print(line, style="dim", soft_wrap=False)
    out.print()
    out.print(" ".join(sentences(report)), soft_wrap=False)
    if (shown := context(report)) is not None:
        out.print(shown.text, soft_wrap=False)
    if (adjusted := direct(report)) is not None:
        out.print(adjusted.text, soft_wrap=False, markup=False)
    _print_forgetting(report)
    for warning in report.get("warnings") or []:
        out.print(f"warning: {warning}", style="yellow")
    out.print(
        _cost_line(report.get("cost") or {}, trains=tuned_side(report) == "tuned", searched=adjusted is not None),
        style="dim",
        soft_wrap=False,
    )
    if predicted := predictions(report.get("predicted") or {}, report.get("cost") or {}):
        out.print("; ".join(one.text for one in predicted), style="dim", soft_wrap=False)
    out.print(f"report: {run.report_html}", style="bold")


def report_table(report: Mapping[str, Any], *, width: int) -> Table:
    """Metrics of the own test split, then of each domain: majority class, base, tuned, the difference with its interval, the smallest that can be seen, and p.

    Where `width` columns do not hold that, intervals stand below their values, and a data set's name above its metrics; where they do not
    hold that either, base, tuned and difference stand below each other.
    """
    return _table_of(comparisons(report), width, tuned_side(report))


def _table_of(data: Sequence[DataSet], width: int, tuned: str = "tuned") -> Table:
    return first_that_fits((layout(data, tuned) for layout in (_wide, _narrow, _stacked)), width)


def first_that_fits(tables: Iterable[Table], width: int) -> Table:
    """The first table that `width` columns hold, else the last."""
    from rich.console import Console

    unlimited = Console(width=10_000)
    for table in tables:
        if unlimited.measure(table).maximum <= width:
            break
    return table


def in_lines(cells: Sequence[str], is_wanted: bool = True) -> list[str]:
    """Intervals below their values, where that is wanted."""
    return [cell.replace(" (", "\n(", 1) if is_wanted else cell for cell in cells]


def _table_notes(data: Sequence[DataSet]) -> list[str]:
    """A line for each metric of which there is more to say."""
    return [f"{one.name}: {line.title}: {'; '.join(said)}" for one in data for line in one.comparisons if (said := notes(line))]


def _columns(data: Sequence[DataSet], tuned: str) -> list[str]:
    lines = [line for one in data for line in one.comparisons]
    constant = [_constant(data)] if any(line.majority for line in lines) else []
    power = ["can be seen"] if any(line.detectable is not None for line in lines) else []
    return ["metric", *constant, "base", tuned, "difference", *power, "p"]


def _print_forgetting(report: Mapping[str, Any]) -> None:
    """The table of what was not to be forgotten, where something was measured, and what would help, where something was."""
    found, out = forgetting(report), console()
    if found is None or not found.tasks:
        return
    out.print()
    out.print(_table_of(found.tasks, out.width))
    for text, command in found.advice:
        out.print(text, soft_wrap=False)
        out.print(f"  {command}", soft_wrap=True, style="dim")


def _wide(data: Sequence[DataSet], tuned: str) -> Table:
    columns = _columns(data, tuned)
    table = make_table("data", *columns, numbers_from=2)
    for one in data:
        for index, line in enumerate(one.comparisons):
            table.add_row(_name(one) if index == 0 else "", line.title, *_cells(line, columns[1:]))
        table.add_section()
    return table


def _narrow(data: Sequence[DataSet], tuned: str) -> Table:
    columns = _columns(data, tuned)
    table = make_table(*columns, numbers_from=1, gap=0)
    for one in data:
        table.add_row(_name(one).replace(" (", "\n("))
        for line in one.comparisons:
            table.add_row(line.title, *in_lines(_cells(line, columns[1:])))
        table.add_section()
    return table


def _stacked(data: Sequence[DataSet], tuned: str) -> Table:
    columns = _columns(data, tuned)
    table = make_table("", "", numbers_from=1, header=False)
    for one in data:
        table.add_row(_name(one))
        for line in one.comparisons:
            table.add_row(f"  {line.title}")
            for name, cell in zip(columns[1:], _cells(line, columns[1:]), strict=True):
                table.add_row(f"    {name}", cell)
    return table


def print_plan(recipe: Recipe, plan: Mapping[str, Any]) -> None:
    """The resolved recipe, then what running it would take."""
    from tunesmith.recipe import dump

    console().print(dump(recipe))
    print_facts({key: value for key, value in plan.items() if key not in ("schema", "recipe")})


def print_runs(runs: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]] = ()) -> None:
    """A line a run: its first metric, base and tuned; a line a group: the mean over its seeds, or its largest size."""
    if not runs and not groups:
        console(stderr=True).print("no runs yet: `tunesmith tune reviews` makes one")
        return
    out = console()
    is_narrow = out.width < _NARROW
    table = make_table("run", "status", *(() if is_narrow else ("task", "metric")), "base", "tuned", numbers_from=2 if is_narrow else 4)
    for run in runs:
        task, measured = run.get("task") or {}, comparisons(run)
        first = measured[0].comparisons[0] if measured else None
        values = [_value(estimate, first.decimals) for estimate in (first.base, first.tuned)] if first else []
        did = " · ".join(filter(None, (task.get("objective"), adapted_by(run))))
        table.add_row(run["run"], run["status"], *(() if is_narrow else (did, first.title if first else "")), *values)
    for group in groups:
        if group["kind"] == "arms":
            table.add_row(group["group"], group["status"], *_comparison_cells(group, is_narrow=is_narrow))
            continue
        if group["kind"] == "stages":
            table.add_row(group["group"], group["status"], *(() if is_narrow else (f"{len(group['runs'])} stages", "")), "", "")
            continue
        metric = places[0].metrics[0] if (places := read_group(group)) else None
        values = [_value(estimate, metric.decimals) for estimate in (metric.base, metric.mean or metric.by_run[-1])] if metric else []
        task, number = group.get("task") or {}, f"{len(group['runs'])} {'seeds' if group['kind'] == 'seeds' else 'sizes'}"
        did = " · ".join(filter(None, (task.get("objective"), task.get("method"), number)))
        table.add_row(group["group"], group["status"], *(() if is_narrow else (did, metric.title if metric else "")), *values)
    out.print(table)


def _comparison_cells(group: Mapping[str, Any], *, is_narrow: bool) -> list[str]:
    """Task, metric, base, and the arm that was chosen."""
    if "verdict" not in group:
        return ["", ""] if is_narrow else [f"{len(group['runs'])} arms", "", "", ""]
    found = read_comparison(group)
    base = next((row.value for row in found.rows if row.name == "base"), None)
    chosen = next((row.value for row in found.rows if row.is_chosen), None)
    cells = [_value(value, found.decimals) for value in (base, chosen)]
    did = " · ".join(filter(None, (group["task"]["objective"], group["verdict"]["choice"], f"{len(group['arms'])} arms")))
    return cells if is_narrow else [did, found.title, *cells]


def print_score(score: Mapping[str, Any]) -> None:
    """A benchmark's tasks, each with its metrics and their mean, the average, and what is missing."""
    out = console()
    out.print(first_that_fits((_score_table(score, with_source=with_source) for with_source in (True, False)), out.width))
    if score["missing"]:
        names = ", ".join(f"{score['benchmark']}-{name}" for name in score["missing"])
        out.print(f"Not {score['title']}'s score yet. Missing: {names}.", soft_wrap=False)


def _score_table(score: Mapping[str, Any], *, with_source: bool) -> Table:
    columns = ("task", *(("measured on",) if with_source else ()), "metric", "rows", "base", "tuned")
    table = make_table(*columns, numbers_from=len(columns) - 3)
    for one in score["tasks"].values():
        names = (one["title"], *((one["source"],) if with_source else ()))
        for place, (metric, entry) in enumerate(one["metrics"].items()):
            table.add_row(*(names if place == 0 else [""] * len(names)), metric_title(metric), count(entry["rows"]), *_sides(entry))
        if len(one["metrics"]) > 1:
            table.add_row(*([""] * len(names)), "mean", "", *_sides(one["score"]))
        table.add_section()
    num_tasks = len(score["tasks"])
    share = f"{num_tasks} of {num_tasks + len(score['missing'])} tasks"
    table.add_row("average", *((share, "") if with_source else (share,)), "", *_sides(score["average"]))
    return table


def print_recipes(recipes: Sequence[Mapping[str, str]]) -> None:
    """A line a recipe."""
    table = make_table("recipe", "what it is for")
    for recipe in recipes:
        table.add_row(recipe["name"], recipe["description"])
    console().print(table, soft_wrap=False)


def print_models(models: Sequence[Mapping[str, Any]]) -> None:
    """A line a model, with the columns that the first one has."""
    if not models:
        return
    if console().width < _NARROW:
        for model in models:
            print_facts(model)
            console().print()
        return
    table = make_table(*(_words(key) for key in models[0]))
    for model in models:
        table.add_row(*(_shown(key, value) for key, value in model.items()))
    console().print(table, soft_wrap=False)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Names and values; a nested mapping is set in below its name."""
    table = make_table("", "", header=False)
    _add_facts(table, facts, 0)
    console().print(table, soft_wrap=False)


def print_preview(rows: Sequence[Mapping[str, Any]], *, by_token: bool = False) -> None:
    """Rows as the model reads them, in runs or token by token. What is learned is green; where there is no colour it stands in brackets."""
    from rich.text import Text

    out = console()
    in_colour = out.color_system is not None
    if any(scored for row in rows for _, scored in row["pieces"]):
        out.print("learned: " + ("green" if in_colour else "in ⟦ ⟧"), style="dim")
    elif any(row.get("answer") is not None for row in rows):
        out.print("learned: the answer, from the whole text", style="dim")
    for row in rows:
        answer = f" · answer {row['answer']}" if row.get("answer") is not None else ""
        cut = f" · {count(row['num_cut'])} more were cut off" if row.get("num_cut") else ""
        out.print(f"\n{row['origin']} · {count(row['num_tokens'])} tokens{cut}{answer}", style="bold")
        line = Text()
        for place, (piece, scored) in enumerate([(text, scored) for _, text, scored in row["tokens"]] if by_token else row["pieces"]):
            if by_token and place:
                line.append("│", style="dim")
            if scored:
                line.append(piece if in_colour else f"⟦{piece}⟧", style="green")
            else:
                line.append(piece)
        out.print(line)


def print_left(left: Sequence[Left], *, stderr: bool) -> None:
    """What an import did not carry over: first the keys that need something done, then the others."""
    out = console(stderr=stderr)
    if not left:
        out.print("everything was carried over")
        return
    table = make_table("not carried over", "value", "why", "what to do")
    for one in sorted(left, key=lambda one: not one.cure):
        table.add_row(one.key, one.value, one.reason, one.cure or "nothing")
    out.print(table, soft_wrap=False)


def make_table(*columns: str, numbers_from: int | None = None, header: bool = True, gap: int = 2) -> Table:
    """An empty table of these columns; from the column `numbers_from` on they hold numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD if header else None, show_header=header, header_style="bold", pad_edge=False, padding=(0, gap, 0, 0))
    for index, column in enumerate(columns):
        is_number = numbers_from is not None and index >= numbers_from
        table.add_column(column, justify="right" if is_number else "left", no_wrap=index == 0 or is_number)
    return table


def _name(data: DataSet) -> str:
    return data.name if data.rows is None else f"{data.name} ({count(data.rows)})"


def _constant(data: Sequence[DataSet]) -> str:
    names = {line.constant for one in data for line in one.comparisons}
    return "majority" if "majority class" in names else "length" if "length alone" in names else "constant"


def _cells(line: Comparison, columns: Sequence[str]) -> list[str]:
    decimals = line.decimals
    cells = {
        "base": line.base.text(decimals) if line.base else MISSING,
        **dict.fromkeys(("tuned", "in context"), line.tuned.text(decimals) if line.tuned else MISSING),
        "difference": line.difference.change_text(decimals) if line.difference else MISSING,
        "can be seen": line.detectable_text,
        "p": line.p_text,
    }
    return [cells.get(name, _value(line.majority, decimals)) for name in columns]


def _value(estimate: Estimate | None, decimals: int) -> str:
    return fixed(estimate.value, decimals) if estimate else MISSING


def _sides(entry: Mapping[str, Any]) -> list[str]:
    """Base and tuned of an entry, with as many decimals as both warrant."""
    found = [Estimate.read(entry[side]) for side in ("base", "tuned")]
    decimals = decimals_for(*(one.ends for one in found if one))
    return [one.text(decimals) if one else MISSING for one in found]


def _cost_line(cost: Mapping[str, Any], *, trains: bool = True, searched: bool = False) -> str:
    parts = []
    if trains and cost.get("train_seconds") is not None:
        parts.append(f"{'searched for' if searched else 'trained in'} {duration(cost['train_seconds'])}")
    if cost.get("total_seconds") is not None:
        parts.append(f"{duration(cost['total_seconds'])} in all")
    if cost.get("tokens_in"):
        parts.append(f"{count(cost['tokens_in'])} tokens read · {count(cost['tokens_out'])} written")
    if cost.get("usd") is not None:
        parts.append(f"{usd(cost['usd'])} paid")
    if cost.get("tokens_per_second"):
        parts.append(f"{count(cost['tokens_per_second'])} tokens/s")
    if cost.get("peak_memory_bytes"):
        parts.append(f"peak memory {size(cost['peak_memory_bytes'])}")
    if trains and not searched and cost.get("trainable_parameters") is not None and cost.get("total_parameters"):
        parts.append(f"{compact(cost['trainable_parameters'])} of {compact(cost['total_parameters'])} parameters trained")
    if cost.get("saved_bytes"):
        beside = f" (a full copy: {size(cost['full_copy_bytes'])})" if cost.get("full_copy_bytes", 0) > cost["saved_bytes"] else ""
        parts.append(f"{size(cost['saved_bytes'])} saved{beside}")
    return " · ".join(parts)


def _add_facts(table: Table, facts: Mapping[str, Any], depth: int) -> None:
    for key, value in facts.items():
        name = "  " * depth + _words(key)
        if isinstance(value, Mapping):
            table.add_row(name, "" if value else MISSING)
            _add_facts(table, value, depth + 1)
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            table.add_row(name, "")
            for item in value:
                _add_facts(table, item, depth + 1)
        else:
            table.add_row(name, _shown(key, value))


def _words(key: str) -> str:
    return key.removesuffix("_bytes").removesuffix("_seconds").removeprefix("num_").replace("_", " ")


def _shown(key: str, value: Any) -> str:
    if value is None or value in ("", [], ()):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    if isinstance(value, int | float) and key.endswith("_bytes"):
        return size(value)
    if isinstance(value, int | float) and key.endswith("_seconds"):
        return duration(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)
