"""Where the command begins: with an allocator that keeps the memory of a step in one piece, which has to be said before a process starts."""

import os
import sys

from tunesmith.core.allocator import wanted_tunables

__all__ = ["launch"]


def launch() -> None:
    """Run the command line and exit. Where the allocator wants to be told, this process starts itself again first, which takes some 20 ms, and is the same process to all others."""
    wanted = wanted_tunables(os.environ)
    if wanted and sys.executable:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **wanted})
    from tunesmith.cli.main import main

    main()
