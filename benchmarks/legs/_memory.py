"""The most memory that a process held. Imports no torch."""

import sys
from pathlib import Path

__all__ = ["peak_memory_bytes"]


def peak_memory_bytes(process: int | None = None) -> int:
    """The most that this process, or another one by its number, held so far. 0 where the system does not say."""
    try:  # Linux hands the peak of a process on to the children that it starts; this line counts the process alone
        with Path(f"/proc/{process or 'self'}/status").open(encoding="utf-8") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if process is None else 0
    return peak if sys.platform == "darwin" else peak * 1024
