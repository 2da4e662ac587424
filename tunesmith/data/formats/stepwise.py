"""stepwise: a prompt, the steps of an answer, and whether each is right: `prompt`, `completions`, `labels`, lists of the same length."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin, Stepwise
from tunesmith.data.formats._columns import check_characters, is_empty, listed, named_as_roles
from tunesmith.data.formats._liked import message_list
from tunesmith.data.table import shown

__all__ = ["StepwiseFormat"]


@dataclass(frozen=True, kw_only=True)
class StepwiseFormat:
    """Columns prompt, completions (texts) and labels (true or false).

    Source: the documentation of TRL's data (stepwise supervision), after Lightman et al. (2023), "Let's verify step by step",
    https://arxiv.org/abs/2305.20050.
    """

    roles: ClassVar[tuple[str, ...]] = ("prompt", "completions", "labels")
    required: ClassVar[tuple[str, ...]] = roles

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, where there is one."""
        return {**named_as_roles(self.roles, columns, given), **given}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is a prompt with completions and their labels."""
        return set(self.required) <= columns

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Stepwise:
        """Raises: DataError, naming the row, where a step has no text, or no label."""
        where = f"{origin.file}:{origin.row}"
        steps, labels = (self._list(record, columns[role], where) for role in ("completions", "labels"))
        if len(steps) != len(labels):
            raise DataError(
                f"{where}: {len(labels)} {columns['labels']} beside {len(steps)} {columns['completions']}. Each step needs one."
            )
        for number, (step, label) in enumerate(zip(steps, labels, strict=True), start=1):
            if not isinstance(step, str) or is_empty(step) or not isinstance(label, bool):
                raise DataError(
                    f"{where}: step {number} is {shown(step)} with the label {shown(label)}, expected a text, and true or false."
                )
            check_characters(step, f"{where}: step {number}")
        return Stepwise(message_list(record, columns["prompt"], origin, "user"), tuple(steps), tuple(labels), origin)

    @staticmethod
    def _list(record: Mapping[str, Any], column: str, where: str) -> list[Any]:
        value = listed(record.get(column), where, column, "steps")
        if not isinstance(value, list | tuple) or not value:
            raise DataError(f'{where}: the column "{column}" holds {shown(value)}, expected a list.')
        return list(value)
