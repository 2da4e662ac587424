"""Names of the data that comes without a hub, and how a folder of documents is named."""

__all__ = ["ALIASES", "DOCUMENTS"]

ALIASES = (
    "breast-cancer",
    "dated-facts",
    "digits",
    "docstring-choices",
    "docstrings",
    "editorials",
    "general-questions",
    "iris",
    "movie-openings",
    "movie-reviews",
    "product-reviews",
    "python-questions",
    "python-reference",
    "small-talk",
    "small-talk-pairs",
    "tweets",
    "wine",
)
"""For "did you mean": the sources pypi, python and sklearn claim them, and those of one alias."""

DOCUMENTS = "documents:"
"""Before the name of a folder whose files are texts."""
