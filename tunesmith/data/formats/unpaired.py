"""unpaired: a prompt, one completion, and whether people liked it."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Message, Origin, Unpaired
from tunesmith.data.formats._columns import are_liked_or_not, choose, is_empty, is_unpaired, named_as_roles, text_in
from tunesmith.data.formats._conversations import OPENAI, SHAREGPT, messages_in
from tunesmith.data.formats._instructions import asked
from tunesmith.data.formats._liked import completion_of, message_list, with_system
from tunesmith.data.table import cell, shown

__all__ = ["UnpairedFormat"]

_PROMPTS = ("prompt", "instruction", "question")
_JUDGED: dict[Any, bool] = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True, kw_only=True)
class UnpairedFormat:
    """Columns prompt (or instruction, or question), completion and label (true or false), or a whole conversation as completion; or kto_tag beside
    messages, conversations, or instruction and output.

    Source: the documentation of TRL's data (unpaired preference), of LLaMA-Factory's (kto_tag) and of axolotl's (kto).
    """

    roles: ClassVar[tuple[str, ...]] = (
        "prompt",
        "completion",
        "label",
        "messages",
        "conversations",
        "instruction",
        "input",
        "output",
        "system",
    )
    required: ClassVar[tuple[str, ...]] = ("label",)

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, where there is one."""
        found = named_as_roles(self.roles, columns, given)
        if "kto_tag" in columns:
            found["label"] = "kto_tag"
        if "completion" in found and (prompt := choose(_PROMPTS, columns, given.values())):
            found = {role: column for role, column in found.items() if role != "instruction"} | {"prompt": prompt}
        return {**found, **given}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is a kto_tag, or an answer (completion, messages, conversations) with a label."""
        return is_unpaired(columns) or ("label" in columns and not columns.isdisjoint({"messages", "conversations"}))

    def suits(self, records: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> bool:
        """Whether it is judgements that stand beside conversations."""
        return columns["label"] != "label" or "completion" in columns or are_liked_or_not(records)

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Unpaired:
        """Raises: DataError, naming the row, where something is missing, or the label is neither true nor false."""
        where, column = f"{origin.file}:{origin.row}", columns["label"]
        value = cell(record.get(column))
        liked = _JUDGED.get(value.lower() if isinstance(value, str) else value) if isinstance(value, str | int | float) else None
        if liked is None:
            raise DataError(
                f'{where}: the column "{column}" holds {shown(value)}, expected true or false: whether the completion was liked.'
            )
        prompt, completion = self._turns(record, origin, columns)
        return Unpaired(prompt, completion, liked, origin)

    def _turns(
        self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]
    ) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
        for role, spelling in (("messages", OPENAI), ("conversations", SHAREGPT)):
            if role in columns:
                found = messages_in(record, columns[role], origin, spelling)
                return found[:-1], completion_of(found[-1:], origin, columns[role])
        if {"instruction", "output"} <= columns.keys():
            return asked(record, origin, columns), (Message("assistant", text_in(record, columns["output"], origin)),)
        answer = message_list(record, columns["completion"], origin, "assistant") if "completion" in columns else ()
        if "prompt" not in columns and len(answer) > 1:  # the whole conversation
            return answer[:-1], completion_of(answer[-1:], origin, columns["completion"])
        if not answer or "prompt" not in columns or is_empty(record.get(columns["prompt"])):
            raise DataError(
                f"{origin.file}:{origin.row}: no prompt with its completion beside the label. Set data.columns.prompt and .completion."
            )
        prompt = with_system(message_list(record, columns["prompt"], origin, "user"), record, columns, origin)
        return prompt, completion_of(answer, origin, columns["completion"])
