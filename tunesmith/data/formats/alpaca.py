"""alpaca: an instruction, perhaps with an input, a system message and earlier turns, and the output that should follow."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.types import Chat, Message, Origin
from tunesmith.data.formats._columns import INSTRUCTIONS, OUTPUTS, SYSTEMS, choose, is_alpaca, text_in
from tunesmith.data.formats._conversations import chat_of
from tunesmith.data.formats._instructions import asked

__all__ = ["AlpacaFormat"]


@dataclass(frozen=True, kw_only=True)
class AlpacaFormat:
    """Columns instruction (or question) and output (or response), and one or more of input, system (or system_prompt) and history (a list of [question, answer]).

    The input follows the instruction on a line of its own; answers of the history are learned too. Source: the data of Taori et al. (2023),
    "Stanford Alpaca"; LLaMA-Factory's documentation of its data, which adds system and history; axolotl's, which has the other names.
    """

    roles: ClassVar[tuple[str, ...]] = ("instruction", "input", "output", "system", "history")
    required: ClassVar[tuple[str, ...]] = ("instruction", "output")

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, where there is one."""
        usual = {"instruction": INSTRUCTIONS, "input": ("input",), "output": OUTPUTS, "system": SYSTEMS, "history": ("history",)}
        found = {role: choose(names, columns, given.values()) for role, names in usual.items()}
        return {**{role: name for role, name in found.items() if name}, **given}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is more than an instruction and its output, which are a pair."""
        return is_alpaca(columns)

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Chat:
        """Raises: DataError, naming the row, where the instruction or the output is missing or empty, or the history is none."""
        answer = Message("assistant", text_in(record, columns["output"], origin))
        return chat_of((*asked(record, origin, columns), answer), origin)
