"""Python's search for cyclic garbage, put off where nearly all that is made stays."""

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["collected_later", "never_collected"]

_YOUNG_OBJECTS = 100_000
"""A process with fewer objects holds little but Python itself: an interpreter begins with some 5,000, and torch brings 160,000."""


@contextlib.contextmanager
def collected_later() -> Iterator[None]:
    """No search for garbage inside the block."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def never_collected() -> Iterator[None]:
    """For imports: no search for garbage inside the block, and what was made in it is never searched.

    Python freezes all that there is or nothing: in a process that already holds much, whose cycles may yet fall apart, nothing is frozen.
    """
    is_young = len(gc.get_objects()) < _YOUNG_OBJECTS
    with collected_later():
        yield
        if is_young:
            gc.freeze()
