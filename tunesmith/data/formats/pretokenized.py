"""pretokenized: tokens as a tokenizer numbers them, ready for the model: `input_ids`, beside them perhaps `labels` (-100: not learned) and `attention_mask`."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin, Tokens
from tunesmith.data.formats._columns import is_empty, listed, named_as_roles
from tunesmith.data.table import shown

__all__ = ["PretokenizedFormat"]

_NOT_LEARNED = -100
"""What torch's cross-entropy leaves out, and so what trainers write into labels."""


@dataclass(frozen=True, kw_only=True)
class PretokenizedFormat:
    """Columns input_ids, labels and attention_mask, each a list of whole numbers or its JSON text; without labels, every token is learned.

    The labels are not shifted: each is the token at its place, or -100. Padding, where attention_mask is 0, is left out. Source: transformers' documentation of
    causal language models' inputs.
    """

    roles: ClassVar[tuple[str, ...]] = ("input_ids", "labels", "attention_mask")
    required: ClassVar[tuple[str, ...]] = ("input_ids",)

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, where there is one."""
        return {**named_as_roles(self.roles, columns, given), **given}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is a column input_ids."""
        return "input_ids" in columns

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Tokens:
        """Raises: DataError, naming the row, where there is no token, lengths differ, or a label is neither its token nor -100."""
        where = f"{origin.file}:{origin.row}"
        tokens = self._numbers(record, columns["input_ids"], where)
        beside = {
            role: self._numbers(record, columns[role], where)
            for role in ("labels", "attention_mask")
            if role in columns and not is_empty(record.get(columns[role]))
        }
        for role, numbers in beside.items():
            if len(numbers) != len(tokens):
                raise DataError(
                    f"{where}: {len(numbers)} {columns[role]} beside {len(tokens)} {columns['input_ids']}. Each token needs one."
                )
        labels, mask = beside.get("labels", tokens), beside.get("attention_mask", [1] * len(tokens))
        for place, (token, label) in enumerate(zip(tokens, labels, strict=True)):
            if label not in (token, _NOT_LEARNED):
                raise DataError(
                    f"{where}: {columns['labels']} holds {label} at place {place}, where {columns['input_ids']} holds {token}; expected that, "
                    f"or {_NOT_LEARNED}. Do not shift the labels."
                )
        start, end = self._unpadded(mask, where)
        learned = tuple(label != _NOT_LEARNED for label in labels[start:end])
        if not any(learned[1:]):
            raise DataError(f"{where}: no token behind the first is learned (each label is {_NOT_LEARNED}). Remove the row.")
        return Tokens(tuple(tokens[start:end]), (False, *learned[1:]), origin)

    @staticmethod
    def _numbers(record: Mapping[str, Any], column: str, where: str) -> list[int]:
        if column not in record:
            raise DataError(f'{where}: no column "{column}". Found: {", ".join(map(str, record)) or "nothing"}.')
        found = listed(record[column], where, column, "whole numbers")
        if hasattr(found, "tolist"):
            found = found.tolist()
        if not isinstance(found, Sequence) or isinstance(found, str) or not found:
            raise DataError(f'{where}: the column "{column}" holds {shown(found)}, expected a list of whole numbers.')
        wrong = next((place for place, value in enumerate(found) if not isinstance(value, int) or isinstance(value, bool)), None)
        if wrong is not None:
            raise DataError(f'{where}: the column "{column}" holds {shown(found[wrong])} at place {wrong}, expected a whole number.')
        return list(found)

    @staticmethod
    def _unpadded(mask: Sequence[int], where: str) -> tuple[int, int]:
        """Where the tokens begin and end that are no padding."""
        kept = [place for place, value in enumerate(mask) if value]
        if not kept or set(mask) - {0, 1} or kept[-1] - kept[0] + 1 != len(kept):
            raise DataError(
                f"{where}: attention_mask is {shown(list(mask))}, expected ones, and zeros only for padding before or behind them."
            )
        return kept[0], kept[-1] + 1
