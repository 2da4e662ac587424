"""New examples that a model writes: how it is asked, how its answer is read, and what of it is nothing new."""
