"""One file a kind of place that models come from."""
