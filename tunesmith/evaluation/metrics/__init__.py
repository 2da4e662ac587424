"""One file a metric; the file's stem is its name in a recipe."""
