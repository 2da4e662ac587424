"""tunesmith: how should I adapt this language model, and did it work?"""

import logging as _logging
import typing as _typing

if _typing.TYPE_CHECKING:
    from tunesmith.api import advise, compare, tune
    from tunesmith.app.group import Group
    from tunesmith.app.many import load_many
    from tunesmith.app.run import Run

_logging.getLogger("bitsandbytes").setLevel(
    _logging.ERROR
)  # peft imports it where it is there, and it tells of kernels that it can do without

__version__ = "0.1.0"
__all__ = ["Group", "Run", "__version__", "advise", "compare", "load_many", "tune"]


def __getattr__(name: str) -> _typing.Any:
    """Load `tune`, `compare`, `advise`, `load_many`, `Run` and `Group` when they are first asked for: importing the package stays fast and needs no torch."""
    if name in ("tune", "compare", "advise"):
        from tunesmith.core.garbage import never_collected

        with never_collected():
            from tunesmith import api

        return getattr(api, name)
    if name == "Run":
        from tunesmith.app.run import Run

        return Run
    if name == "Group":
        from tunesmith.app.group import Group

        return Group
    if name == "load_many":
        from tunesmith.app.many import load_many

        return load_many
    raise AttributeError(f"module 'tunesmith' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__file__", "__name__", "__path__"])
