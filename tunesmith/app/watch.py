"""A folder or file watched for changes, by looking at names, sizes and times of its files."""

import time
from collections.abc import Iterator
from pathlib import Path

from tunesmith.core.errors import UsageError
from tunesmith.data.library import library_files

__all__ = ["changes"]

_SECONDS = 1.0


def changes(source: str, seconds: float = _SECONDS) -> Iterator[None]:
    """Once at first, and then each time that something has changed and has stood still since. It ends with Ctrl-C.

    Raises: UsageError, where `source` is no folder or file.
    """
    root = Path(source).expanduser()
    if not root.exists():
        raise UsageError(f"{source}: no folder or file to watch.")
    seen, is_told = _state(root), False
    while True:
        if not is_told:
            yield
            is_told = True
        time.sleep(seconds)
        found = _state(root)
        if found != seen:  # something may still be writing: the next look tells
            seen, is_told = found, False
            time.sleep(seconds)
            while (found := _state(root)) != seen:
                seen = found
                time.sleep(seconds)


def _state(root: Path) -> frozenset[tuple[str, int, int]]:
    found = set[tuple[str, int, int]]()
    for path in library_files(root):
        try:
            facts = path.stat()
        except OSError:  # it is gone by now
            continue
        found.add((str(path), facts.st_size, facts.st_mtime_ns))
    return frozenset(found)
