"""What can be done with a run that exists."""

from tunesmith.app.tune import resume

__all__ = ["resume"]
