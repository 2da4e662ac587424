"""What becomes of memory that was freed, where glibc is the allocator, and of a file's that was read, on Linux.

Each step frees its activations and asks for as many again. Two habits of glibc's cost a training dearly. It gives what is free at the end of its heap back to the system, which hands it out
page by page, filled with zeros, in the middle of the next step's products. And each thread keeps a few freed blocks of every small size for itself (its "tcache"): those lie between the
large blocks of a step, which therefore do not grow together again, so that the next step finds no place in them and asks for more, step after step. The first can be told to a process
that runs, the second to one that begins.
"""

import ctypes
import functools
import gc
import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for what is said before torch is imported
    from torch import Tensor

__all__ = ["freed_memory_scatters", "give_back_freed_memory", "keep_freed_memory", "let_go", "let_go_of_pages", "wanted_tunables"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Their numbers in glibc's malloc.h."""
_KEPT_BYTES = 2**31 - 1
_BLOCK_BYTES = 32 * 2**20
"""Larger blocks always come from the system: the most that glibc takes for this."""
_TUNABLES = "GLIBC_TUNABLES"
_NO_SMALL_BLOCKS_KEPT = "glibc.malloc.tcache_count=0"
_DONT_NEED = 4
"""Its number in Linux's mman.h."""
_PAGES = Path("/proc/self/pagemap")
_IS_PRESENT, _IS_SWAPPED, _IS_OF_A_FILE = 1 << 63, 1 << 62, 1 << 61
"""Bits of a page's entry there: https://docs.kernel.org/admin-guide/mm/pagemap.html."""


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


def _is_set(environment: Mapping[str, str]) -> bool:
    """Whether somebody has decided already."""
    return any(name in environment for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", _TUNABLES))


@functools.cache
def keep_freed_memory() -> bool:
    """Let this process keep up to 2 GB that it has freed, for its next step, unless the environment sets glibc's thresholds. Returns: whether it does."""
    library = _glibc()
    if library is None or _is_set(os.environ):
        return False
    return bool(library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)) and bool(library.mallopt(_MMAP_THRESHOLD, _BLOCK_BYTES))


def wanted_tunables(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that a process has to begin with to keep freed memory and to keep it in one piece; none where glibc is not the allocator, or where they are set."""
    if _glibc() is None or _is_set(environment):
        return {}
    settings = f"glibc.malloc.trim_threshold={_KEPT_BYTES}:glibc.malloc.mmap_threshold={_BLOCK_BYTES}:{_NO_SMALL_BLOCKS_KEPT}"
    return {_TUNABLES: settings}


def freed_memory_scatters() -> bool:
    """Whether the memory of a step comes to lie in ever more pieces."""
    return _glibc() is not None and _NO_SMALL_BLOCKS_KEPT not in os.environ.get(_TUNABLES, "")


def give_back_freed_memory() -> None:
    """Hand what is kept to the system; nothing where glibc is not the allocator."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def let_go() -> None:
    """Free what nothing refers to any more, and hand it back: parts of a model refer to each other, and two would be in memory when the next one is loaded."""
    gc.collect()
    give_back_freed_memory()


def let_go_of_pages(tensor: "Tensor") -> int:
    """Take what was read of a tensor in a mapped file out of memory, where nothing of it was changed: whoever looks there again finds the same, read anew.

    What was read of a file stays in memory as long as one of its tensors is there: weights that were rounded would stand beside what they became.

    Args:
        tensor: one that lies in one piece; of its pages, those that are its own alone.
    Returns: bytes that were let go; 0 for memory of another kind, or on another system than Linux.
    """
    library = _glibc()
    if library is None or tensor.device.type != "cpu":
        return 0
    page = os.sysconf("SC_PAGE_SIZE")
    first, end = -(-tensor.data_ptr() // page), (tensor.data_ptr() + tensor.nbytes) // page
    if end <= first:
        return 0
    try:
        with _PAGES.open("rb", buffering=0) as file:
            file.seek(first * 8)
            entries = struct.unpack(f"={end - first}Q", file.read((end - first) * 8))
    except (OSError, struct.error):
        return 0
    if any(entry & _IS_SWAPPED or (entry & _IS_PRESENT and not entry & _IS_OF_A_FILE) for entry in entries):
        return 0
    where, size = ctypes.c_void_p(first * page), ctypes.c_size_t((end - first) * page)
    return 0 if library.madvise(where, size, _DONT_NEED) else page * sum(entry >= _IS_PRESENT for entry in entries)
