"""Where the command begins: with an allocator that keeps the memory of a step in one piece, which has to be said before a process starts."""

import contextlib
import os
import sys
from pathlib import Path

from tunesmith.core.allocator import wanted_tunables
from tunesmith.core.imports import import_alone

__all__ = ["launch"]

_MARK = "TUNESMITH_LAUNCHED"
"""Set where it was tried: it is not tried again, whatever becomes of the other variables."""


def launch() -> None:
    """Run the command line and exit. Where the allocator wants to be told, this process starts itself again first, which takes some 20 ms, and is the same process to all others."""
    wanted = wanted_tunables(os.environ)
    if wanted and _MARK not in os.environ and sys.executable and _is_this_command(sys.orig_argv, sys.argv[1:]):
        with contextlib.suppress(OSError):  # then it goes on as it is
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **wanted, _MARK: "1"})
    import_alone()
    from tunesmith.cli.main import main

    main()


def _is_this_command(whole: list[str], arguments: list[str]) -> bool:
    """Whether the process was begun as this command with these arguments; not where another program, which would be started anew, runs it inside of itself."""
    at = len(whole) - len(arguments)
    return whole[at:] == arguments and at > 0 and Path(whole[at - 1]).stem in ("tunesmith", "__main__")
