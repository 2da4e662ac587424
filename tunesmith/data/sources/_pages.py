"""The pages of the language reference that the running Python carries."""

from tunesmith.core.errors import DataError

__all__ = ["reference_pages"]


def reference_pages(source: str) -> list[tuple[str, str]]:
    """(topic, text) of every page, sorted. `source`: who asks, for the message. Raises: DataError, where this Python comes without them."""
    try:
        from pydoc_data import topics
    except ImportError:
        raise DataError(f"{source}: this Python comes without pydoc_data.topics. Use a Python with its whole standard library.") from None
    return [(topic, text.strip()) for topic, text in sorted(topics.topics.items())]
