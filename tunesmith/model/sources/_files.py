"""What the sources share that are one file on this machine."""

from pathlib import Path

from tunesmith.core.errors import ModelError
from tunesmith.model.source import Request

__all__ = ["file_of"]


def file_of(request: Request) -> Path:
    """The file that is asked for. Raises: ModelError, where there is none, or a revision of it is named."""
    file = Path(request.source).expanduser()
    if not file.is_file():
        raise ModelError(f"model.source: {request.source}: no such file.")
    if request.revision:
        raise ModelError(f"model.revision: {request.source} is a file on this machine, which has no revisions. Leave it out.")
    return file
