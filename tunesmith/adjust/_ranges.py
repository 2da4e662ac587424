"""What the adjustments share that try numbers up to a largest one."""

import math

from tunesmith.core.errors import MethodError

__all__ = ["check_most"]


def check_most(name: str, most: float, *, above: float = 1.0) -> None:
    """Raises: MethodError, where the largest number that `name` tries leaves nothing to try, or no end."""
    if not above < most < math.inf:
        raise MethodError(f"{name}.most: {most:g}: expected a finite number above {above:g}.")
