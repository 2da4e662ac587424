"""A reward model: what a run of the objective `reward` says of a prompt with its answer.

Source: Ouyang et al. (2022), "Training language models to follow instructions with human feedback", https://arxiv.org/abs/2203.02155, section 3.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.core.errors import RunError
from tunesmith.core.examples import Ranked
from tunesmith.core.rewards import Ask, Response

__all__ = ["Model"]


@dataclass(frozen=True, kw_only=True)
class Model:
    """How much a reward model likes an answer."""

    run: str
    """The run that trained it: its id, `run:ID`, or its folder."""
    weight: float = 1.0
    """What it counts beside the recipe's other rewards; its numbers have no unit of their own."""

    file_options: ClassVar[tuple[str, ...]] = ("run",)

    def score(self, responses: Sequence[Response], ask: Ask) -> list[float]:
        """The reward of each answer. Raises: RunError, where the run trained no reward model, or an answer leaves its prompt no room."""
        outputs = ask(self.run, [Ranked(response.turns, (response.text,), (1,), response.example.origin) for response in responses])
        found = list[float]()
        for response, output in zip(responses, outputs, strict=True):
            if not output.scores:
                origin = response.example.origin
                raise RunError(
                    f"rewards: model: {self.run} says nothing of the answer to {origin.file}:{origin.row}: it is no reward model (objective: reward), or it does not read so much. "
                    "Name a run of the objective reward, or lower model.max_length."
                )
            found.append(output.scores[0])
        return found
