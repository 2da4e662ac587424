"""Recipes are run whole, on tiny models."""

from whole_runs import quick_runs

__all__ = ["quick_runs"]
