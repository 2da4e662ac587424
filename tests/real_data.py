"""Public data sets that lie beside the project on some machines; tests that need one are skipped elsewhere."""

from pathlib import Path

import pytest

__all__ = ["real_data"]

_FOLDER = Path(__file__).parents[2] / "shared" / "data"


def real_data(name: str) -> Path:
    """The folder of a data set. Skips the test where it is not there."""
    if not (_FOLDER / name).is_dir():
        pytest.skip(f"needs the data set {name} in ../shared/data")
    return _FOLDER / name
