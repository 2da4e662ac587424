"""WHAT loss: one file an objective."""
