"""Plug-ins: the folder is the registry.

A file's stem is the name that a recipe uses. The file has one public class, a keyword-only dataclass whose fields are the options,
each followed by its docstring. Files that begin with an underscore are shared code. Other distributions add plug-ins through entry points.
"""

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from tunesmith.core.errors import UsageError, did_you_mean

__all__ = ["ENTRY_POINT_GROUPS", "KINDS", "Description", "Option", "OtherOptions", "create", "describe", "load", "named_by", "names"]

KINDS = {
    "method": "tunesmith.method",
    "adjustment": "tunesmith.adjust",
    "objective": "tunesmith.objective",
    "reward": "tunesmith.reward",
    "metric": "tunesmith.evaluation.metrics",
    "suite": "tunesmith.evaluation.suites",
    "format": "tunesmith.data.formats",
    "data_source": "tunesmith.data.sources",
    "store": "tunesmith.context.stores",
    "strategy": "tunesmith.context.strategies",
    "model_source": "tunesmith.model.sources",
    "architecture": "tunesmith.model.architectures",
}
"""The kinds of plug-in, and the package whose files they are."""

ENTRY_POINT_GROUPS = {kind: f"tunesmith.{kind}s" for kind in KINDS} | {"strategy": "tunesmith.strategies"}
"""The entry point group through which another distribution adds a plug-in of that kind: `name = "package.module"`."""


OtherOptions = Mapping[str, Any]
"""The annotation of a plug-in's field, if it has one, that takes every option which no other field is for. The plug-in checks them itself."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a plug-in, as its source says."""

    name: str
    annotation: str
    """The type, as written: `int`, `tuple[str, ...] | None`."""
    default: Any
    """None where the option is required."""
    required: bool
    doc: str


@dataclass(frozen=True, slots=True)
class Description:
    """What a plug-in's source says about it."""

    kind: str
    name: str
    title: str
    """First line of the module's docstring."""
    doc: str
    """The module's docstring, whole."""
    options: tuple[Option, ...]
    others: Option | None = None
    """The field that takes whatever options there are beside; None where there are none."""

    def sorted_out(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options as the plug-in's class takes them: those that are not its own gathered in one field, where it has one."""
        if self.others is None:
            return dict(options)
        own = {option.name for option in self.options}
        beside = {name: value for name, value in options.items() if name not in own}
        return {name: value for name, value in options.items() if name in own} | {self.others.name: beside}


def names(kind: str) -> list[str]:
    """Names of all plug-ins of `kind`, sorted: the files of its package and what other distributions add."""
    return sorted({*_files(KINDS[kind]), *_entry_points(kind)})


def describe(kind: str, name: str) -> Description:
    """Read a plug-in's title, documentation and options from its source, without importing it.

    Raises: UsageError, where there is no such plug-in; TypeError, where its file does not follow the rules above.
    """
    module, _ = _locate(kind, name)
    spec = _find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise UsageError(
            f"{kind} {name}: the module {module} that an installed package names for it is not there. Reinstall or remove that package."
        )
    path = Path(spec.origin)
    return _describe_file(kind, name, path, path.stat().st_mtime_ns)


def create(kind: str, name: str, /, **options: Any) -> Any:
    """Import a plug-in and make it with `options`.

    Raises: UsageError, for an unknown name or option, a missing option, a value that the plug-in refuses, or a package that it needs.
    """
    described = describe(kind, name)
    known = {option.name: option for option in described.options}
    for option in options:
        if option not in known and described.others is None:
            raise UsageError(f"{kind} {name}: {option}: unknown option.{did_you_mean(option, known)}")
    missing = [option.name for option in known.values() if option.required and option.name not in options]
    if missing:
        raise UsageError(f"{kind} {name}: {missing[0]}: missing. {known[missing[0]].doc}".rstrip())
    plugin = load(kind, name)
    try:
        return plugin(**described.sorted_out(options))
    except ValueError as error:
        raise UsageError(f"{kind} {name}: {error}") from error


def load(kind: str, name: str) -> type[Any]:
    """Import the class of a plug-in. Raises: UsageError, for an unknown name, or a package that it needs."""
    module, attribute = _locate(kind, name)
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("", "tunesmith"):
            raise
        raise UsageError(
            f"{kind} {name}: needs the package {error.name}, which is not installed. Install it: pip install {error.name}"
        ) from error
    found: type[Any] = getattr(loaded, attribute or _public_name(list(loaded.__all__), module))
    return found


def named_by(kind: str, options: Collection[str]) -> str:
    """The plug-in of `kind` that a mapping without a name is meant for: the one of which it holds the most required options.

    Plug-ins without a required option are never meant. What is missing, or too much, `create` says.
    Raises: UsageError, where no plug-in, or more than one, fits.
    """
    required = {name: [option.name for option in describe(kind, name).options if option.required] for name in names(kind)}
    found = {name: len(set(wanted) & set(options)) for name, wanted in required.items() if set(wanted) & set(options)}
    best = [name for name, number in found.items() if number == max(found.values())]
    if len(best) > 1:
        best = [name for name in best if set(required[name]) <= set(options)]
    if len(best) == 1:
        return best[0]
    forms = ", ".join(f"{{{', '.join(f'{key}: ...' for key in wanted)}}}" for wanted in required.values() if wanted)
    raise UsageError(f"a mapping of {', '.join(map(str, options)) or 'nothing'} names no {kind.replace('_', ' ')}. Known: {forms}.")


def _locate(kind: str, name: str) -> tuple[str, str]:
    """Module of a plug-in, and the class in it where an entry point names one."""
    files, others = _files(KINDS[kind]), _entry_points(kind)
    if name in files and name in others:
        raise UsageError(
            f"{kind} {name}: tunesmith and the installed package behind {others[name].module} both have it. Remove that package."
        )
    if name in files:
        return f"{KINDS[kind]}.{name}", ""
    if name in others:
        return others[name].module, others[name].attr
    raise UsageError(f"{name}: unknown {kind.replace('_', ' ')}.{did_you_mean(name, names(kind))}")


def _files(package: str) -> tuple[str, ...]:
    spec = _find_spec(package)
    folders = [Path(folder) for folder in (spec.submodule_search_locations if spec else None) or []]
    return _stems(tuple((folder, folder.stat().st_mtime_ns) for folder in folders))


@cache
def _stems(folders: tuple[tuple[Path, int], ...]) -> tuple[str, ...]:
    """Of the files in folders that were last changed at these times: every plug-in asks."""
    return tuple(sorted(path.stem for folder, _ in folders for path in folder.glob("*.py") if not path.stem.startswith("_")))


def _entry_points(kind: str) -> Mapping[str, EntryPoint]:
    return _entry_points_on(tuple(sys.path), kind)


@cache
def _entry_points_on(_path: tuple[str, ...], kind: str) -> Mapping[str, EntryPoint]:
    """What is installed is looked up once for each state of sys.path: it takes milliseconds, and every plug-in asks."""
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUPS[kind])}


def _find_spec(module: str) -> ModuleSpec | None:
    """Like importlib.util.find_spec, which would import the packages that `module` lies in."""
    parts = module.split(".")
    spec = importlib.util.find_spec(parts[0])  # editable installs have finders of their own for the first part
    for end in range(2, len(parts) + 1):
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(".".join(parts[:end]), list(spec.submodule_search_locations))
    return spec


@cache
def _describe_file(kind: str, name: str, path: Path, _modified: int) -> Description:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    exported: list[str] = next(
        (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"),
        [],
    )
    public = _public_name(exported, str(path))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == public]
    if not classes:
        raise TypeError(f"{path}: __all__ names {public}, which is no class of this file")
    doc = inspect.cleandoc(ast.get_docstring(tree) or ast.get_docstring(classes[0]) or "")
    found = _options(classes[0], path)
    others = next((option for option in found if option.annotation == "OtherOptions"), None)
    return Description(kind, name, doc.partition("\n")[0], doc, tuple(option for option in found if option is not others), others)


def _public_name(exported: list[str], where: str) -> str:
    if len(exported) != 1:
        raise TypeError(f"{where}: a plug-in exports one class; __all__ is {exported}")
    return exported[0]


def _options(node: ast.ClassDef, path: Path) -> list[Option]:
    found = []
    for index, line in enumerate(node.body):
        if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
            continue
        annotation = ast.unparse(line.annotation)
        if "ClassVar" in annotation or line.target.id.startswith("_"):
            continue
        try:
            default = None if line.value is None or annotation == "OtherOptions" else ast.literal_eval(line.value)
        except ValueError:
            raise TypeError(
                f"{path}:{line.lineno}: the default of the option {line.target.id} must be written out (a number, text, tuple, ... or None)"
            ) from None
        following = node.body[index + 1] if index + 1 < len(node.body) else None
        has_doc = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant) and isinstance(following.value.value, str)
        doc = " ".join(inspect.cleandoc(following.value.value).split()) if has_doc else ""  # type: ignore[union-attr]
        found.append(Option(line.target.id, annotation, default, line.value is None, doc))
    return found
