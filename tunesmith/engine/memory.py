"""What becomes of memory that was freed, where glibc is the allocator.

Each step frees its activations and asks for as many again. glibc gives what is free at the end of its heap back to the system, which hands it out page by
page, filled with zeros, in the middle of the next step's products.
"""

import ctypes
import functools
import os
import sys

__all__ = ["give_back_freed_memory", "keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Their numbers in glibc's malloc.h."""
_KEPT_BYTES = 2**31 - 1
_BLOCK_BYTES = 32 * 2**20
"""Larger blocks always come from the system: the most that glibc takes for this."""


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


@functools.cache
def keep_freed_memory() -> bool:
    """Let this process keep up to 2 GB that it has freed, for its next step, unless the environment sets glibc's thresholds. Returns: whether it does."""
    library = _glibc()
    if library is None or any(name in os.environ for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")):
        return False
    return bool(library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)) and bool(library.mallopt(_MMAP_THRESHOLD, _BLOCK_BYTES))


def give_back_freed_memory() -> None:
    """Hand what is kept to the system; nothing where glibc is not the allocator."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)
