"""Talk to a model, tuned or not, alone or against another one."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from tunesmith.app.learned import checked_length, learned, require_language_model
from tunesmith.core.errors import UsageError
from tunesmith.core.run import RunDirectory, run_named

if TYPE_CHECKING:
    from tunesmith.app.tuned import Tuned
    from tunesmith.core.types import Message

__all__ = ["Chat", "load_speaker"]


class Chat:
    """One or two models that answer the same conversations."""

    def __init__(self, model: str, against: str | None = None, *, max_new_tokens: int | None = None) -> None:
        """Load them.

        Args:
            model: a run's id or folder, or a model: alias, hub id, folder.
            against: another of these, or `base`: the model that the run began with.
            max_new_tokens: where an answer is cut; None: as the recipe says.
        Raises: UsageError, before anything is loaded, where a run is not there, or has no language model.
        """
        self._max_new_tokens = checked_length(max_new_tokens)
        run = _run_of(model)
        if against == "base" and run is None:
            raise UsageError(
                f'{model}: no such run; "base" is the model that a run began with. Name a run (`tunesmith runs list`), or compare with a model by its name.'
            )
        other = None if against is None or against == "base" else _run_of(against)
        self._model = _load(model, run)
        self._against: Tuned | None = None
        if against is not None:
            self._against = _load_base_of(run) if run is not None and against == "base" else _load(against, other)

    def answer(self, messages: Sequence[Message], *, against: bool = False) -> Generator[str, None, int | None]:
        """The next turn, piece by piece; of the other model with `against`. Returns: at how many tokens it was cut, None where it ended."""
        chosen = self._against if against and self._against is not None else self._model
        return chosen.stream(messages, self._max_new_tokens)


def load_speaker(name: str) -> Tuned:
    """A language model, or a run of one, to talk to. Raises: UsageError, where the run has no language model; ModelError; FetchError."""
    return _load(name, _run_of(name))


def _run_of(name: str) -> RunDirectory | None:
    """The run of that name; None where it is a model's. Raises: UsageError, where the run has no language model."""
    directory = run_named(name)
    if directory is not None:
        require_language_model(learned(directory).kind)
    return directory


def _load(name: str, run: RunDirectory | None) -> Tuned:
    from tunesmith.app.tuned import load_base, load_tuned  # not before the names are checked: it imports torch
    from tunesmith.recipe import from_mapping

    return load_tuned(run) if run is not None else load_base(from_mapping({"model": name, "data": "none"}, name="chat"))


def _load_base_of(run: RunDirectory) -> Tuned:
    from tunesmith.app.tuned import load_base, saved_model

    return load_base(learned(run).recipe, saved_model(run))
