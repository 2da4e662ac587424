"""Python's search for cyclic garbage, put off where nearly all that is made stays."""

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["collected_later", "never_collected"]


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
    """For imports: no search for garbage inside the block, and what was made in it is never searched."""
    with collected_later():
        yield
        gc.freeze()
