"""lm-eval and the libraries below it, made silent for a while."""

import contextlib
import io
import logging
from collections.abc import Iterator

__all__ = ["quiet"]

_TALKATIVE = ("lm_eval", "datasets", "huggingface_hub", "httpx")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars, log lines or prints inside the block; errors are raised as ever."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
