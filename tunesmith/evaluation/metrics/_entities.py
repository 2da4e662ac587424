"""Entities from the tags of words."""

from collections.abc import Sequence

__all__ = ["entities"]

_BEGINS, _ENDS, _INSIDE = "BSU", "ELSU", "BIELSUM"


def entities(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """(kind, first word, last word) of every entity, in any of the usual schemes: IOB1, IOB2, IOE, IOBES, BILOU, or plain tags."""
    found = set[tuple[str, int, int]]()
    kind, begin = "", 0
    for at, tag in enumerate((*tags, "O")):
        prefix, dash, name = tag.partition("-")
        has_scheme = bool(dash) and prefix in _INSIDE and len(prefix) == 1
        if kind and (not has_scheme or prefix in _BEGINS or name != kind):
            found.add((kind, begin, at - 1))
            kind = ""
        if has_scheme:
            if not kind:
                kind, begin = name, at
            if prefix in _ENDS:
                found.add((kind, begin, at))
                kind = ""
        elif tag != "O":
            found.add((tag, at, at))
    return found
