"""Predictions, metrics with intervals, paired comparisons, and what the learning curves say."""
