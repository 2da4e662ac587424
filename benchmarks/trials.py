"""Finding the fastest of a few settings by trying each. Imports no torch."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from benchmarks.running import Say
from benchmarks.workload import BenchmarkError

__all__ = ["Tried", "fastest"]


class Tried(Protocol):
    """What a trial reports."""

    @property
    def peak_memory_bytes(self) -> int:
        """Of the process."""
        ...


Setting = TypeVar("Setting")
Found = TypeVar("Found", bound=Tried)


def fastest(
    settings: Mapping[str, Setting], run: Callable[[Setting], Found], speed: Callable[[Found], float], unit: str, say: Say
) -> Setting:
    """The setting with the greatest speed; what fails, for want of memory say, is left out.

    Args:
        settings: by their names for people.
        unit: of the speed, for people.
    Raises: BenchmarkError, where all fail.
    """
    speeds, reason = dict[str, float](), ""
    for name, setting in settings.items():
        try:
            found = run(setting)
        except BenchmarkError as error:
            reason = str(error)
            say(f"trial: {name}: {reason}")
            continue
        speeds[name] = speed(found)
        say(f"trial: {name}: {speeds[name]:.3g} {unit}, {found.peak_memory_bytes / 2**20:.0f} MiB")
    if not speeds:
        raise BenchmarkError(reason)
    return settings[max(speeds, key=lambda name: speeds[name])]
