"""The texts that an answer is compared with."""

from tunesmith.core.types import Completion, Example

__all__ = ["has_reference", "references_of"]


def references_of(example: Example, reference: str) -> tuple[str, ...]:
    """The reference, and what the example holds beside it that would be as right."""
    return (reference, *(example.other_targets if isinstance(example, Completion) else ()))


def has_reference(example: Example, reference: str) -> bool:
    """Whether there is a text to compare with: what answers nothing is neither right nor wrong."""
    return any(text.strip() for text in references_of(example, reference))
