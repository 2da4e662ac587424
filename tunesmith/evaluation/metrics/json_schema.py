"""JSON of a schema: the share of answers that are one JSON value that fits a JSON Schema.

Between 0 and 1; an answer that is no JSON does not fit. Keywords that are not checked (if, patternProperties, multipleOf, ...) are an error, not passed over.
Source: JSON Schema, draft 2020-12, https://json-schema.org/draft/2020-12/json-schema-validation.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.metrics._json_schema import fits, schema_problem
from tunesmith.evaluation.strict_json import parse_json

__all__ = ["JsonSchema"]


@dataclass(frozen=True, kw_only=True)
class JsonSchema:
    """Share of answers that fit a schema."""

    schema: str
    """The file that holds the JSON Schema."""
    _schema: Any = field(init=False, repr=False, compare=False)

    needs: ClassVar[Literal["text"]] = "text"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = True
    on_request: ClassVar[bool] = True
    reads_reference: ClassVar[bool] = False
    file_options: ClassVar[tuple[str, ...]] = ("schema",)

    def __post_init__(self) -> None:
        """Raises: ValueError, where the file is not there, is no JSON, or no schema that can be checked."""
        try:
            found = parse_json(Path(self.schema).read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"schema: {self.schema}: cannot be read ({error.strerror}). Name a file with a JSON Schema.") from None
        except ValueError as error:
            raise ValueError(f"schema: {self.schema}: no JSON ({error}). Name a file with a JSON Schema.") from None
        problem = schema_problem(found)
        if problem:
            raise ValueError(f"schema: {self.schema}: {problem}. Take that out, or leave the metric out.")
        object.__setattr__(self, "_schema", found)

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """1 where the answer fits, else 0."""
        try:
            return (float(fits(parse_json(output.text or ""), self._schema)),)
        except ValueError:
            return (0.0,)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
