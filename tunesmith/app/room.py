"""Room in a model for the tokens that a method learns."""

from dataclasses import replace

from tunesmith.core.errors import MethodError
from tunesmith.core.types import Method
from tunesmith.model.facts import num_positions
from tunesmith.model.load import LoadedModel

__all__ = ["with_room"]

_LEAST_TOKENS = 8


def with_room(model: LoadedModel, method: Method) -> LoadedModel:
    """The model, its longest sequences shorter where virtual tokens before them would leave too few positions. Raises: MethodError, where none is left."""
    positions = num_positions(model.trunk)
    room = model.facts.max_length if positions is None else positions - method.virtual_tokens
    if not method.virtual_tokens or room >= model.facts.max_length:
        return model
    if room < _LEAST_TOKENS:
        raise MethodError(
            f"method.num_virtual_tokens: {method.virtual_tokens} leave no room for a text in the {positions} positions of {model.facts.name}. Take fewer."
        )
    return replace(model, facts=replace(model.facts, max_length=room))
