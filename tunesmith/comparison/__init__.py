"""Arms compared: which may be the best, and which of these to take. Pure functions over results."""
