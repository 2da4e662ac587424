"""How a model draws its answers, and where it cuts them, where the method `direct` found something better than the likeliest token."""

from collections.abc import Mapping

from tunesmith.core.errors import RunError
from tunesmith.core.run import RunDirectory
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.sampling import Sampling
from tunesmith.recipe import Recipe

__all__ = ["DIRECT_FORM", "answer_tokens", "drawn_by", "found_decoding"]

DIRECT_FORM = "tunesmith/direct/1"
"""Of direct.json."""


def drawn_by(decoding: Mapping[str, float], seed: int) -> Sampling | None:
    """How answers are drawn and cut; None where always the likeliest token is taken, and the recipe says how many."""
    if not decoding:
        return None
    numbers = {"temperature": 0.0, **decoding}
    most = numbers.pop("max_new_tokens", None)
    found = Sampling(**numbers, max_new_tokens=None if most is None else int(most), seed=seed)
    return None if found.is_greedy and most is None else found


def answer_tokens(forward: PackedForward, recipe: Recipe) -> int:
    """Where an answer is cut whose asker names no length: where the method `direct` found best, else where the recipe says."""
    found = forward.decoding.max_new_tokens if forward.decoding is not None else None
    return found or recipe.evaluate.max_new_tokens


def found_decoding(directory: RunDirectory) -> Sampling | None:
    """How a run's answers are drawn and cut; as `drawn_by` gives it. Raises: RunError, where what it found is damaged."""
    if not directory.direct.is_file():
        return None
    found = directory.read_json(directory.direct)
    try:
        if found["schema"] != DIRECT_FORM:
            raise RunError(f"{directory.direct}: is of the form {found['schema']}, expected {DIRECT_FORM}. Make the run again.")
        return drawn_by(found["decoding"], found["seed"])
    except (KeyError, TypeError, ValueError):
        raise RunError(f"{directory.direct}: is damaged. Make the run again.") from None
