"""Instructions followed: the share of prompts of which the answer follows every instruction that a program can verify.

Between 0 and 1, strictly; an empty answer follows nothing. The instructions stand in a file, `instructions`: a JSON object a line with `prompt`, as the data has
it, `instruction_id_list` and `kwargs`, as IFEval publishes its rows; the file that the run learns from will do where it has these keys. Rows of other prompts are
left out and counted.
Source: Zhou et al. (2023), "Instruction-Following Evaluation for Large Language Models", https://arxiv.org/abs/2311.07911.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.ifeval import checked_row, followed
from tunesmith.evaluation.score import text_of

__all__ = ["InstructionsFollowed"]

Asked = tuple[list[str], list[dict[str, Any]]]
"""Ids and arguments."""


@dataclass(frozen=True, kw_only=True)
class InstructionsFollowed:
    """Share of answers that follow every instruction of their prompt."""

    instructions: str
    """The file that says what each prompt asks for."""
    _asked: dict[str, Asked] = field(init=False, repr=False, compare=False)

    needs: ClassVar[Literal["text"]] = "text"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = True
    on_request: ClassVar[bool] = True
    reads_reference: ClassVar[bool] = False
    file_options: ClassVar[tuple[str, ...]] = ("instructions",)

    def __post_init__(self) -> None:
        """Raises: ValueError, where the file is not there, or a line of it asks for what is no instruction."""
        try:
            lines = Path(self.instructions).read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise ValueError(
                f"instructions: {self.instructions}: cannot be read ({why}). Name a file with an object a line: prompt, instruction_id_list, kwargs."
            ) from None
        object.__setattr__(self, "_asked", dict(self._rows(lines)))

    def applies(self, example: Example, reference: str) -> bool:
        """Whether the file says what the row asks for."""
        return text_of(example) in self._asked

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """1 where every instruction is followed, else 0."""
        ids, arguments = self._asked[text_of(example)]
        return (float(all(followed(ids, arguments, output.text or "").strict)),)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())

    def _rows(self, lines: list[str]) -> Iterator[tuple[str, Asked]]:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                prompt, ids = row["prompt"], row["instruction_id_list"]
                yield prompt, (ids, checked_row(ids, row.get("kwargs")))
            except (ValueError, TypeError, KeyError) as error:
                why = f"no {error}" if isinstance(error, KeyError) else str(error)
                raise ValueError(
                    f"instructions: {self.instructions}:{number}: {why.rstrip('.')}. Mend the line, or leave it out."
                ) from None
