"""What stands at a path that a person wrote, whatever they wrote."""

from pathlib import Path
from typing import Any

__all__ = ["expanded", "is_file", "is_folder"]


def expanded(source: Any) -> Path:
    """The path with `~` spelled out; as it is, where there is no such user."""
    try:
        return Path(source).expanduser()
    except RuntimeError:
        return Path(source)


def is_file(path: Path) -> bool:
    """Whether a file is there; False, too, where the system cannot tell: a name too long, links in a circle, a folder that may not be entered."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """As `is_file`, of a folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
