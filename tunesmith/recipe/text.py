"""YAML as recipes use it: YAML 1.2's numbers and booleans (`2e-4` is a number, `no` is a word), keys are text, no key twice."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tunesmith.core.errors import RecipeError, one_line

__all__ = ["MOST_CHARACTERS", "dotted", "parse_yaml", "write_yaml"]

MOST_CHARACTERS = 200_000
"""Of a recipe; those that people write have thousands. The parser takes seconds for these."""
_MOST_VALUES = 100_000

_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$")
_RESOLVERS = [
    ("tag:yaml.org,2002:null", re.compile(r"^(~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")),
    ("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789")),
]


class _Loader(yaml.SafeLoader):
    """SafeLoader with the resolvers of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (as the stubs declare it)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Keys as they are written: `0: negative` and `no: x` have the keys "0" and "no"."""
        mapping: dict[Any, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(problem="a key must be a word", problem_mark=key.start_mark)
            if key.value in mapping:
                raise yaml.constructor.ConstructorError(
                    problem=f'the key "{key.value}" stands here a second time', problem_mark=key.start_mark
                )
            mapping[key.value] = self.construct_object(value, deep=True)
        return mapping


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(node.value)  # SafeLoader would read 010 as 8


def _float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    text = node.value.lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_constructor("tag:yaml.org,2002:int", _decimal)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes whatever YAML 1.1 or 1.2 would not read as text."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Lists stand further in than their key."""
        super().increase_indent(flow, False)


for _tag, _pattern, _first in _RESOLVERS:
    _Loader.add_implicit_resolver(_tag, _pattern, _first)
    if _tag.endswith("float"):
        _Dumper.add_implicit_resolver(_tag, _pattern, _first)


def parse_yaml(text: str, where: str) -> Any:
    """The value that `text` holds. Raises: RecipeError, naming the line, where it is not YAML, or is made to fill a memory."""
    if len(text) > MOST_CHARACTERS:
        raise RecipeError(f"{where}: more than {MOST_CHARACTERS:,} characters, expected a recipe: a page of keys and values.")
    try:
        return _value(text, where)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise RecipeError(f"{where}{line}: not valid YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"{where}: not valid YAML: {one_line(error)}.") from None
    except RecursionError:
        raise RecipeError(f"{where}: not valid YAML: nested too deeply.") from None
    except (
        ValueError,
        TypeError,
        OverflowError,
        KeyError,
    ) as error:  # what a tag asks for, and the text is not: `!!int many`, 5,000 digits
        raise RecipeError(f"{where}: not valid YAML: {str(error)[:160]}.") from None


def _value(text: str, where: str) -> Any:
    """As yaml.load; the tree is looked at before it becomes values."""
    loader = _Loader(text)  # a subclass of SafeLoader
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_explosion(node, where)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_explosion(root: yaml.Node, where: str) -> None:
    """Raise RecipeError where aliases stand for more values than a recipe has, or for what holds them: ten lines can stand for billions."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            if not sizes[id(node)]:
                raise RecipeError(f"{where}:{node.start_mark.line + 1}: not valid YAML: an alias stands inside of what it stands for.")
            return sizes[id(node)]
        sizes[id(node)] = 0
        inner = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        total = 1 + (sum(map(size, inner)) if isinstance(node, yaml.CollectionNode) else 0)
        if total > _MOST_VALUES:
            line = node.start_mark.line + 1
            raise RecipeError(f"{where}:{line}: not valid YAML: its aliases stand for more than {_MOST_VALUES:,} values. Write them out.")
        sizes[id(node)] = total
        return total

    size(root)


def dotted(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The keys of a section as a command line writes them (`train.epochs`), and their values."""
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def write_yaml(value: Mapping[str, Any]) -> str:
    """`value` as YAML that YAML 1.1 and 1.2 read alike, keys in their own order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
