"""tunesmith: how should I adapt this language model, and did it work?"""

__version__ = "0.1.0"
