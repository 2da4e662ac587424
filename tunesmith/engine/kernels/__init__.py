"""Hand-written forward and backward passes, reached only through Forward."""
