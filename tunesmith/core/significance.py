"""What counts as chance, for verdicts and reports alike. Imports nothing, so that a report needs no more than this."""

__all__ = ["SIGNIFICANT_P"]

SIGNIFICANT_P = 0.05
"""A difference whose p-value is not below it may be chance."""
