"""`python -m tunesmith` is the command `tunesmith`."""

from tunesmith.cli.main import main

__all__: list[str] = []

main()
