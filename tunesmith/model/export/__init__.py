"""Forms that a model is written in."""
