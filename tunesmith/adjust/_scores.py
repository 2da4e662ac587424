"""What the adjustments of a head's scores share."""

from tunesmith.core.adjusting import Subject

__all__ = ["refusal"]


def refusal(subject: Subject) -> str:
    """Why no scores are there to be adjusted; empty where they are."""
    if not subject.knows_labels:
        return (
            f"{subject.model} has no head that knows the labels {', '.join(subject.labels)}. "
            "Train a classifier on them first, and name its run: model=run:ID"
        )
    return ""
