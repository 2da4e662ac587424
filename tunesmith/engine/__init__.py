"""The training engine: one loop, packed batches, two attention paths."""
