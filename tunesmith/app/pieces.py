"""An answer that comes piece by piece."""

from collections.abc import Callable, Generator

__all__ = ["spoken"]


def spoken(answer: Generator[str, None, int | None], tell: Callable[[str], None]) -> tuple[str, int | None]:
    """An answer taken to its end: the whole of it, and at how many tokens it was cut, None where it ended. `tell`: is given each piece as it comes."""
    pieces = list[str]()
    try:
        while True:
            piece = next(answer)
            tell(piece)
            pieces.append(piece)
    except StopIteration as end:
        return "".join(pieces), end.value
    finally:
        answer.close()
