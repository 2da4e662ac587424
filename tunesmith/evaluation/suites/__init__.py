"""Suites of tasks that others have set: which tasks of lm-eval's, how their scores are averaged, and how the authors' own files are read."""
