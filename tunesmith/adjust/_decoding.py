"""What the adjustments of how answers are drawn share."""

from tunesmith.core.adjusting import Subject

__all__ = ["TEXT", "refusal"]

TEXT = frozenset({"text"})


def refusal(subject: Subject, name: str, *, needs_draws: bool = False) -> str:
    """Why nothing is drawn; empty where answers are. `needs_draws`: whether it says nothing where the likeliest token is taken."""
    if not subject.writes:
        return f"{name} is of answers in words, and a model of {subject.objective} writes none"
    if needs_draws and "sampling_temperature" not in subject.adjusted:
        return f"{name} changes nothing where the likeliest token is taken. Adjust sampling_temperature beside it"
    return ""
