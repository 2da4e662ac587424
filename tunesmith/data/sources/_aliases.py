"""Names of the data that comes without a hub."""

__all__ = ["ALIASES"]

ALIASES = ("docstrings", "editorials", "movie-reviews", "product-reviews", "python-reference", "small-talk", "tweets")
"""For "did you mean": the sources pypi and python claim them."""
