"""The package bitsandbytes, which packs and unpacks matrices of four bits, imported when it is asked for."""

from typing import Any

from tunesmith.core.errors import UsageError

__all__ = ["four_bit_functions"]


def four_bit_functions() -> Any:
    """bitsandbytes.functional. Raises: UsageError, where it is not there."""
    try:
        from bitsandbytes import functional
    except ImportError as error:
        raise UsageError("nf4 and fp4 need the package bitsandbytes, which is not here. Install it: pip install bitsandbytes.") from error
    return functional
