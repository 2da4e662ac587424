"""A chain whose folder was moved: what its stages took from each other, under the whole paths of before, is found beside them."""

from pathlib import Path

from tunesmith.core.run import GroupDirectory, RunDirectory

__all__ = ["moved"]

_RUN = "run:"


def moved(run: RunDirectory, text: str) -> str:
    """Where a file or a run is now that a stage of a chain names: `text` itself, but where nothing is there and the chain's folder has what ends alike.

    `/old/chain/four/network.h5` of a run in `/new/chain` is `/new/chain/four/network.h5`.
    """
    path = Path(text.removeprefix(_RUN))
    if not path.is_absolute() or _is_there(path):
        return text
    chain = GroupDirectory(run.path.resolve().parent)
    if not chain.asked.is_file() or chain.kind != "stages":
        return text
    stages = set(chain.values)
    ends = (chain.path.joinpath(*path.parts[at:]) for at in range(len(path.parts) - 1, 0, -1) if path.parts[at] in stages)
    found = next((end for end in ends if _is_there(end)), None)
    return text if found is None else f"{_RUN if text.startswith(_RUN) else ''}{found}"


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a text that is no path
        return False
