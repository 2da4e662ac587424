"""How a model draws its answers, where the method `direct` found something better than the likeliest token."""

from collections.abc import Mapping

from tunesmith.core.errors import RunError
from tunesmith.core.run import RunDirectory
from tunesmith.engine.sampling import Sampling

__all__ = ["DIRECT_FORM", "drawn_by", "found_decoding"]

DIRECT_FORM = "tunesmith/direct/1"
"""Of direct.json."""


def drawn_by(decoding: Mapping[str, float], seed: int) -> Sampling | None:
    """How answers are drawn; None where always the likeliest token is taken."""
    is_greedy = decoding.get("temperature", 0.0) == 0 and decoding.get("repetition_penalty", 1.0) == 1
    return None if not decoding or is_greedy else Sampling(**decoding, seed=seed)


def found_decoding(directory: RunDirectory) -> Sampling | None:
    """How a run's answers are drawn; None where always the likeliest token is taken. Raises: RunError, where what it found is damaged."""
    if not directory.direct.is_file():
        return None
    found = directory.read_json(directory.direct)
    try:
        if found["schema"] != DIRECT_FORM:
            raise RunError(f"{directory.direct}: is of the form {found['schema']}, expected {DIRECT_FORM}. Make the run again.")
        return drawn_by(found["decoding"], found["seed"])
    except (KeyError, TypeError, ValueError):
        raise RunError(f"{directory.direct}: is damaged. Make the run again.") from None
