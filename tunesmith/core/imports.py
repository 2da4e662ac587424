"""What a package drags in when it is imported, left out where nobody asked for it."""

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["import_alone"]

_BEGUN_BY_PEFT = "bitsandbytes"
_HAS_SCIPY = "is_scipy_available"


@contextlib.contextmanager
def _without_bitsandbytes() -> Iterator[None]:
    is_here = _BEGUN_BY_PEFT in sys.modules
    if not is_here:
        sys.modules[_BEGUN_BY_PEFT] = None  # type: ignore[assignment]  # what the import system takes for "there is none"
    try:
        yield
        for name in ("is_bnb_available", "is_bnb_4bit_available"):  # asked once, they remember the answer
            getattr(sys.modules.get("peft.import_utils"), name, bool)()
    finally:
        if not is_here:
            del sys.modules[_BEGUN_BY_PEFT]


@contextlib.contextmanager
def _without_scipy() -> Iterator[None]:
    asked: Any = sys.modules.get("transformers.utils")
    answer = getattr(asked, _HAS_SCIPY, None)
    if answer is None:
        yield
        return
    setattr(asked, _HAS_SCIPY, bool)
    try:
        yield
    finally:
        setattr(asked, _HAS_SCIPY, answer)


_ALONE: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "peft": _without_bitsandbytes,
    "transformers.loss.loss_utils": _without_scipy,
}
"""Module -> what is left out while it and all that it imports begin."""


class _Alone(Loader):
    """Runs a module's own code inside a block."""

    def __init__(self, own: Loader, block: Callable[[], AbstractContextManager[None]]) -> None:
        self._own, self._block = own, block

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the module's own loader."""
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the module's own loader."""
        sys.meta_path[:] = [one for one in sys.meta_path if not (isinstance(one, _Finder) and one.name == module.__name__)]
        with self._block():
            self._own.exec_module(module)


class _Finder(MetaPathFinder):
    _asks = False
    """While the finders after it are asked: others may ask whether a module is there, long before it is imported."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The one module's, with the loader above."""
        if name != self.name or self._asks:
            return None
        self._asks = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asks = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Alone(spec.loader, _ALONE[name])
        return spec


def import_alone() -> None:
    """Let peft begin without bitsandbytes, and transformers without scipy's optimizers, which only its losses of object detection read: a second and over a hundred megabytes.

    For a process of our own: in another one they may be wanted.
    """
    sys.meta_path[:0] = [_Finder(name) for name in _ALONE if name not in sys.modules]
