"""prompts: what a model is asked, without an answer: `prompt`, a text or a list of messages."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin, Prompt
from tunesmith.data.formats._columns import named_as_roles
from tunesmith.data.formats._conversations import tools_in
from tunesmith.data.formats._liked import message_list

__all__ = ["PromptsFormat"]


@dataclass(frozen=True, kw_only=True)
class PromptsFormat:
    """A column prompt, alone or with tools beside it; with other columns it is read where `data.format` says so.

    Source: the documentation of TRL's data (prompt-only).
    """

    roles: ClassVar[tuple[str, ...]] = ("prompt", "tools")
    required: ClassVar[tuple[str, ...]] = ("prompt",)

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, where there is one."""
        return {**named_as_roles(self.roles, columns, given), **given}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is nothing but prompts: beside other columns they may be half of something else."""
        return "prompt" in columns and columns <= set(self.roles)

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Prompt:
        """Raises: DataError, naming the row, where there is no prompt, or it ends with an answer."""
        turns = message_list(record, columns["prompt"], origin, "user")
        if turns[-1].role == "assistant":
            raise DataError(
                f"{origin.file}:{origin.row}: the prompt ends with a message of the assistant, so nothing is asked. "
                "Set data.columns.messages=prompt, where that is to be learned."
            )
        return Prompt(turns, origin, tools_in(record, columns.get("tools"), origin))
