"""What a Python caller is told: of data in memory by its kind and row, not by the cache's file, and of a recipe's key as an argument."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from tunesmith.core.errors import TunesmithError
from tunesmith.core.events import Event, Notice, Stage, Warned
from tunesmith.recipe import DataSpec, EngineSpec, EvaluateSpec, ModelSpec, TrainSpec
from tunesmith.recipe.section import Section

__all__ = ["python_words"]

Tell = Callable[[Event], None]

_SECTIONS: dict[str, type[Section]] = {
    "data": DataSpec,
    "model": ModelSpec,
    "train": TrainSpec,
    "engine": EngineSpec,
    "evaluate": EvaluateSpec,
}
_KEY = re.compile(r"(?<![\w./-])(data|model|train|engine|evaluate)\.([a-z_]+)(?:\.([a-z_]+))?")


@contextlib.contextmanager
def python_words(kept: Mapping[str, str]) -> Iterator[Callable[[Tell], Tell]]:
    """Reword the errors of the block, and yield what rewords the events that a listener is told.

    Args:
        kept: file of the cache -> what the caller calls its data.
    """

    def spoken(tell: Tell) -> Tell:
        def told(event: Event) -> None:
            match event:
                case Stage(_, detail):
                    event = replace(event, detail=_named(detail, kept))
                case Notice(text) | Warned(text):
                    event = replace(event, text=_named(text, kept))
            tell(event)

        return told

    try:
        yield spoken
    except TunesmithError as error:
        error.args = (_with_argument(_named(str(error), kept)),)
        raise


def _named(text: str, kept: Mapping[str, str]) -> str:
    """`text` with "DataFrame, row 3" for "FILE:3"."""
    for file, name in kept.items():
        row = "item" if name.endswith("list") else "row"
        text = re.sub(re.escape(file) + r":(\d+)", rf"{name}, {row} \1", text).replace(file, name)
    return text


def _with_argument(text: str) -> str:
    """`text`, and how the first recipe key that it names is written as an argument."""
    for section, key, inner in _KEY.findall(text):
        if key in _SECTIONS[section].model_fields and key != "train" and "Python" not in text:  # and is not a file such as data.csv
            value = f'{{"{inner}": ...}}' if inner else "..."
            beside = '"train": ..., ' if section == "data" else ""
            return f'{text} In Python: tune(..., {section}={{{beside}"{key}": {value}}}).'
    return text
