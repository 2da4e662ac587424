"""Length of answers: where an answer is cut that has not ended. A model that says what was asked first and goes on scores better cut, and answers faster."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.adjust._decoding import TEXT, refusal
from tunesmith.core.adjusting import Array, Knob, Subject
from tunesmith.core.errors import MethodError

__all__ = ["MaxNewTokens"]


@dataclass(frozen=True, kw_only=True)
class MaxNewTokens:
    """How long an answer may be, in tokens."""

    least: int = 1
    """The shortest length that is tried."""
    most: int | None = None
    """The longest; null: `evaluate.max_new_tokens`, where answers are cut as the model is."""

    moves: ClassVar[frozenset[str]] = TEXT

    def __post_init__(self) -> None:
        """Raises: MethodError, where the range holds no length, or one alone."""
        if self.least < 1 or (self.most is not None and self.most <= self.least):
            most = "null" if self.most is None else self.most
            raise MethodError(
                f"method.adjust: max_new_tokens: least {self.least}, most {most}: expected a least of at least 1, and more as most."
            )

    def refusal(self, subject: Subject) -> str:
        """A model that writes nothing writes nothing long; and the model as it is must be in the range."""
        found = refusal(subject, "max_new_tokens")
        now, most = subject.max_new_tokens, self._most(subject)
        if found or (self.least <= now <= most and self.least < most):
            return found
        return f"answers are cut at evaluate.max_new_tokens, {now}, which is not from {self.least} to {most}, or all there is. Change one of them"

    def knobs(self, subject: Subject, scores_nk: Array | None) -> list[Knob]:
        """One. Between 4 and 8 tokens lies as much as between 32 and 64."""
        return [Knob("max_new_tokens", self.least, self._most(subject), subject.max_new_tokens, is_log=True)]

    def decoding(self, values: Sequence[float]) -> dict[str, float]:
        """The next whole number."""
        return {"max_new_tokens": round(values[0])}

    def shown(self, subject: Subject, values: Sequence[float]) -> list[str]:
        """The length."""
        return [f"answers cut at {round(values[0])} tokens"]

    def _most(self, subject: Subject) -> int:
        return self.most or subject.max_new_tokens
