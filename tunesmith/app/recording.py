"""status.json of a run or a group, kept true whatever ends the work on it."""

import contextlib
import time
from collections.abc import Iterator

from tunesmith.core.errors import DiskFull, Interrupted, RunError, TunesmithError
from tunesmith.core.run import GroupDirectory, RunDirectory

__all__ = ["recorded"]


@contextlib.contextmanager
def recorded(directory: RunDirectory | GroupDirectory, started: float) -> Iterator[None]:
    """Record how the block ended, and add to what it raises how to go on.

    Args:
        started: when the sitting began, as `time.perf_counter` says.
    Raises: what the block raises; RunError, where the directory was removed meanwhile.
    """

    def ended(status: str, message: str = "") -> None:
        directory.set_status(status, message, sitting_seconds=time.perf_counter() - started)

    go_on = f"tunesmith runs resume {directory.path}"
    try:
        yield
    except Exception as error:
        if not directory.recipe.is_file():
            raise RunError(f"{directory.path}: was removed while it was being worked on. Start it again.") from error
        if isinstance(error, Interrupted):
            ended("interrupted")
            raise Interrupted(f"{error} Go on with: {go_on}") from None
        if isinstance(error, DiskFull):
            with contextlib.suppress(DiskFull):
                ended("failed", str(error))
            raise DiskFull(f"{error} Then go on with: {go_on}") from None
        ended("failed", str(error) if isinstance(error, TunesmithError) else f"{type(error).__name__}: {error}")
        raise
    except BaseException as error:
        ended("failed", f"{type(error).__name__}: {error}")
        raise
    ended("done")
