"""Imported first, by legs of ours: what is said where the command begins."""

from tunesmith.core.imports import import_alone

__all__ = list[str]()

import_alone()
