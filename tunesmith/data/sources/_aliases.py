"""Names of the data that comes without a hub, and how a folder of documents is named."""

__all__ = ["ALIASES", "DOCUMENTS"]

ALIASES = (
    "dated-facts",
    "docstring-choices",
    "docstrings",
    "editorials",
    "general-questions",
    "movie-openings",
    "movie-reviews",
    "product-reviews",
    "python-questions",
    "python-reference",
    "small-talk",
    "small-talk-pairs",
    "tweets",
)
"""For "did you mean": the sources pypi and python claim them."""

DOCUMENTS = "documents:"
"""Before the name of a folder whose files are texts."""
