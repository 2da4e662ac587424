"""Every method on the same data: `python -m benchmarks methods` and `few-shot`."""
