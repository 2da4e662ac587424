"""`python -m tunesmith` is the command `tunesmith`."""

from tunesmith.cli.launch import launch

__all__: list[str] = []

launch()
