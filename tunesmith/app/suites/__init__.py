"""Suites of tasks, asked of a model through lm-eval."""
