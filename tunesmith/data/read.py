"""From a source to examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tunesmith.core import registry
from tunesmith.core.errors import DataError, did_you_mean
from tunesmith.core.types import Example
from tunesmith.data.labels import NAMING
from tunesmith.data.quarantine import InvalidRow, Quarantine
from tunesmith.data.sources._aliases import ALIASES
from tunesmith.data.stored import store
from tunesmith.data.table import Table, listed_names
from tunesmith.data.unread import Unread

__all__ = ["Dataset", "SourceFacts", "find_format", "is_named_by_mapping", "read", "read_table", "require_there"]


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """Where examples came from, as the report tells it."""

    name: str
    sha256: str
    licence: str | None
    citation: str | None
    num_rows: int
    format: str
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    num_invalid: int = 0
    """Rows that were left out, where that was asked for."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Examples of one kind and their facts."""

    examples: Sequence[Example]
    """A list; of a file that stays on the disk, `StoredExamples`."""
    facts: SourceFacts
    invalid: tuple[InvalidRow, ...] = ()
    """The rows that were left out, where that was asked for."""


def read(
    source: Any,
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | Sequence[str] | None = None,
    task: str = "",
    skip_invalid: bool = False,
    most_bytes: int | None = None,
) -> Dataset:
    """Read every example of `source`.

    Args:
        source: an alias, a file, a folder with one folder a class, a hub id, a mapping such as {"url": ..., "sha256": ...},
            a pandas DataFrame, a datasets.Dataset, a list of dicts.
        format: how a record is read; None: found from the columns.
        columns: role -> column, where a column has another name.
        labels: raw value -> name of the class, or the names alone; None: as found.
        task: recorded in each example's origin.
        skip_invalid: whether a row that is broken, or makes no example, is left out and kept in `Dataset.invalid`; else it is an error.
        most_bytes: files of more bytes stay on the disk, and their examples are made when they are asked for; None: none does.
    Raises: DataError, FetchError; UsageError, for an unknown format.
    """
    quarantine = Quarantine() if skip_invalid else None
    given = labels if labels is None or isinstance(labels, Mapping) else {label: label for label in labels}
    plugin = _large(source, most_bytes)
    examples: Sequence[Example]
    if plugin is not None:
        rows, facts = plugin.stream(source, quarantine)
        find = partial(find_format, wanted=format, given=dict(columns or {}))
        examples, name, found, unread = store(rows, facts, find, labels=given, task=task, quarantine=quarantine)
    else:
        table = read_table(source, quarantine)
        name, form, located = find_format(table, format, dict(columns or {}))
        examples, found, facts = _parsed(table, form, located, task, quarantine), (), table.facts
        naming = NAMING.get(type(examples[0]))
        if naming:
            name_them, role = naming
            column = located[role]
            examples, found = name_them(examples, column, given, facts.class_names.get(column, ()), quarantine)
        unread = Unread.of(table, form, located)
    invalid = tuple(quarantine.rows) if quarantine else ()
    notes = (*facts.notes, *unread.notes(), *((quarantine.summary(facts.name),) if quarantine and invalid else ()))
    return Dataset(
        examples,
        SourceFacts(facts.name, facts.sha256, facts.licence, facts.citation, len(examples), name, found, notes, len(invalid)),
        invalid,
    )


def _large(source: Any, most_bytes: int | None) -> Any:
    """The data source of files that are larger than that, where it can read them row by row; else None."""
    if most_bytes is None or not isinstance(source, str | Path):
        return None
    plugin = _claiming(source)
    return plugin if plugin is not None and hasattr(plugin, "stream") and plugin.num_bytes(source) > most_bytes else None


def _parsed(table: Table, form: Any, located: Mapping[str, str], task: str, quarantine: Quarantine | None) -> list[Any]:
    """The example of each record; those that make none go into `quarantine`, where there is one. Raises: DataError."""
    examples = []
    for record, origin in zip(table.records, table.origins, strict=True):
        try:
            examples.append(form.parse(record, replace(origin, task=task) if task else origin, located))
        except DataError as error:
            if quarantine is None:
                raise
            quarantine.add(InvalidRow.of(error, origin.file, origin.row, record))
    if not examples and quarantine is not None:
        quarantine.refuse_all(table.facts.name)
    return examples


def is_named_by_mapping(source: Any) -> bool:
    """Whether `source` holds the options of a data source, not data: `{"url": ..., "sha256": ...}`."""
    return isinstance(source, Mapping) and all(isinstance(value, str | int | float | None) for value in source.values())


def require_there(source: Any) -> None:
    """Raise what `read` would where nothing can be read from `source`, as far as names and the disk tell: no row is read, and no network asked.

    Raises: DataError, UsageError.
    """
    plugin = _reading(source)
    if hasattr(plugin, "require"):
        plugin.require(source)


def read_table(source: Any, quarantine: Quarantine | None = None) -> Table:
    """The records of a source; rows that are broken go into `quarantine`, where there is one. Raises: DataError, FetchError."""
    plugin = _reading(source)
    table: Table = plugin.read(source, quarantine) if getattr(plugin, "quarantines", False) else plugin.read(source)
    return table


def _reading(source: Any) -> Any:
    """The data source that reads it. Raises: DataError, where none does."""
    if is_named_by_mapping(source):
        return registry.create("data_source", registry.named_by("data_source", source), **source)
    plugin = _claiming(source)
    if plugin is not None:
        return plugin
    raise DataError(f"{source}: no such file or folder (looked in {Path.cwd()}), and no alias.{did_you_mean(str(source), ALIASES)}")


def _claiming(source: Any) -> Any:
    """The first data source that a name or an object is one of; None where there is none."""
    by_name = [
        name for name in registry.names("data_source") if not any(o.required for o in registry.describe("data_source", name).options)
    ]
    plugins = [registry.create("data_source", name) for name in by_name]
    return next((plugin for plugin in sorted(plugins, key=lambda plugin: int(plugin.rank)) if plugin.claims(source)), None)


def find_format(table: Table, wanted: str | None, given: dict[str, str]) -> tuple[str, Any, dict[str, str]]:
    """The format's name, the format, and its columns, by the columns of all records. Raises: DataError, where it is not clear; UsageError."""
    found = table.columns
    ordered = dict.fromkeys(found).keys()
    for role, column in given.items():
        if column not in found:
            raise DataError(f'{table.facts.name}: data.columns.{role}: no column "{column}".{did_you_mean(column, found)}')
    names = [wanted] if wanted else registry.names("format")
    known = {role for name in names for role in registry.create("format", name).roles}
    strange = [role for role in given if role not in known]
    if strange and not wanted:
        taking = [name for name in names if getattr(registry.create("format", name), "any_role", False)]
        otherwise = f" An attribute, or a number, of another name needs data.format={' or '.join(taking)}." if taking else ""
        raise DataError(
            f"{table.facts.name}: data.columns.{strange[0]}: no format has such a role.{did_you_mean(strange[0], known)}{otherwise}"
        )
    fitting = []
    for name in names:
        form = registry.create("format", name)
        takes_any = bool(wanted) and getattr(form, "any_role", False)
        unknown = [] if takes_any else [role for role in given if role not in form.roles]
        if unknown and wanted:
            raise DataError(
                f"{table.facts.name}: data.columns.{unknown[0]}: the format {name} has no such role.{did_you_mean(unknown[0], form.roles)}"
            )
        located = {} if unknown else form.locate(ordered, given)
        complete = set(form.required) <= set(located)
        if complete and (wanted or ((given or form.recognises(ordered)) and _suits(form, table, located))):
            fitting.append((name, form, located))
    if len(fitting) > 1 and given:  # a file with a label: `columns.text` alone still means labelled text
        recognised = [fit for fit in fitting if set(fit[1].required) - set(given)] or fitting
        fitting = recognised if len(recognised) == 1 else fitting
    if len(fitting) == 1:
        return fitting[0]
    raise DataError(_unclear(table, wanted, [fit[0] for fit in fitting]))


def _suits(form: Any, table: Table, located: Mapping[str, str]) -> bool:
    """Whether what is in the columns is what the format means by them, where it looks."""
    return not hasattr(form, "suits") or bool(form.suits(table.records, located))


def _unclear(table: Table, wanted: str | None, fitting: Sequence[str]) -> str:
    columns = listed_names(table.columns)
    if wanted:
        form = registry.create("format", wanted)
        keys = " ".join(f"data.columns.{role}=COLUMN" for role in form.required)
        return f"{table.facts.name}: the format {wanted} needs {', '.join(form.required)}; found the columns {columns}. Set {keys}."
    if fitting:
        return f"{table.facts.name}: the columns {columns} fit several formats. Set data.format to one of {', '.join(fitting)}."
    return (
        f"{table.facts.name}: cannot tell what the columns {columns} mean. Set data.columns.text=COLUMN with data.columns.label (a class), .labels (several) or .value (a number), "
        "data.columns.source and .target (pairs), .instruction and .output (alpaca), .messages or .conversations, .words and .tags, "
        f"or data.format=text.{_headless(table.facts.name)}"
    )


def _headless(name: str) -> str:
    """What to do where the names may be the first row's fields."""
    is_table = Path(name).suffix.lower() in (".csv", ".tsv")
    return (
        f' A file without a header is named as {{table: {name}, names: "label, text"}}, with a name for every column.' if is_table else ""
    )
