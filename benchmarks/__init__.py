"""Side by side with other programs: the same rows, the same arithmetic, first a gate, then ratios. `python -m benchmarks --help`."""
