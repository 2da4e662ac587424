"""What a package drags in when it is imported, left out where nobody asked for it."""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["import_peft_alone"]

_BEGUN_BY_PEFT = "bitsandbytes"


class _Alone(Loader):
    """Runs peft's own code while bitsandbytes cannot be found; after that it can."""

    def __init__(self, own: Loader) -> None:
        self._own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As peft's own loader."""
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As peft's own loader."""
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
        is_here = _BEGUN_BY_PEFT in sys.modules
        if not is_here:
            sys.modules[_BEGUN_BY_PEFT] = None  # type: ignore[assignment]  # what the import system takes for "there is none"
        try:
            self._own.exec_module(module)
            for name in ("is_bnb_available", "is_bnb_4bit_available"):  # asked once, they remember the answer
                getattr(sys.modules.get("peft.import_utils"), name, bool)()
        finally:
            if not is_here:
                del sys.modules[_BEGUN_BY_PEFT]


class _Finder(MetaPathFinder):
    _asks = False
    """While the finders after it are asked: others may ask whether peft is there, long before it is imported."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """peft's, with the loader above."""
        if name != "peft" or self._asks:
            return None
        self._asks = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asks = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Alone(spec.loader)
        return spec


def import_peft_alone() -> None:
    """Let peft, when it is imported, take bitsandbytes for missing: importing it takes a second and a hundred megabytes, and layers of its making are none of ours.

    For a process of our own: in another one peft may be wanted with it.
    """
    if "peft" not in sys.modules:
        sys.meta_path.insert(0, _Finder())
