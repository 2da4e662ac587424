"""Composition, one file a verb. The only place that knows all the packages."""
