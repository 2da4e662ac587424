"""Talk to a model, tuned or not, alone or against another one."""

from collections.abc import Iterator, Sequence

from tunesmith.app.tuned import Tuned, load_base, load_tuned
from tunesmith.core.errors import RunError
from tunesmith.core.run import find_run
from tunesmith.core.types import Message
from tunesmith.recipe import from_mapping, load

__all__ = ["Chat"]


class Chat:
    """One or two models that answer the same conversations."""

    def __init__(self, model: str, against: str | None = None) -> None:
        """Load them.

        Args:
            model: a run's id or folder, or a model: alias, hub id, folder.
            against: another of these, or `base`: the model that the run began with.
        """
        self._model = _load(model)
        self._against = None if against is None else _load_base_of(model) if against == "base" else _load(against)

    def answer(self, messages: Sequence[Message], *, against: bool = False) -> Iterator[str]:
        """The next turn, piece by piece; of the other model with `against`."""
        chosen = self._against if against and self._against is not None else self._model
        return chosen.stream(messages)


def _load(name: str) -> Tuned:
    try:
        directory = find_run(name)
    except RunError:
        if name.startswith("run:"):
            raise
        return load_base(from_mapping({"model": name, "data": "none"}, name="chat"))
    return load_tuned(directory)


def _load_base_of(run: str) -> Tuned:
    return load_base(load(find_run(run).recipe))
