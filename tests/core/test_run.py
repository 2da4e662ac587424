"""Runs and groups are found by their names and paths."""

from pathlib import Path

import pytest

from tunesmith.core.errors import RunError
from tunesmith.core.run import find_run


def test_a_run_that_is_not_there_is_looked_for_in_each_place_once(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^gone: no such run \(looked for gone/recipe\.yaml and runs/gone/recipe\.yaml\)"):
        find_run("gone")
    whole = tmp_path / "gone"
    with pytest.raises(RunError) as error:
        find_run(f"run:{whole}")
    assert f"(looked for {whole}/recipe.yaml)" in str(error.value)
