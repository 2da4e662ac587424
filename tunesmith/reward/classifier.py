"""A classifier: the probability of a class, by a run of the objective `classify`.

Source: the controlled sentiment task of Rafailov et al. (2023), https://arxiv.org/abs/2305.18290, section 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from tunesmith.core.errors import RunError, did_you_mean
from tunesmith.core.examples import Labelled
from tunesmith.core.rewards import Ask, Response

__all__ = ["Classifier"]


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """How surely a classifier says that an answer is of a class."""

    run: str
    """The run that trained it: its id, `run:ID`, or its folder."""
    label: str
    """The class."""
    reads: Literal["answer", "prompt and answer"] = "answer"
    """What it is shown: the answer, or the prompt's last turn and the answer as one text."""
    weight: float = 1.0
    """What it counts beside the recipe's other rewards; below 0 it is a penalty."""

    file_options: ClassVar[tuple[str, ...]] = ("run",)

    def score(self, responses: Sequence[Response], ask: Ask) -> list[float]:
        """A probability an answer. Raises: RunError, where the run has no such class."""
        texts = [one.text if self.reads == "answer" else f"{one.prompt} {one.text}" for one in responses]
        outputs = ask(self.run, [Labelled(text, None, one.example.origin) for text, one in zip(texts, responses, strict=True)])
        classes = outputs[0].classes if outputs else ()
        if outputs and self.label not in classes:
            raise RunError(f"rewards: classifier: {self.run} has no class {self.label}.{did_you_mean(self.label, classes)}")
        return [output.probabilities[classes.index(self.label)] for output in outputs]
